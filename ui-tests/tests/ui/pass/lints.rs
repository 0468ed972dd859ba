#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unused_lifetimes,
    single_use_lifetimes,
    elided_lifetimes_in_paths,
    trivial_casts,
    unused_results,
    unsafe_code,
    let_underscore_drop,
    clippy::all,
    clippy::pedantic
)]

//! Generated code is silent where the user's crate is strict.

use std::borrow::Cow;

/// Has a lifetime.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Doc<'a> {
    /// Its text.
    pub text: &'a str,
}

/// An interface.
#[plugin_core::plugin_interface(version = "1.0")]
pub trait Greeter {
    /// Greets.
    ///
    /// # Errors
    /// When the plugin is gone.
    fn greet(&self, name: &str, _unused: u8, _: u8) -> plugin_core::Result<String>;

    /// Greets with defaults, see [`Self::greet`].
    ///
    /// # Errors
    /// When the plugin is gone.
    fn optional(&self, _unused: u8, doc: &Doc<'_>, mut text: Cow<'_, str>) -> plugin_core::Result<String> {
        text.to_mut().push_str(doc.text);
        Ok(text.into_owned())
    }

    /// Old.
    ///
    /// # Errors
    /// When the plugin is gone.
    #[deprecated(note = "use `greet`")]
    fn old(&self) -> plugin_core::Result<()> {
        Ok(())
    }

    /// Expects a lint in its body.
    ///
    /// # Errors
    /// When the plugin is gone.
    #[expect(unused_variables, reason = "the body is moved, and this with it")]
    fn expecting(&self, name: &str) -> plugin_core::Result<()> {
        Ok(())
    }

    /// Is async.
    ///
    /// # Errors
    /// When the plugin is gone.
    async fn alone(&self) -> plugin_core::Result<String>;

    /// Has arguments.
    ///
    /// # Errors
    /// When the plugin is gone.
    #[must_use = "it costs a call"]
    async fn wait(
        &self,
        name: &str,
        _unused: u8,
        _: u8,
        doc: &Doc<'_>,
        maybe: Option<&str>,
    ) -> plugin_core::Result<String>;

    /// Has too many arguments, as the user says.
    ///
    /// # Errors
    /// When the plugin is gone.
    #[expect(clippy::too_many_arguments, reason = "they are many")]
    #[allow(clippy::type_complexity)]
    async fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> plugin_core::Result<()>;

    /// Names lifetimes.
    ///
    /// # Errors
    /// When the plugin is gone.
    async fn named<'a, 'b: 'a>(&self, docs: &'a [Doc<'b>], doc: &'b Doc<'b>) -> plugin_core::Result<()>;

    /// Waits with defaults, see [`Self::wait`].
    ///
    /// # Errors
    /// When the plugin is gone.
    async fn optional_wait(&self, _unused: u8, doc: &Doc<'_>, mut text: Cow<'_, str>) -> plugin_core::Result<String> {
        text.to_mut().push_str(doc.text);
        if text.is_empty() {
            return self.alone().await;
        }
        self.wait(&text, 1, 2, doc, None).await
    }

    /// Old.
    ///
    /// # Errors
    /// When the plugin is gone.
    #[deprecated(note = "use `wait`")]
    #[expect(unused_variables, reason = "the body is moved, and this with it")]
    async fn old_wait(&self, name: &str) -> plugin_core::Result<()> {
        Ok(())
    }

    /// Is outside.
    #[must_use]
    fn outside(name: &str) -> Self
    where
        Self: Sized;
}

/// Implements it.
#[derive(Debug)]
pub struct English {
    name: String,
}

#[plugin_core::plugin_interface]
impl Greeter for English {
    fn greet(&self, name: &str, _unused: u8, _: u8) -> plugin_core::Result<String> {
        Ok(name.to_owned())
    }

    async fn alone(&self) -> plugin_core::Result<String> {
        Ok(self.name.clone())
    }

    async fn wait(
        &self,
        name: &str,
        _unused: u8,
        _: u8,
        doc: &Doc<'_>,
        maybe: Option<&str>,
    ) -> plugin_core::Result<String> {
        let Some(maybe) = maybe else { return Err(plugin_core::Error::custom(name)) };
        std::future::ready(()).await;
        Ok(format!("{maybe}{}", doc.text))
    }

    async fn many(
        &self,
        mut a: u8,
        _b: u8,
        _c: u8,
        _d: u8,
        _e: u8,
        _f: u8,
        _g: u8,
        #[expect(unused_variables, reason = "an example")] h: u8,
    ) -> plugin_core::Result<()> {
        a += 1;
        if a == 7 { Ok(()) } else { Err(plugin_core::Error::custom("not seven")) }
    }

    async fn named<'a, 'b: 'a>(&self, docs: &'a [Doc<'b>], doc: &'b Doc<'b>) -> plugin_core::Result<()> {
        assert_eq!(docs[0].text, doc.text);
        loop {
            std::future::pending::<()>().await;
        }
    }

    #[expect(unused_variables, reason = "an example")]
    async fn optional_wait(&self, unused: u8, doc: &Doc<'_>, text: Cow<'_, str>) -> plugin_core::Result<String> {
        Ok(String::new())
    }

    fn outside(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

/// Old.
#[plugin_core::plugin_interface]
#[deprecated]
pub trait Old {
    /// Greets.
    ///
    /// # Errors
    /// When the plugin is gone.
    fn greet(&self) -> plugin_core::Result<()>;
}

#[plugin_core::plugin_interface]
#[doc(hidden)]
pub trait Hidden {
    #[doc(hidden)]
    fn greet(&self) -> plugin_core::Result<()> {
        Ok(())
    }
}

/// Is empty.
#[plugin_core::plugin_interface]
pub trait Empty {}

fn main() {}

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

    /// Is outside.
    #[must_use]
    fn outside(name: &str) -> Self
    where
        Self: Sized;
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

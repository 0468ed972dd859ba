//! What is configured away leaves nothing behind; alternatives may share a name.

#![deny(warnings)]
#![allow(missing_docs)]

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[cfg(any())]
    fn never(&self, what: Missing) -> Result<Missing>;
    #[cfg(any())]
    fn never_optional(&self, what: Missing) -> Result<Missing> {
        Missing
    }
    #[cfg(any())]
    fn never_outside() -> Missing
    where
        Self: Sized;
    #[cfg_attr(all(), cfg(any()))]
    fn not_now(&self, what: Missing) -> Result<Missing>;
    #[cfg(all())]
    fn always(&self) -> Result<()> {
        Ok(())
    }

    #[cfg(any())]
    async fn never_async(&self, what: &Missing) -> Result<Missing>;
    #[cfg(any())]
    async fn never_async_optional(&self, what: &Missing) -> Result<Missing> {
        Missing
    }
    #[cfg(all())]
    async fn wait(&self) -> Result<()>;
    #[cfg(any())]
    #[method(name = "sleep")]
    async fn sleep_handle(&self) -> Result<()>;
    #[cfg(all())]
    #[method(name = "sleep")]
    fn sleep_path(&self) -> Result<()>;

    #[cfg(any())]
    fn open(&self, handle: u64) -> Result<()>;
    #[cfg(all())]
    fn open(&self, path: &str) -> Result<()>;

    #[cfg(any())]
    #[method(name = "close")]
    fn close_handle(&self) -> Result<()>;
    #[cfg(all())]
    #[method(name = "close")]
    fn close_path(&self) -> Result<()>;
}

/// Has an `async fn` that does not exist, and no other.
#[plugin_interface]
pub trait Sync {
    #[cfg(any())]
    async fn never(&self, what: &Missing) -> Result<Missing>;
}

pub struct English;

#[cfg_attr(any(), plugin_interface)]
impl Sync for English {}

#[cfg_attr(all(), plugin_interface)]
#[cfg(all())]
impl Greeter for English {
    #[cfg(any())]
    async fn never_async(&self, what: &Missing) -> Result<Missing> {
        Missing
    }
    #[cfg(any())]
    async fn wait(&self) -> Result<Missing> {
        Missing
    }
    #[cfg(all())]
    async fn wait(&self) -> Result<()> {
        Ok(())
    }
    fn sleep_path(&self) -> Result<()> {
        Ok(())
    }
    fn open(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn close_path(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
#[cfg(any())]
impl Never for English {
    async fn wait(&self, what: Missing) -> Result<Missing> {
        Missing
    }
}

#[plugin_interface]
#[cfg(any())]
pub trait Never {
    async fn wait(&self, what: Missing) -> Result<Missing>;
    fn greet(&self, what: Missing) -> Result<Missing> {
        Missing
    }
}

fn main() {
    assert_eq!(GreeterMethods::NAMES, ["always", "wait", "sleep", "open", "close"]);
    assert_eq!(GreeterMethods::CLOSE_PATH, "close");
}

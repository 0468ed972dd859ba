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

#[plugin_interface]
#[cfg(any())]
pub trait Never {
    fn greet(&self, what: Missing) -> Result<Missing> {
        Missing
    }
}

fn main() {
    assert_eq!(GreeterMethods::NAMES, ["always", "open", "close"]);
    assert_eq!(GreeterMethods::CLOSE_PATH, "close");
}

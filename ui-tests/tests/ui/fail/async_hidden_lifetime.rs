//! A lifetime that is not written cannot be seen by the attribute.

use std::borrow::Cow;

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self, name: Cow<str>) -> Result<String>;
}

struct English;

#[plugin_interface]
impl Greeter for English {
    async fn greet(&self, name: Cow<str>) -> Result<String> {
        Ok(name.into_owned())
    }
}

fn main() {}

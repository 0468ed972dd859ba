use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet<'a>(&'a self, name: &'a str) -> Result<&'a str>;
    fn cow<'a>(&'a self, name: &'a str) -> Result<std::borrow::Cow<'a, str>>;
}

fn main() {}

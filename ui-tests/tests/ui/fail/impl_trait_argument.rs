use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: impl Into<String>) -> Result<String>;
}

fn main() {}

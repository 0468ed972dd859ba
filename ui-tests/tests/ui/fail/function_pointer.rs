use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: fn() -> String) -> Result<String>;
    fn greet_all(&self, names: Vec<fn() -> String>) -> Result<String>;
}

fn main() {}

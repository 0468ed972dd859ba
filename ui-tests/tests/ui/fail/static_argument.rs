use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: &'static str) -> Result<String>;
}

fn main() {}

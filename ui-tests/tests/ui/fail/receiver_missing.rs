use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(name: &str) -> Result<String>;
}

fn main() {}

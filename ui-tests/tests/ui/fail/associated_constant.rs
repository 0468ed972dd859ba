use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    const LANGUAGE: &'static str;
    fn greet(&self, name: &str) -> Result<String>;
}

fn main() {}

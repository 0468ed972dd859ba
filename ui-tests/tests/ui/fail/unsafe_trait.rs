use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub unsafe trait Greeter {
    fn greet(&self, name: &str) -> Result<String>;
}

fn main() {}

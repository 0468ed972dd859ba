use plugin_core::{Result, plugin_interface};

#[plugin_interface(version = "1")]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface(name = "a", name = "b")]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
}

fn main() {}

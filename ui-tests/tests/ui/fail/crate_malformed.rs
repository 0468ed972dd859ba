use plugin_core::{Result, plugin_interface};

#[plugin_interface(crate = 5)]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
}

fn main() {}

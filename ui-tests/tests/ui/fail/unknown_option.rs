use plugin_core::{Result, plugin_interface};

#[plugin_interface(nmae = "greeter", version = "1.0")]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
}

fn main() {}

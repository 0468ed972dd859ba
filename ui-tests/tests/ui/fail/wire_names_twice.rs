use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
    #[method(name = "greet")]
    fn welcome(&self) -> Result<String>;
}

fn main() {}

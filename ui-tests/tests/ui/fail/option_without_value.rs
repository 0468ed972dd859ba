use plugin_core::{Result, plugin_interface};

#[plugin_interface(name = 3, version)]
pub trait Greeter {
    #[method(timeout)]
    fn greet(&self) -> Result<String>;
    #[method]
    fn welcome(&self) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(timeout = "5 parsecs")]
    fn greet(&self) -> Result<String>;
    #[method(timeout = "0s")]
    fn welcome(&self) -> Result<String>;
}

fn main() {}

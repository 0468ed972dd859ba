use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(idempotent = true)]
    fn greet(&self) -> Result<String>;
    #[method(idempotent, idempotent)]
    fn welcome(&self) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(idempotent, oneway)]
    fn greet(&self) -> Result<()>;
}

fn main() {}

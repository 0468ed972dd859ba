use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, other: &dyn Greeter) -> Result<()>;
    fn keep(&self, other: Box<dyn Greeter>) -> Result<()>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, each: &mut dyn FnMut(String) -> Result<()>) -> Result<()>;
    fn watch(&self, done: &dyn Fn(u8)) -> Result<()>;
}

fn main() {}

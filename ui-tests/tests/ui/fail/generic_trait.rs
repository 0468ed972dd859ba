use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter<T> {
    fn greet(&self, name: T) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet<T: Into<String>>(&self, name: T) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: Option<Option<String>>) -> Result<String>;
    fn all(&self) -> Result<Vec<Option<std::option::Option<u8>>>>;
}

fn main() {}

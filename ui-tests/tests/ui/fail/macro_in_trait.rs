use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    include!("methods.rs");
    fn greet(&self, name: &str) -> Result<String>;
}

fn main() {}

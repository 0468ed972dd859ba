use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter: std::fmt::Debug + Send {
    fn greet(&self, name: &str) -> Result<String>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<String>
    where
        Self: Clone;
}

fn main() {}

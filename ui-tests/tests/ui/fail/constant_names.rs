use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn names(&self) -> Result<Vec<String>>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet<const N: usize>(&self, names: [String; N]) -> Result<String>;
}

fn main() {}

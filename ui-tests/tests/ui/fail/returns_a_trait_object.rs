use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn reader(&self) -> Result<Box<dyn std::io::Read>>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn all(&self, of: u8) -> Result<impl Iterator<Item = String>>;
}

fn main() {}

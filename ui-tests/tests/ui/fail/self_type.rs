use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn merge(&self, other: &Self) -> Result<()>;
}

fn main() {}

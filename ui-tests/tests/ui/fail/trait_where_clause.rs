use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter
where
    Self: Send,
{
    fn greet(&self) -> Result<String>;
}

fn main() {}

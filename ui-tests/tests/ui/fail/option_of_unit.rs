use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, loudly: Option<()>) -> Result<Option<()>>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

pub trait Listener: Send + Sync {
    fn hear(&self, text: &str) -> Result<()>;
}

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, listener: &dyn Listener) -> Result<()>;
}

fn main() {}

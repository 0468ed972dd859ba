use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(self: std::sync::Arc<Self>) -> Result<String>;
}

fn main() {}

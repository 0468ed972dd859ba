use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self, done: &mut dyn FnMut(u8)) -> Result<()>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<()>;
}

struct English;

#[plugin_interface]
impl Greeter for English {
    fn greet(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {}

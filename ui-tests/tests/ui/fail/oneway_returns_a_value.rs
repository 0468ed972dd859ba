use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(oneway)]
    fn greet(&self) -> Result<String>;

    #[method(oneway)]
    fn welcome(&self) -> std::result::Result<u8, plugin_core::Error> {
        Ok(1)
    }
}

fn main() {}

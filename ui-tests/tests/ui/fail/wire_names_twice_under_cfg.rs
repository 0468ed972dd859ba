use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[cfg(all())]
    fn greet(&self) -> Result<String>;
    #[cfg(not(any()))]
    #[method(name = "greet")]
    fn welcome(&self) -> Result<String>;
}

fn main() {}

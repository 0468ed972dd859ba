use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet_all(&self) -> Result<String>;
    #[allow(non_snake_case)]
    fn Greet_All(&self) -> Result<String>;
}

fn main() {}

use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Greeter {
    #[method(oneway)]
    fn greet(&self) -> u8;

    #[method(oneway)]
    fn farewell(&self) -> Result<(), String>;
}

fn main() {}

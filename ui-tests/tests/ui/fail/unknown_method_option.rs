use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(time_out = "5s")]
    fn greet(&self) -> Result<String>;
}

fn main() {}

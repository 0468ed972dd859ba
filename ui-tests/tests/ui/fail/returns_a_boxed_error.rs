use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> std::result::Result<String, Box<dyn std::error::Error>>;
}

fn main() {}

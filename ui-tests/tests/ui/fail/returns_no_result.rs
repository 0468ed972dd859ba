use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: &str) -> String;
}

fn main() {}

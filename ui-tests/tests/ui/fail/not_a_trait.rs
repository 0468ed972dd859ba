#[plugin_core::plugin_interface]
pub struct Greeter;

fn main() {}

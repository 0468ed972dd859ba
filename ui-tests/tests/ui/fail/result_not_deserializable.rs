use plugin_core::{Result, plugin_interface};

#[derive(serde::Serialize)]
pub struct Greeting;

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<Greeting>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

pub struct Person;

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, person: Person) -> Result<String>;
}

fn main() {}

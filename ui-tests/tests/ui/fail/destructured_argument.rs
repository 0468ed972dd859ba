use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, (first, last): (String, String)) -> Result<String> {
        Ok(first + &last)
    }
}

fn main() {}

//! A method is async in the trait and in its implementations, or in none of them.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self, name: &str) -> Result<String>;
    fn count(&self, of: &str) -> Result<u64>;
}

struct English;

#[plugin_interface]
impl Greeter for English {
    fn greet(&self, name: &str) -> Result<String> {
        Ok(name.to_owned())
    }

    async fn count(&self, of: &str) -> Result<u64> {
        Ok(of.len() as u64)
    }
}

fn main() {}

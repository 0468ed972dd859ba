use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn alone(&self) -> Result<String>;
    async fn greet(&self, name: &str, other: &str) -> Result<String>;
    async fn named<'a, 'b>(&self, name: &'a str, other: &'b str) -> Result<String>;
}

struct English;

impl Greeter for English {
    async fn alone(&self) -> Result<String> {
        Ok("Hello".to_owned())
    }

    async fn greet(&self, name: &str, other: &str) -> Result<String> {
        Ok(format!("Hello {name} and {other}"))
    }

    async fn named<'a, 'b>(&self, name: &'a str, other: &'b str) -> Result<String> {
        Ok(format!("Hello {name} and {other}"))
    }
}

fn main() {}

//! What is wrong in a body is told at its tokens, as if nothing had moved.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn tail(&self) -> Result<String>;
    async fn returned(&self, name: &str) -> Result<String>;
    async fn nothing(&self) -> Result<String>;
    async fn question(&self) -> Result<String>;
    async fn default_body(&self, count: u8) -> Result<String> {
        Ok(count)
    }
}

struct English;

#[plugin_interface]
impl Greeter for English {
    async fn tail(&self) -> Result<String> {
        Ok(5)
    }

    async fn returned(&self, name: &str) -> Result<String> {
        if name.is_empty() {
            return name;
        }
        Ok(nmae.to_owned())
    }

    async fn nothing(&self) -> Result<String> {
        self.tail().await;
    }

    async fn question(&self) -> Result<String> {
        let text = std::fs::read_to_string("file")?;
        Ok(text)
    }
}

fn main() {}

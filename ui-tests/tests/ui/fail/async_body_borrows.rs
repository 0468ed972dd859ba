//! The borrow checker speaks of the user's own names.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn unchangeable(&self, text: String) -> Result<String>;
    async fn moved(&self, text: String) -> Result<String>;
    async fn escapes(&self, text: &str) -> Result<()>;
    async fn parts(&self, pair: (Option<u8>, u8)) -> Result<u8>;
}

struct English;

fn spawn(_: impl Future<Output = ()> + Send + 'static) {}

#[plugin_interface]
impl Greeter for English {
    async fn unchangeable(&self, text: String) -> Result<String> {
        text.push('x');
        Ok(text)
    }

    async fn moved(&self, text: String) -> Result<String> {
        drop(text);
        Ok(text)
    }

    async fn escapes(&self, text: &str) -> Result<()> {
        spawn(async move { drop(text) });
        Ok(())
    }

    async fn parts(&self, (Some(a), b): (Option<u8>, u8)) -> Result<u8> {
        Ok(a + b)
    }
}

fn main() {}

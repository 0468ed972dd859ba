//! Lints see the user's code, and only that.

#![deny(unused, deprecated, unreachable_code)]

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self, name: &str, mut parts: (u8, u8)) -> Result<()> {
        Ok(())
    }
    async fn unread(&self, count: u8) -> Result<()>;
    async fn unreachable(&self) -> Result<()>;
    #[deprecated]
    async fn old(&self) -> Result<()>;
    #[must_use = "it takes long"]
    async fn slow(&self) -> Result<()>;
}

struct English;

#[plugin_interface]
impl Greeter for English {
    async fn greet(&self, name: &str, (first, _second): (u8, u8)) -> Result<()> {
        Ok(())
    }

    async fn unread(&self, mut count: u8) -> Result<()> {
        count = 7;
        Ok(())
    }

    async fn unreachable(&self) -> Result<()> {
        return Ok(());
        Err(plugin_core::Error::custom("late"))
    }

    async fn old(&self) -> Result<()> {
        self.greet("Ada", (1, 2)).await;
        self.slow();
        self.old().await
    }

    async fn slow(&self) -> Result<()> {
        let unused = 5;
        Ok(())
    }
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self) -> Result<()>;
}

struct English;

#[plugin_interface(name = "greeter", version = "1.0")]
impl Greeter for English {
    async fn greet(&self) -> Result<()> {
        Ok(())
    }
}

struct French;

#[plugin_interface]
impl Greeter for French {
    #[method(timeout = "5s")]
    async fn greet(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
impl French {
    async fn greet_twice(&self) -> Result<()> {
        self.greet().await
    }
}

fn main() {}

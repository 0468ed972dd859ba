//! What is refused of a method is refused of an async one, and its implementations have no mistakes of their own.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn change(&mut self) -> Result<()>;
    async fn consume(self, name: &str) -> Result<()>;
    async fn generic<T: Send>(&self, value: T) -> Result<()>;
    async fn nobody(name: &str) -> Result<()>;
    async fn nothing(&self);
    async fn borrows<'a>(&self, name: &'a str) -> Result<&'a str>;
    async fn fine(&self, name: &str, other: std::borrow::Cow<'_, str>) -> Result<()>;
    async fn defaulted(&self, mut name: String, _: Missing) -> Result<()> {
        name.push('x');
        self.fine(&name, 7).await
    }
}

struct English;

#[plugin_interface]
impl Greeter for English {
    async fn change(&mut self) -> Result<()> {
        Ok(())
    }
    async fn consume(self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn generic<T: Send>(&self, _: T) -> Result<()> {
        Ok(())
    }
    async fn nobody(_: &str) -> Result<()> {
        Ok(())
    }
    async fn nothing(&self) {}
    async fn borrows<'a>(&self, name: &'a str) -> Result<&'a str> {
        Ok(name)
    }
    async fn fine(&self, _: &str, _: std::borrow::Cow<'_, str>) -> Result<()> {
        Ok(())
    }
}

fn uses(greeter: &dyn Greeter) -> impl Future<Output = Result<()>> {
    greeter.fine("Ada", "Eve".into())
}

fn main() {}

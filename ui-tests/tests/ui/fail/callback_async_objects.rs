//! What is lent is shared between threads, which may poll its futures in turn.

use std::{cell::Cell, rc::Rc};

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Sink {
    async fn write(&self, text: &str) -> Result<()>;
}

#[plugin_interface]
pub trait Source {
    fn read(&self, sink: &dyn Sink) -> Result<()>;
    async fn read_later(&self, sink: &dyn Sink) -> Result<()>;
}

struct Unshared(Cell<usize>);

#[plugin_interface]
impl Sink for Unshared {
    async fn write(&self, text: &str) -> Result<()> {
        self.0.set(text.len());
        Ok(())
    }
}

struct Local;

#[plugin_interface]
impl Sink for Local {
    async fn write(&self, text: &str) -> Result<()> {
        let local = Rc::new(text);
        std::future::ready(()).await;
        drop(local);
        Ok(())
    }
}

struct Other;

async fn lend(source: &dyn Source) -> Result<()> {
    source.read(&Other)?;
    source.read_later(&Other).await
}

fn main() {}

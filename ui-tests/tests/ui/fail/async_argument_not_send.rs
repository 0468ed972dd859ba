//! The future of an async method holds the arguments.

use std::{cell::Cell, marker::PhantomData, rc::Rc};

use plugin_core::{Result, plugin_interface};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Local(u8, PhantomData<Rc<u8>>);

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Unshared(Cell<u8>);

#[plugin_interface]
pub trait Greeter {
    fn fine(&self, local: Local, lent: &Local, unshared: &Unshared) -> Result<()>;
    async fn also_fine(&self, unshared: Unshared) -> Result<Local>;
    async fn lent(&self, number: u8, local: &Local) -> Result<()>;
    async fn inside(&self, locals: Option<&[Local]>) -> Result<()>;
}

#[plugin_interface]
pub trait Moved {
    async fn owned(&self, local: Local) -> Result<()>;
    async fn unshared(&self, local: &Unshared) -> Result<()>;
}

struct English;

#[plugin_interface]
impl Moved for English {
    async fn owned(&self, _local: Local) -> Result<()> {
        Ok(())
    }

    async fn unshared(&self, local: &Unshared) -> Result<()> {
        local.0.set(7);
        Ok(())
    }
}

fn main() {}

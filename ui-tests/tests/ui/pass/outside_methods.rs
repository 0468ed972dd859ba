//! `where Self: Sized` keeps any method out of the interface, whatever its signature.

use std::rc::Rc;

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<()>;
    fn new(name: &str) -> Self
    where
        Self: Sized;
    fn boxed(self: Box<Self>, _: u8) -> Box<dyn Fn()>
    where
        Self: Sized;
    fn generic<T: Clone, const N: usize>(&mut self, values: [T; N]) -> Option<Option<T>>
    where
        T: Default,
        Self: Sized;
    fn each(&self, f: impl Fn(&str))
    where
        Self: Sized + Clone,
    {
        f("Ada")
    }
    fn all(&self) -> impl Iterator<Item = u8>
    where
        Self: Sized,
    {
        [1].into_iter()
    }
    #[allow(async_fn_in_trait)]
    async fn wait(&self)
    where
        Self: Sized;
    #[allow(async_fn_in_trait)]
    async fn wait_for<T>(&self, value: T) -> Option<T>
    where
        Self: Sized;
    #[allow(async_fn_in_trait)]
    async fn wait_by_default(&self, shared: Rc<u8>) -> Rc<u8>
    where
        Self: Sized,
    {
        self.wait_for(shared).await.unwrap()
    }
    async fn inside(&self) -> Result<()>;
}

#[derive(Clone)]
struct English;

/// An async method that is outside says so here, too, unless it is generic.
#[plugin_interface]
impl Greeter for English {
    fn greet(&self) -> Result<()> {
        Ok(())
    }
    fn new(_: &str) -> Self {
        Self
    }
    fn boxed(self: Box<Self>, _: u8) -> Box<dyn Fn()> {
        Box::new(|| ())
    }
    fn generic<T: Clone + Default, const N: usize>(&mut self, _: [T; N]) -> Option<Option<T>> {
        None
    }
    async fn wait(&self)
    where
        Self: Sized,
    {
        let unsendable = Rc::new(());
        std::future::ready(()).await;
        drop(unsendable);
    }
    async fn wait_for<T>(&self, value: T) -> Option<T> {
        std::future::ready(()).await;
        Some(value)
    }
    async fn inside(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let english = English::new("Ada");
    drop(english.wait_for(1));
    assert_eq!(GreeterMethods::NAMES, ["greet", "inside"]);
}

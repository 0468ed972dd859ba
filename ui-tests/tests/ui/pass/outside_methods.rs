//! `where Self: Sized` keeps any method out of the interface, whatever its signature.

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
}

fn main() {
    assert_eq!(GreeterMethods::NAMES, ["greet"]);
}

//! The four things an attribute makes of a trait.

use std::sync::Arc;

use plugin_core::{Implements, Interface, Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: &str) -> Result<String>;
    fn add(&self, a: i64, b: i64) -> Result<i64>;
}

struct English;

impl Greeter for English {
    fn greet(&self, name: &str) -> Result<String> {
        Ok(format!("Hello {name}"))
    }
    fn add(&self, a: i64, b: i64) -> Result<i64> {
        Ok(a + b)
    }
}

fn serve<I: ?Sized + Interface>(value: impl Implements<I>) {
    let _ = value.into_dispatcher();
}

fn shared<T: Greeter + Clone + std::fmt::Debug + 'static>(proxy: T) -> Arc<dyn Greeter> {
    Arc::new(proxy)
}

fn main() {
    serve::<dyn Greeter>(English);
    let _ = GreeterDispatcher::new(English);
    let _ = shared::<GreeterProxy>;
    assert_eq!(GreeterMethods::GREET, "greet");
    assert_eq!(GreeterMethods::NAMES, ["greet", GreeterMethods::ADD]);
}

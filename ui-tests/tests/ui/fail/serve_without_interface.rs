use plugin_core::{Interface, Result};

pub trait Greeter: Send + Sync {
    fn greet(&self) -> Result<String>;
}

fn connect<I: ?Sized + Interface>() {}

fn main() {
    connect::<dyn Greeter>();
}

use plugin_core::{Implements, Interface, Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<String>;
}

struct French;

fn serve<I: ?Sized + Interface>(_: impl Implements<I>) {}

fn main() {
    serve::<dyn Greeter>(French);
}

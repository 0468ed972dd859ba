use plugin_core::{Result, plugin_interface};

pub struct Stream<T>(T);
pub struct Remote<T: ?Sized>(Box<T>);

#[plugin_interface]
pub trait Greeter {
    fn lines(&self) -> Result<Stream<String>>;
    fn keep(&self, other: Remote<dyn Greeter>) -> Result<()>;
}

fn main() {}

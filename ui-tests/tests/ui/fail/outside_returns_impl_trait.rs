use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Greeter {
    fn all(&self) -> impl Iterator<Item = u8>
    where
        Self: Sized;
}

fn main() {}

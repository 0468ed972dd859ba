use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(oneway)]
    fn tell(&self, done: &mut dyn FnMut(u8)) -> Result<()>;

    #[method(oneway)]
    fn tell_all(&self, other: &dyn Greeter) -> Result<()>;
}

fn main() {}

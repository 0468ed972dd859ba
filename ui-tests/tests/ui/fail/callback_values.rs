use plugin_core::{Result, plugin_interface};

pub struct Opaque;

#[plugin_interface]
pub trait Greeter {
    fn takes(&self, each: &mut dyn FnMut(Opaque)) -> Result<()>;
    fn returns(&self, each: &mut dyn FnMut() -> Result<Opaque>) -> Result<()>;
    fn cannot_fail(&self, each: &mut dyn FnMut(u8) -> u8) -> Result<()>;
}

fn main() {}

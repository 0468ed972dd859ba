use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn shared(&self, each: &dyn FnMut(String) -> Result<()>) -> Result<()>;
    fn watch(&self, done: &dyn Fn(u8)) -> Result<()>;
    fn once(&self, done: &mut dyn FnOnce(u8)) -> Result<()>;
    fn boxed(&self, done: Box<dyn FnMut(u8)>) -> Result<()>;
    fn bounds(&self, done: &mut (dyn FnMut(u8) + Sync)) -> Result<()>;
    fn nested(&self, done: &mut dyn FnMut(&mut dyn FnMut(u8))) -> Result<()>;
    fn borrowed<'a>(&'a self, done: &mut dyn FnMut(u8) -> Result<&'a str>) -> Result<()>;
}

fn main() {}

//! Methods named like those that generated code calls, and traits in scope that give them to every type.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Codec {
    fn encode(&self, encode: &str) -> Result<String>;
    fn decode(&self, decode: u8) -> Result<u8>;
    fn call(&self, call: u8) -> Result<u8> {
        self.decode(call)
    }
    fn new(&self) -> Result<()>;
    fn clone(&self) -> Result<()>;
    fn supports(&self) -> Result<()>;
    fn dispatch(&self) -> Result<()>;
    fn descriptor(&self) -> Result<()>;
    fn finish(&self, from: Vec<u8>) -> Result<()>;
    fn map_err(&self) -> Result<()>;
}

trait Everything {
    fn encode(&self) {}
    fn decode(&self) {}
    fn call(self)
    where
        Self: Sized,
    {
    }
    fn supports(&self) {}
    fn array(&self) {}
    fn finish(&self) {}
    fn send(&self) {}
    fn receive(&self) {}
}

impl<T: ?Sized> Everything for T {}

fn main() {
    Everything::encode("used");
    assert_eq!(CodecMethods::NAMES.len(), 10);
}

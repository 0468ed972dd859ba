//! A stream can be read by whoever has it, and by nobody else.

use plugin_core::{ByteStream, Result, Stream};

#[plugin_core::plugin_interface]
pub trait Reads {
    fn one(&self, numbers: &Stream<u64>) -> Result<u64>;
    fn perhaps(&self, numbers: Option<&Stream<u64>>) -> Result<u64>;
    fn many(&self, numbers: &[plugin_core::Stream<u64>]) -> Result<u64>;
    fn bytes(&self, bytes: &ByteStream) -> Result<u64>;
    fn taken(&self, numbers: Stream<u64>, bytes: Option<ByteStream>, names: &[String]) -> Result<u64>;
}

fn main() {}

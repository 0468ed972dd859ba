use plugin_core::{ByteStream, Result, Stream, plugin_interface};

#[plugin_interface]
pub trait Table {
    fn scan(&self, rows: &mut Stream<u64>) -> Result<()>;
    fn read(&self, bytes: &mut ByteStream) -> Result<()>;
    fn rows(&self) -> Result<Stream<&str>>;
}

fn main() {}

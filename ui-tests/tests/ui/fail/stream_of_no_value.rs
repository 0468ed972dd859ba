use plugin_core::{Result, Stream, plugin_interface};

pub struct Row;

#[plugin_interface]
pub trait Table {
    fn scan(&self) -> Result<Stream<Row>>;
    fn load(&self, rows: Stream<Row>) -> Result<()>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Store {
    fn write(&self, name: &str, content: &[u8], checksum: Option<&[u8]>) -> Result<()>;
    fn write_all(&self, contents: &[&[u8]]) -> Result<()>;
    fn write_entry(&self, entry: (&str, &[u8])) -> Result<()>;
}

fn main() {}

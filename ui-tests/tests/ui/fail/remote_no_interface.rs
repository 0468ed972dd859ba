use plugin_core::{Remote, plugin_interface};

pub trait Ordinary {}

#[plugin_interface]
pub trait Takes {
    fn take(&self, object: Remote<dyn Ordinary>) -> plugin_core::Result<()>;
    fn give(&self) -> plugin_core::Result<Vec<Remote<String>>>;
}

fn main() {}

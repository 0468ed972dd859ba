use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Marked: Send + Sync + 'static {
    fn greet(&self) -> Result<()>;
}

#[plugin_interface]
pub trait HalfMarked: std::marker::Sync {
    fn greet(&self) -> Result<()>;
}

#[plugin_interface]
pub trait Unmarked {
    fn greet(&self) -> Result<()>;
}

fn is_shared<T: ?Sized + Send + Sync>() {}

fn main() {
    is_shared::<dyn Marked>();
    is_shared::<dyn HalfMarked>();
    is_shared::<dyn Unmarked>();
}

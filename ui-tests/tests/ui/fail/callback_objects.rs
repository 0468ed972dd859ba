use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn boxed(&self, other: Box<dyn Greeter>) -> Result<()>;
    fn mutable(&self, other: &mut dyn Greeter) -> Result<()>;
    fn bounds(&self, other: &(dyn Greeter + Send)) -> Result<()>;
    fn inside(&self, others: &[&dyn Greeter]) -> Result<()>;
    fn back(&self) -> Result<Box<dyn Greeter>>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    #[method(oneway = true)]
    fn greet(&self) -> Result<()>;

    #[method(oneway =)]
    fn welcome(&self) -> Result<()>;

    #[method(oneway, oneway)]
    fn farewell(&self) -> Result<()>;
}

fn main() {}

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    unsafe fn first(&self) -> Result<()>;
    extern "C" fn second(&self) -> Result<()>;
    const fn third(&self) -> Result<()>;
    fn fourth(&self, _: ...) -> Result<()>;
}

fn main() {}

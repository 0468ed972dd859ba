use plugin_core::{Result, plugin_interface};

#[plugin_interface(verison = "1.0")]
pub trait Greeter: Clone {
    type Greeting;
    fn mutable(&mut self) -> Result<()>;
    fn generic<T>(&self, value: T);
    fn twice(&self, name: &mut String, loudly: Option<()>) -> Result<&str>;
    #[method(timeout = "soon")]
    fn fine(&self) -> Result<()>;
}

fn main() {}

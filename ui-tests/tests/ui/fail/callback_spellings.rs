use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn hidden(&self, each: impl FnMut(u8)) -> Result<()>;
    fn hidden_mutable(&self, each: &mut impl FnMut(&str, [u8; 2]) -> Result<(), std::string::String>) -> Result<()>;
    fn pointer(&self, each: fn(line: &str) -> Result<Vec<u8>>) -> Result<()>;
    fn boxed(&self, each: Box<dyn FnMut(Option<String>, (u8, u8)) -> () + Send>) -> Result<()>;
    fn counted(&self, each: &std::sync::Arc<dyn Fn()>) -> Result<()>;
    fn for_ever(&self, each: &mut (dyn FnMut() + 'static)) -> Result<()>;
    async fn later(&self, each: impl FnOnce(u8)) -> Result<()>;
    fn inside(&self, each: Option<Box<dyn FnMut(u8)>>) -> Result<()>;
    fn two_mistakes(&self, each: impl Fn(&mut String)) -> Result<()>;
}

fn main() {}

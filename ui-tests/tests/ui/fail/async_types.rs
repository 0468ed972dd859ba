//! What does not fit is told of an async method once, and at the same place as of any other.

use plugin_core::{Result, plugin_interface};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct NoFrom;

#[plugin_interface]
pub trait Greeter {
    async fn returns_no_result(&self) -> String;
    async fn no_from(&self) -> std::result::Result<(), NoFrom>;
    #[method(oneway)]
    async fn oneway(&self) -> Result<u8>;
}

struct English;

#[plugin_interface]
impl Greeter for English {
    async fn returns_no_result(&self) -> String {
        String::new()
    }
    async fn no_from(&self) -> std::result::Result<(), NoFrom> {
        Ok(())
    }
    async fn oneway(&self) -> Result<u8> {
        Ok(1)
    }
}

fn main() {
    let _ = plugin_core::in_process::<dyn Greeter>(English);
}

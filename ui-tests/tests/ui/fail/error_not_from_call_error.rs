use plugin_core::plugin_interface;

#[derive(serde::Serialize, serde::Deserialize)]
pub enum GreetError {
    Shy,
}

#[plugin_interface]
pub trait Greeter {
    fn greet(&self) -> Result<String, GreetError>;
}

fn main() {}

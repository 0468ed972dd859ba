//! Results under any name, with any error that a failed call turns into.

use plugin_core::plugin_interface;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum GreetError {
    Shy,
    Plugin(plugin_core::Error),
}

impl From<plugin_core::Error> for GreetError {
    fn from(error: plugin_core::Error) -> Self {
        Self::Plugin(error)
    }
}

type Greeting<T = String> = Result<T, GreetError>;

#[plugin_interface]
pub trait Greeter {
    fn typed(&self) -> Result<String, GreetError>;
    fn alias(&self) -> Greeting;
    fn alias_with_value(&self) -> Greeting<Vec<u8>>;
    fn own(&self) -> plugin_core::Result<()>;
    fn bytes(&self) -> Result<Option<Vec<u8>>, plugin_core::Error>;
    fn error_as_value(&self) -> Result<Result<u8, String>, GreetError>;
}

fn main() {}

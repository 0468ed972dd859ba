//! What greeters can do.

use serde::{Deserialize, Serialize};

/// Greets people.
#[plugin_core::plugin_interface]
pub trait Greeter {
    /// Greets `name`.
    fn greet(&self, name: &str) -> Result<String, GreetError>;

    /// Adds. Where an error needs no type of its own, `plugin_core::Result` serves.
    fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>;

    /// A method with a default body is optional: for a plugin that was built before it existed, the host runs this one.
    fn farewell(&self, name: &str) -> Result<String, GreetError> {
        Ok(format!("Goodbye, {name}."))
    }
}

/// Errors keep their type on the way. One variant must hold the failure of the call itself.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum GreetError {
    /// There is nobody to greet.
    #[error("there is nobody to greet")]
    Nameless,
    /// The plugin could not be called.
    #[error(transparent)]
    Call(#[from] plugin_core::Error),
}

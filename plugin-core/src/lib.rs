//! Plugins as child processes behind an ordinary Rust trait.

mod client;
mod codec;
mod error;
mod interface;
#[doc(hidden)]
pub mod private;
mod protocol;
mod reply;
mod report;

pub use error::{Error, Result, StartStage};
pub use interface::{Implements, Interface};
pub use plugin_macros::plugin_interface;
pub use report::ExitReport;

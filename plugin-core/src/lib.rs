//! Plugins as child processes behind an ordinary Rust trait.

mod client;
mod codec;
mod connection;
mod deadline;
mod environment;
mod error;
mod host;
mod interface;
#[doc(hidden)]
pub mod private;
mod protocol;
mod reply;
mod report;
mod server;
mod transport;

pub use deadline::within;
pub use error::{Error, Result, StartStage};
pub use host::{
    Info, InterfaceInfo, Launcher, Output, OutputLine, OutputStream, Plugin, Process, State, attach, connect,
    in_process,
};
pub use interface::{Implements, Interface};
pub use plugin_macros::plugin_interface;
pub use report::ExitReport;
pub use server::{Server, serve};

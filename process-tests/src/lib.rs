//! The interfaces of the test plugins.
#![allow(clippy::missing_errors_doc, reason = "what fails and how is what the tests say")]

pub mod allocations;
pub mod callback;
#[cfg(unix)]
pub mod chaos;
#[cfg(unix)]
pub mod cutter;
#[cfg(unix)]
pub mod ledger;
pub mod lending;
mod nimble;
#[cfg(unix)]
pub mod raw;
pub mod remote;
mod sockets;
pub mod streams;
#[cfg(target_os = "linux")]
pub mod system;
mod watchdog;

pub use nimble::{Nimble, NimbleMethods};
pub use sockets::socket_base;
pub use watchdog::{eventually, watchdog};

use std::collections::BTreeMap;

use plugin_core::{Result, plugin_interface};
use serde::{Deserialize, Serialize};

/// How often this process has sent to local sockets, received from them, and waited for them so far; counted in debug builds.
#[cfg(unix)]
pub fn system_calls() -> [u64; 3] {
    let plugin_core::private::SystemCalls { sends, receives, waits } = plugin_core::private::system_calls();
    [sends, receives, waits]
}

/// A plugin that does what it is told, misbehaviour included.
#[plugin_interface(version = "1.2")]
pub trait Probe {
    /// The sum.
    fn add(&self, a: u64, b: u64) -> Result<u64>;

    /// The same bytes.
    fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>>;

    /// So many bytes.
    fn produce(&self, length: usize) -> Result<Vec<u8>>;

    /// How many bytes arrived.
    fn measure(&self, bytes: Vec<u8>) -> Result<usize>;

    /// A typed error, or its absence.
    fn check(&self, record: Record) -> Result<Record, ProbeError>;

    /// An error without a type of its own.
    fn fail(&self, message: &str) -> Result<()>;

    /// Answers after so many milliseconds.
    fn sleep(&self, milliseconds: u64) -> Result<()>;

    /// Never answers.
    #[method(timeout = "300ms")]
    fn hang(&self) -> Result<()>;

    /// Works until it is cancelled, then notes `number`.
    fn work(&self, number: u64) -> Result<()>;

    /// What the host runs where a plugin lacks it.
    fn describe(&self) -> Result<String> {
        Ok(format!("1 + 1 = {}", self.add(1, 1)?))
    }

    /// Never answers, and has no time limit.
    #[method(timeout = "none")]
    fn hang_forever(&self) -> Result<()>;

    /// Panics.
    fn panic(&self, message: &str) -> Result<()>;

    /// Ends the process.
    fn exit(&self, code: i32, last_words: &str) -> Result<()>;

    /// Prints so many bytes without a newline to standard output and standard error.
    fn print(&self, length: usize) -> Result<()>;

    /// Prints a line to each.
    fn say(&self, stdout: &str, stderr: &str) -> Result<()>;

    /// Starts a process that outlives a careless plugin; gives its id.
    fn spawn(&self) -> Result<u32>;

    /// An environment variable of the plugin.
    fn variable(&self, name: &str) -> Result<Option<String>>;

    /// Makes a call that never ends by itself, and notes after how many milliseconds the deadline of this one ended it.
    fn call_back_limit(&self) -> Result<u64>;

    /// Notes the number; gives how many were noted before.
    fn record(&self, number: u64) -> Result<u64>;

    /// Notes the number, then answers after so many milliseconds.
    fn record_and_sleep(&self, number: u64, milliseconds: u64) -> Result<()>;

    /// All numbers noted.
    fn recorded(&self) -> Result<Vec<u64>>;

    /// Notes the number in turn.
    #[method(oneway)]
    fn note(&self, number: u64) -> Result<()>;

    /// Notes the number in turn, if so many bytes came with it.
    #[method(oneway, timeout = "20s")]
    fn note_with(&self, number: u64, bytes: &[u8], length: usize) -> Result<(), ProbeError>;

    /// Holds up what comes behind it until `release` is called or the plugin stops, then notes the number.
    #[method(oneway)]
    fn hold(&self, number: u64) -> Result<()>;

    /// Lets `hold` go on.
    fn release(&self) -> Result<()>;

    /// Panics in turn.
    #[method(oneway)]
    fn panic_in_turn(&self, message: &str) -> Result<()>;

    /// Notes how many milliseconds the call has, `u64::MAX` for no limit.
    #[method(oneway)]
    fn note_remaining(&self) -> Result<()>;

    /// Where a plugin lacks it, the host notes the number by asking.
    #[method(oneway)]
    fn note_optionally(&self, number: u64) -> Result<()> {
        self.record(number).map(drop)
    }

    /// Prints a line in turn.
    #[method(oneway)]
    fn say_in_turn(&self, text: &str) -> Result<()>;

    /// All numbers noted, once there are so many.
    fn recorded_at_last(&self, count: usize) -> Result<Vec<u64>>;
    /// Adds a line to the file `journal`, does what `script` says for a run of that number, and gives the number, from 1.
    ///
    /// A script is words, the last of which is for all further runs: `exit`, `fail`, `hang`, `panic`, `return`.
    #[method(idempotent)]
    fn perform(&self, journal: &str, script: &str) -> Result<usize>;

    /// The same, not to be repeated.
    fn perform_once(&self, journal: &str, script: &str) -> Result<usize>;

    /// How often the plugin has sent, received and waited so far.
    #[cfg(unix)]
    fn system_calls(&self) -> Result<[u64; 3]>;

    /// Calls itself through a plugin of its own, so deep.
    fn nested_timeout(&self) -> Result<()>;
}

/// A method that plugins of another build have.
#[plugin_interface]
pub trait Other {
    /// The same text.
    fn other(&self, text: &str) -> Result<String>;
}

/// Something with structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// A name.
    pub name: String,
    /// Numbers by name.
    pub values: BTreeMap<String, f64>,
    /// Nested ones.
    pub parts: Vec<Record>,
}

/// What `check` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ProbeError {
    /// The record has no name.
    #[error("part {part} has no name")]
    Nameless {
        /// Which one.
        part: usize,
    },
    /// The call itself failed.
    #[error("{0}")]
    Call(String),
}

impl From<plugin_core::Error> for ProbeError {
    fn from(error: plugin_core::Error) -> Self {
        Self::Call(error.to_string())
    }
}

/// A plugin that counts its own allocations.
#[plugin_interface]
pub trait Counter {
    /// How often its process has allocated.
    fn allocations(&self) -> Result<u64>;

    /// How many bytes its process has allocated and not freed.
    fn live_bytes(&self) -> Result<i64>;

    /// How many bytes arrived.
    fn measure(&self, text: &str) -> Result<usize>;

    /// Nothing.
    fn ignore(&self, text: &str, number: u64) -> Result<()>;

    /// The same text.
    fn greet(&self, name: &str) -> Result<String>;

    /// The same bytes.
    fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>>;
}

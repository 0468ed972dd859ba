//! The interfaces of the test plugins.
#![allow(clippy::missing_errors_doc, reason = "what fails and how is what the tests say")]

#[cfg(unix)]
pub mod cutter;
#[cfg(unix)]
pub mod raw;
#[cfg(target_os = "linux")]
pub mod system;
mod watchdog;

pub use watchdog::watchdog;

use std::collections::BTreeMap;

use plugin_core::{Result, plugin_interface};
use serde::{Deserialize, Serialize};

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

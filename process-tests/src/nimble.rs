//! The interface of the async test plugin.

use plugin_core::{Result, plugin_interface};

/// A plugin with async methods beside sync ones.
#[plugin_interface]
pub trait Nimble {
    /// The sum, from a sync method.
    fn add(&self, a: u64, b: u64) -> Result<u64>;

    /// The sum, at once.
    async fn add_async(&self, a: u64, b: u64) -> Result<u64>;

    /// The same bytes, lent across an await.
    async fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>>;

    /// Answers after so many milliseconds, and gives the number.
    async fn nap(&self, number: u64, milliseconds: u64) -> Result<u64>;

    /// The same with tokio's clock; fails where the plugin runs without it.
    async fn nap_on_tokio(&self, number: u64, milliseconds: u64) -> Result<u64>;

    /// Answers with the number once the gate of that name is opened.
    async fn wait(&self, number: u64, gate: &str) -> Result<u64>;

    /// Opens a gate.
    fn open(&self, gate: &str) -> Result<()>;

    /// Awaits so many times, then waits for ever.
    async fn linger(&self, awaits: u32) -> Result<()>;

    /// How many calls of `linger` and `wait` have begun, and how many of them have been dropped unfinished.
    fn lingered(&self) -> Result<(u64, u64)>;

    /// Answers after so many awaits; counted as those of `linger` are.
    async fn step(&self, awaits: u32) -> Result<u32>;

    /// Notes the number after an await; gives how many were noted before.
    async fn record(&self, number: u64) -> Result<u64>;

    /// The same, at once.
    fn record_at_once(&self, number: u64) -> Result<u64>;

    /// Answers after so many milliseconds of a thread.
    fn sleep(&self, milliseconds: u64) -> Result<()>;

    /// What `remaining` says in a plugin of this plugin's, after an await.
    async fn remaining_deeper(&self) -> Result<(Option<u64>, bool)>;

    /// Ends the runtime in which it is served, where the plugin was told to have one that ends.
    fn end_runtime(&self) -> Result<()>;

    /// Blocks its thread for so many milliseconds.
    async fn block(&self, milliseconds: u64) -> Result<()>;

    /// Panics after an await.
    async fn panic_later(&self, message: &str) -> Result<()>;

    /// How many milliseconds the call has left after an await, and whether it is cancelled then.
    async fn remaining(&self) -> Result<(Option<u64>, bool)>;

    /// Notes the number, awaits, and notes it again.
    #[method(oneway)]
    async fn note_twice(&self, number: u64) -> Result<()>;

    /// What was noted.
    fn noted(&self) -> Result<Vec<u64>>;

    /// Adds a line to the file `journal`; the first run ends the process after an await.
    #[method(idempotent)]
    async fn perform(&self, journal: &str) -> Result<usize>;

    /// Ends the process after an await.
    async fn exit(&self, code: i32) -> Result<()>;
}

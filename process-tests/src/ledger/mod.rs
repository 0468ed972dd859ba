//! A plugin that writes down every call it runs, so that what became of each can be told even after it was killed.
//!
//! Its methods pass whatever can be passed: bytes, streams, borrowed callbacks, objects.

mod account;
mod clerk;
mod entries;

pub(crate) use account::lock;
pub use account::{Account, Accounts, Own};
pub use entries::{Entries, Entry, Fault, Order, copied};

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::Path,
};

use fastrand::Rng;
use plugin_core::{ByteStream, Error, Remote, Result, Stream, plugin_interface};

/// A plugin that writes down every call it runs.
#[plugin_interface]
pub trait Ledger {
    /// Writes `id` down, as all methods do, then gives the [`receipt`].
    fn enter(&self, id: u64, bytes: &[u8], length: usize) -> Result<Vec<u8>>;

    /// Gives what was ordered.
    fn issue(&self, id: u64, order: Order) -> Result<Stream<Entry>>;

    /// Reads the first `most` of what was ordered; says what came.
    #[method(timeout = "2m")]
    fn collect(&self, id: u64, order: Order, most: u64, entries: Stream<Entry>) -> Result<Entries>;

    /// The same, in a task.
    #[method(timeout = "2m")]
    async fn collect_async(&self, id: u64, order: Order, most: u64, entries: Stream<Entry>) -> Result<Entries>;

    /// Gives each entry as it comes.
    fn pass_on(&self, id: u64, entries: Stream<Entry>) -> Result<Stream<Entry>>;

    /// Gives the bytes as they come.
    fn copy(&self, id: u64, bytes: ByteStream) -> Result<ByteStream>;

    /// Asks for each entry of what was ordered, by its number, and says what came.
    #[method(timeout = "2m")]
    fn ask(&self, id: u64, order: Order, answer: &mut dyn FnMut(u64) -> Result<Entry>) -> Result<Entries>;

    /// Tells each entry.
    #[method(timeout = "2m")]
    fn tell(&self, id: u64, order: Order, hear: &mut dyn FnMut(Entry)) -> Result<()>;

    /// Posts and notes all numbers below `count`.
    #[method(timeout = "2m")]
    fn report(&self, id: u64, count: u64, account: &dyn Account) -> Result<()>;

    /// A new account, which writes down what is posted and noted.
    fn open(&self, id: u64) -> Result<Remote<dyn Account>>;

    /// So many of them.
    fn open_many(&self, id: u64, count: u64) -> Result<Stream<Remote<dyn Account>>>;

    /// How much has been posted to an account that was [opened](Self::open) here.
    fn close(&self, id: u64, account: Remote<dyn Account>) -> Result<u64>;

    /// Posts and notes all numbers below `count` to an account of the host's.
    #[method(timeout = "2m")]
    fn settle(&self, id: u64, count: u64, account: Remote<dyn Account>) -> Result<()>;

    /// The same, of each that comes.
    #[method(timeout = "2m")]
    fn settle_many(&self, id: u64, count: u64, accounts: Stream<Remote<dyn Account>>) -> Result<()>;

    /// Keeps an account of the host's under the number `id`.
    fn keep(&self, id: u64, account: Remote<dyn Account>) -> Result<()>;

    /// Gives back what is kept under a number.
    fn give_back(&self, id: u64, kept: u64) -> Result<Option<Remote<dyn Account>>>;

    /// How many accounts and beginnings of streams there are in the plugin, and how many it keeps of the host's; writes nothing down.
    fn leftovers(&self) -> Result<(usize, usize)>;
}

/// What is right to answer: a digest of what was asked, and so many bytes that no other call has.
pub fn receipt(id: u64, bytes: &[u8], length: usize) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    (id, bytes, length).hash(&mut hasher);
    let mut receipt = hasher.finish().to_le_bytes().to_vec();
    receipt.extend(filling(!id, length));
    receipt
}

/// So many bytes that no other `id` has.
pub fn filling(id: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::with_seed(id).fill(&mut bytes);
    bytes
}

/// Runs the plugin; it writes to `journal`.
///
/// # Errors
/// When the journal cannot be opened, and as [`plugin_core::serve`].
pub fn run(journal: &Path) -> Result<()> {
    plugin_core::serve::<dyn Ledger>(clerk::Clerk::new(Journal::open(journal).map_err(Error::custom)?))
}

/// All ids that were ever written to `journal`, in order.
///
/// # Errors
/// When it cannot be read, or is not whole.
pub fn read(journal: &Path) -> io::Result<Vec<u64>> {
    let bytes = fs::read(journal)?;
    let entries = bytes.chunks(size_of::<u64>()).map(|entry| entry.try_into().map(u64::from_le_bytes));
    entries.collect::<Result<_, _>>().map_err(|_| io::Error::other("the journal ends inside an entry"))
}

struct Journal(File);

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        File::options().append(true).create(true).open(path).map(Self)
    }

    /// One `write` of the whole entry, not buffered: once it has returned, the entry outlives this process.
    fn enter(&self, id: u64) -> Result<()> {
        (&self.0).write_all(&id.to_le_bytes()).map_err(Error::custom)
    }
}

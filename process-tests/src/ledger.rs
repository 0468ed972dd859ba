//! A plugin that writes down every call it runs, so that what became of each can be told even after it was killed.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::Path,
};

use fastrand::Rng;
use plugin_core::{Error, Result, plugin_interface};

/// A plugin that writes down every call it runs.
#[plugin_interface]
pub trait Ledger {
    /// Writes `id` down, then gives the [`receipt`].
    fn enter(&self, id: u64, bytes: &[u8], length: usize) -> Result<Vec<u8>>;
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
    plugin_core::serve::<dyn Ledger>(Clerk { journal: Journal::open(journal).map_err(Error::custom)? })
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

struct Clerk {
    journal: Journal,
}

impl Ledger for Clerk {
    fn enter(&self, id: u64, bytes: &[u8], length: usize) -> Result<Vec<u8>> {
        self.journal.enter(id).map_err(Error::custom)?;
        Ok(receipt(id, bytes, length))
    }
}

struct Journal(File);

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        File::options().append(true).create(true).open(path).map(Self)
    }

    /// One `write` of the whole entry, not buffered: once it has returned, the entry outlives this process.
    fn enter(&self, id: u64) -> io::Result<()> {
        (&self.0).write_all(&id.to_le_bytes())
    }
}

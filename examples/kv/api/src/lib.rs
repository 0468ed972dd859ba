//! What the `kv` host and its plugins share: the interface, and the types that cross it.

use plugin_core::Stream;
use serde::{Deserialize, Serialize};

/// Keeps values by key, in the order of the keys.
///
/// What `put` and `delete` have answered is on disk: neither the end of the plugin nor that of the machine undoes it.
#[plugin_core::plugin_interface(version = "2.0")]
pub trait Store {
    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// [`StoreError::Storage`] if the data cannot be used, [`StoreError::Plugin`] if the plugin cannot be asked.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes `value` the value of `key`, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::BadKey`] if a store cannot have such a key; otherwise as [`get`](Self::get).
    fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key` and its value; gives whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Storage`] if the data cannot be used, [`StoreError::Plugin`] if the plugin cannot be asked.
    fn delete(&self, key: &str) -> Result<bool, StoreError>;

    /// The entries whose keys begin with `prefix`, in order, as they are now: what changes while the stream is read does not
    /// show in it. A stream that is neither read nor dropped keeps the store from using the space of older data again.
    ///
    /// # Errors
    /// [`StoreError::Storage`] if the data cannot be used, [`StoreError::Plugin`] if the plugin cannot be asked.
    fn scan(&self, prefix: &str) -> Result<Stream<Entry>, StoreError>;

    /// What changes from now on of the entries whose keys begin with `prefix`, in the order in which it is committed, whoever
    /// changes it. To miss nothing, watch first and [`scan`](Self::scan) then.
    ///
    /// The stream has no end but that of the store. It fails if its reader falls so far behind that changes would have to wait.
    ///
    /// # Errors
    /// [`StoreError::Plugin`] if the plugin cannot be asked.
    fn watch(&self, prefix: &str) -> Result<Stream<Change>, StoreError>;
}

/// The longest key of a store, in bytes.
pub const MAX_KEY: usize = 1024;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// What has changed in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A key has a value, be it the same as before.
    Put(Entry),
    /// A key and its value have gone.
    Deleted {
        /// The key.
        key: String,
    },
}

impl Change {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(Entry { key, .. }) | Self::Deleted { key } => key,
        }
    }
}

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum StoreError {
    /// A key is empty or too long.
    #[error("a key has 1 to {MAX_KEY} bytes, this one has {length}")]
    BadKey {
        /// Its length in bytes.
        length: usize,
    },
    /// The store cannot read or write its data.
    #[error("the store failed: {message}")]
    Storage {
        /// What the database said.
        message: String,
    },
    /// The plugin could not be asked.
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}

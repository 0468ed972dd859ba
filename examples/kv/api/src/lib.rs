//! What the `kv` host and its plugins share: the interface, and the types that cross it.

use serde::{Deserialize, Serialize};

/// Keeps values by key, in the order of the keys.
///
/// What `put` and `delete` have answered is on disk: neither the end of the plugin nor that of the machine undoes it.
#[plugin_core::plugin_interface(version = "1.0")]
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

    /// Up to `limit` entries whose keys begin with `prefix` and come after the key `after`, in order.
    ///
    /// There may be fewer, where the values are large. None at all means that there are no more: to see all entries, ask
    /// again with the last key as `after`.
    ///
    /// # Errors
    /// [`StoreError::Storage`] if the data cannot be used, [`StoreError::Plugin`] if the plugin cannot be asked.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError>;
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

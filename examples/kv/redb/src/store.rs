//! The store: one redb table.

use std::{
    error::Error,
    fmt::Display,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kv_api::{Change, Entry, MAX_KEY, Store, StoreError};
use plugin_core::Stream;
use redb::{Database, TableDefinition};

use crate::watchers::Watchers;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kv");

/// Any of redb's errors: it has one for each kind of step.
type Failure = Box<dyn Error>;

/// A store in one file. redb lets many read while one writes, and a commit returns once it is on disk.
pub(crate) struct RedbStore {
    database: Database,
    /// Locked from before a change until they are told, so that they hear of changes in the order of their commits. redb has one
    /// writer at a time as it is.
    watchers: Mutex<Watchers>,
}

impl RedbStore {
    /// Opens the store in `file`, which is made if it does not exist.
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        let database = Database::create(file)?;
        // From here on the table exists, also for those who only read.
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database, watchers: Mutex::default() })
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn write(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let mut watchers = self.watchers();
        let transaction = self.database.begin_write()?;
        transaction.open_table(TABLE)?.insert(key, value)?;
        transaction.commit()?;
        watchers.tell(&Change::Put(Entry { key: key.to_owned(), value: value.to_vec() }));
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<bool, Failure> {
        let mut watchers = self.watchers();
        let transaction = self.database.begin_write()?;
        let existed = transaction.open_table(TABLE)?.remove(key)?.is_some();
        transaction.commit()?;
        if existed {
            watchers.tell(&Change::Deleted { key: key.to_owned() });
        }
        Ok(existed)
    }

    /// The entries as of now, each looked up when it is asked for: the iterator holds the transaction, and so the state of now.
    fn range(&self, prefix: &str) -> Result<impl Iterator<Item = Result<Entry, Failure>> + use<>, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let prefix = prefix.to_owned();
        let entries = table.range(prefix.as_str()..)?.map(|found| {
            let (key, value) = found?;
            Ok(Entry { key: key.value().to_owned(), value: value.value().to_vec() })
        });
        // A failure is passed on.
        Ok(entries.take_while(move |entry: &Result<Entry, Failure>| {
            entry.as_ref().map_or(true, |entry| entry.key.starts_with(&prefix))
        }))
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for RedbStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key).map_err(failed)
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(StoreError::BadKey { length: key.len() });
        }
        self.write(key, value).map_err(failed)
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.remove(key).map_err(failed)
    }

    fn scan(&self, prefix: &str) -> Result<Stream<Entry>, StoreError> {
        let entries = self.range(prefix).map_err(failed)?;
        Ok(Stream::iter(entries.map(|entry| entry.map_err(plugin_core::Error::custom))))
    }

    fn watch(&self, prefix: &str) -> Result<Stream<Change>, StoreError> {
        Ok(self.watchers().add(prefix))
    }
}

fn failed(error: impl Display) -> StoreError {
    StoreError::Storage { message: error.to_string() }
}

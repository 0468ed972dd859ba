//! The store: one redb table.

use std::{error::Error, fmt::Display, ops::Bound, path::Path};

use kv_api::{Entry, MAX_KEY, Store, StoreError};
use redb::{Database, TableDefinition};

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kv");

/// A scan ends before it has more bytes of values than this, unless a single value has: a message has its limit too.
const MAX_SCAN: usize = 8 << 20;

/// Any of redb's errors: it has one for each kind of step.
type Failure = Box<dyn Error>;

/// A store in one file. redb lets many read while one writes, and a commit returns once it is on disk.
pub(crate) struct RedbStore {
    database: Database,
}

impl RedbStore {
    /// Opens the store in `file`, which is made if it does not exist.
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        let database = Database::create(file)?;
        // From here on the table exists, also for those who only read.
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn write(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(TABLE)?.insert(key, value)?;
        Ok(transaction.commit()?)
    }

    fn remove(&self, key: &str) -> Result<bool, Failure> {
        let transaction = self.database.begin_write()?;
        let existed = transaction.open_table(TABLE)?.remove(key)?.is_some();
        transaction.commit()?;
        Ok(existed)
    }

    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let (mut entries, mut size) = (Vec::new(), 0);
        for found in table.range::<&str>((start, Bound::Unbounded))? {
            let (key, value) = found?;
            size += value.value().len();
            let full = entries.len() == limit || (size > MAX_SCAN && !entries.is_empty());
            if full || !key.value().starts_with(prefix) {
                break;
            }
            entries.push(Entry { key: key.value().to_owned(), value: value.value().to_vec() });
        }
        Ok(entries)
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

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.range(prefix, after, limit).map_err(failed)
    }
}

fn failed(error: impl Display) -> StoreError {
    StoreError::Storage { message: error.to_string() }
}

//! Accounts: objects that are called by the other side.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plugin_core::{Error, Result, plugin_interface};

use super::{Entries, Journal};

/// What is called by whoever holds or borrows it.
#[plugin_interface]
pub trait Account {
    /// Adds a number; gives how many have been added.
    #[method(timeout = "2m")]
    fn post(&self, number: u64) -> Result<u64>;

    /// How many numbers have been added.
    fn balance(&self) -> Result<u64>;

    /// Notes a number in turn.
    #[method(oneway, timeout = "2m")]
    fn note(&self, number: u64) -> Result<()>;
}

/// Posts and notes all numbers below `count`.
pub(super) fn report(account: &dyn Account, count: u64) -> Result<()> {
    for number in 0..count {
        account.note(number)?;
        let posted = account.post(number)?;
        if posted != number + 1 {
            return Err(Error::custom(format!("{posted} numbers have been posted, not {}", number + 1)));
        }
    }
    Ok(())
}

/// An account of the plugin's: what is posted and noted are ids, which it writes down.
pub(super) struct Written {
    journal: Arc<Journal>,
    posted: Mutex<u64>,
    _guard: Arc<()>,
}

impl Written {
    /// One that holds `guard` as long as it is there.
    pub(super) fn new(journal: &Arc<Journal>, guard: &Arc<()>) -> Self {
        Self { journal: Arc::clone(journal), posted: Mutex::default(), _guard: Arc::clone(guard) }
    }
}

impl Account for Written {
    fn post(&self, number: u64) -> Result<u64> {
        self.journal.enter(number)?;
        let mut posted = lock(&self.posted);
        *posted += 1;
        Ok(*posted)
    }

    fn balance(&self) -> Result<u64> {
        Ok(*lock(&self.posted))
    }

    fn note(&self, number: u64) -> Result<()> {
        self.journal.enter(number)
    }
}

/// What was called of an account: to be posted, and to be noted.
pub type Accounts = (Entries, Entries);

/// An account of the host's, which holds the numbers against what must come: each once, and in order.
#[derive(Debug, Default)]
pub struct Own {
    called: Arc<Mutex<Accounts>>,
    _guard: Arc<()>,
}

impl Own {
    /// One that holds `guard` as long as it is there.
    pub fn new(guard: &Arc<()>) -> Self {
        Self { called: Arc::default(), _guard: Arc::clone(guard) }
    }

    /// What has come, also when the account is gone.
    pub fn called(&self) -> Arc<Mutex<Accounts>> {
        Arc::clone(&self.called)
    }
}

impl Account for Own {
    fn post(&self, number: u64) -> Result<u64> {
        let posted = &mut lock(&self.called).0;
        posted.take_number(number);
        Ok(posted.count)
    }

    fn balance(&self) -> Result<u64> {
        Ok(lock(&self.called).0.count)
    }

    fn note(&self, number: u64) -> Result<()> {
        lock(&self.called).1.take_number(number);
        Ok(())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

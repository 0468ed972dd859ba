//! What the plugin does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use plugin_core::{ByteStream, Error, Remote, Result, Stream, plugin_interface};

use super::{
    Account, Entries, Entry, Journal, Ledger, Order,
    account::{Written, lock, report},
    copied,
    entries::passed_on,
    receipt,
};

/// The plugin.
pub(super) struct Clerk {
    journal: Arc<Journal>,
    /// Held by all accounts and sources of streams.
    guard: Arc<()>,
    /// What is kept, by number.
    kept: Mutex<HashMap<u64, Remote<dyn Account>>>,
}

impl Clerk {
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal: Arc::new(journal), guard: Arc::default(), kept: Mutex::default() }
    }
}

#[plugin_interface]
impl Ledger for Clerk {
    fn enter(&self, id: u64, bytes: &[u8], length: usize) -> Result<Vec<u8>> {
        self.journal.enter(id)?;
        Ok(receipt(id, bytes, length))
    }

    fn issue(&self, id: u64, order: Order) -> Result<Stream<Entry>> {
        self.journal.enter(id)?;
        Ok(order.stream(&self.guard))
    }

    fn collect(&self, id: u64, order: Order, most: u64, mut entries: Stream<Entry>) -> Result<Entries> {
        self.journal.enter(id)?;
        let mut came = Entries::default();
        while came.count < most && came.fault.is_none() {
            let Some(entry) = entries.read() else { break };
            came.take(&order, &entry?);
        }
        Ok(came)
    }

    async fn collect_async(&self, id: u64, order: Order, most: u64, mut entries: Stream<Entry>) -> Result<Entries> {
        self.journal.enter(id)?;
        let mut came = Entries::default();
        while came.count < most && came.fault.is_none() {
            let Some(entry) = entries.read_async().await else { break };
            came.take(&order, &entry?);
        }
        Ok(came)
    }

    fn pass_on(&self, id: u64, entries: Stream<Entry>) -> Result<Stream<Entry>> {
        self.journal.enter(id)?;
        Ok(passed_on(entries, &self.guard))
    }

    fn copy(&self, id: u64, bytes: ByteStream) -> Result<ByteStream> {
        self.journal.enter(id)?;
        Ok(copied(bytes, &self.guard))
    }

    fn ask(&self, id: u64, order: Order, answer: &mut dyn FnMut(u64) -> Result<Entry>) -> Result<Entries> {
        self.journal.enter(id)?;
        let mut came = Entries::default();
        for number in 0..order.count {
            came.take(&order, &answer(number)?);
        }
        Ok(came)
    }

    fn tell(&self, id: u64, order: Order, hear: &mut dyn FnMut(Entry)) -> Result<()> {
        self.journal.enter(id)?;
        (0..order.count).for_each(|number| hear(order.entry(number)));
        Ok(())
    }

    fn report(&self, id: u64, count: u64, account: &dyn Account) -> Result<()> {
        self.journal.enter(id)?;
        report(account, count)
    }

    fn open(&self, id: u64) -> Result<Remote<dyn Account>> {
        self.journal.enter(id)?;
        Ok(Remote::new(Written::new(&self.journal, &self.guard)))
    }

    fn open_many(&self, id: u64, count: u64) -> Result<Stream<Remote<dyn Account>>> {
        self.journal.enter(id)?;
        let (journal, guard) = (Arc::clone(&self.journal), Arc::clone(&self.guard));
        Ok(Stream::iter((0..count).map(move |_| Ok(Remote::new(Written::new(&journal, &guard))))))
    }

    fn close(&self, id: u64, account: Remote<dyn Account>) -> Result<u64> {
        self.journal.enter(id)?;
        if !Remote::is_here(&account) {
            return Err(Error::custom("the account is not of this plugin"));
        }
        account.balance()
    }

    fn settle(&self, id: u64, count: u64, account: Remote<dyn Account>) -> Result<()> {
        self.journal.enter(id)?;
        report(&*account, count)
    }

    fn settle_many(&self, id: u64, count: u64, accounts: Stream<Remote<dyn Account>>) -> Result<()> {
        self.journal.enter(id)?;
        accounts.into_iter().try_for_each(|account| report(&*account?, count))
    }

    fn keep(&self, id: u64, account: Remote<dyn Account>) -> Result<()> {
        self.journal.enter(id)?;
        lock(&self.kept).insert(id, account);
        Ok(())
    }

    fn give_back(&self, id: u64, kept: u64) -> Result<Option<Remote<dyn Account>>> {
        self.journal.enter(id)?;
        Ok(lock(&self.kept).remove(&kept))
    }

    fn leftovers(&self) -> Result<(usize, usize)> {
        Ok((Arc::strong_count(&self.guard) - 1, lock(&self.kept).len()))
    }
}

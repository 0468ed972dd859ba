//! Objects either way: given, called, sent home, dropped.

use plugin_core::{Remote, Stream};

use super::{
    callers::{Caller, Reported},
    verdict::Faults,
};
use crate::ledger::{Ledger, Own};

impl Caller<'_> {
    /// Calls an account of the plugin's, and sends it home or drops it.
    pub(super) fn hold_account(&mut self, ledger: &dyn Ledger) {
        let Some(account) = self.begin(|id| ledger.open(id)) else { return };
        self.notes.passed.objects += 1;
        let other = account.clone();
        // Of a call without an answer nobody knows, as long as it may be under way.
        let (mut posted, mut unknown) = (0, 0);
        for _ in 0..self.random.u32(0..8) {
            if self.random.bool() {
                self.send(|id| other.note(id));
            } else {
                let may_be = posted + 1..=posted + 1 + unknown;
                let is_posted = self.call(|id| Ok(may_be.contains(&account.post(id)?)));
                (posted, unknown) = if is_posted { (posted + 1, unknown) } else { (posted, unknown + 1) };
            }
        }
        // Its last handle on this side may be the one that is sent.
        if self.random.bool() {
            drop(other);
        }
        if self.random.bool() {
            self.call(|id| Ok((posted..=posted + unknown).contains(&ledger.close(id, account)?)));
        }
    }

    /// Has the plugin call an account of this host's.
    pub(super) fn give_account(&mut self, ledger: &dyn Ledger) {
        let (count, id) = (self.random.u64(0..30), self.next_id());
        let account = Own::new(&self.guard);
        let called = account.called();
        let answer = ledger.settle(id, count, Remote::new(account));
        self.notes.passed.objects += 1;
        self.notes.reported.push(Reported { id, count, is_answered: answer.is_ok(), called });
        self.answered(id, answer.map(|()| true));
    }

    /// Calls some accounts of a stream of them.
    pub(super) fn hold_accounts(&mut self, ledger: &dyn Ledger) {
        let (count, most) = (self.random.u64(0..100), self.random.usize(0..100));
        let Some(accounts) = self.begin(|id| ledger.open_many(id, count)) else { return };
        let mut given = 0;
        for account in accounts.into_iter().take(most) {
            match account {
                Ok(account) => {
                    given += 1;
                    self.call(|id| Ok(account.post(id)? == 1));
                }
                Err(error) => return self.ended_early(&error),
            }
        }
        self.notes.passed.objects += given;
        if given < count.min(most as u64) {
            self.lost(format!("of {count} accounts {given} came, and no error"));
        }
    }

    /// Has the plugin call the accounts of a stream of them, one after the other.
    pub(super) fn give_accounts(&mut self, ledger: &dyn Ledger) {
        let (accounts, id) = (self.random.u64(0..20), self.next_id());
        let accounts: Vec<_> = (0..accounts).map(|_| Own::new(&self.guard)).collect();
        let called: Vec<_> = accounts.iter().map(Own::called).collect();
        let stream = Stream::iter(accounts.into_iter().map(|account| Ok(Remote::new(account))));
        let answer = ledger.settle_many(id, 3, stream);
        self.notes.passed.objects += called.len() as u64;
        let report = |called| Reported { id, count: 3, is_answered: answer.is_ok(), called };
        self.notes.reported.extend(called.into_iter().map(report));
        self.answered(id, answer.map(|()| true));
    }

    /// Has the plugin keep an account of this host's, and give it back.
    pub(super) fn get_account_back(&mut self, ledger: &dyn Ledger) {
        let (account, kept) = (Remote::new(Own::new(&self.guard)), self.next_id());
        let handle = if self.random.bool() { Some(Remote::clone(&account)) } else { None };
        let answer = ledger.keep(kept, account);
        self.notes.passed.objects += 1;
        if self.answered(kept, answer.map(|()| true)) {
            // Another process may have taken the place of the one that kept it.
            let may_be_gone = self.faults == Faults::Kills;
            self.call(|id| Ok(ledger.give_back(id, kept)?.map_or(may_be_gone, |account| Remote::is_here(&account))));
        }
        drop(handle);
    }
}

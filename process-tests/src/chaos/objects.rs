//! Objects either way: given, called, sent home, dropped.

use plugin_core::Remote;

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
        let mut posted = 0;
        for _ in 0..self.random.u32(0..8) {
            if self.random.bool() {
                self.send(|id| other.note(id));
            } else {
                posted += u64::from(self.call(|id| Ok(account.post(id)? == posted + 1)));
            }
        }
        // Its last handle on this side may be the one that is sent.
        if self.random.bool() {
            drop(other);
        }
        if self.random.bool() {
            self.call(|id| Ok(ledger.close(id, account)? == posted));
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

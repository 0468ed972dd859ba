//! What a call lends: closures with and without a result, and an account.

use super::callers::{Caller, Reported};
use crate::{
    ledger::{Entries, Entry, Ledger, Order, Own},
    streams::Make,
};

impl Caller<'_> {
    /// Answers what the plugin asks, and calls it now and then meanwhile.
    pub(super) fn be_asked(&mut self, ledger: &dyn Ledger) {
        let (order, id) = (self.few(), self.next_id());
        let mut asked = Entries::default();
        let answer = ledger.ask(id, order, &mut |number| {
            asked.take_number(number);
            if self.random.u32(0..8) == 0 {
                self.enter(ledger);
            }
            Ok(order.entry(number))
        });
        self.called_back("asked", &order, asked, answer.is_ok());
        self.answered(id, answer.map(|came| came == asked));
    }

    /// Hears what the plugin tells.
    pub(super) fn be_told(&mut self, ledger: &dyn Ledger) {
        let (order, id) = (self.few(), self.next_id());
        let mut heard = Entries::default();
        let answer = ledger.tell(id, order, &mut |entry: Entry| heard.take(&order, &entry));
        self.called_back("told", &order, heard, answer.is_ok());
        self.answered(id, answer.map(|()| true));
    }

    /// Lends an account.
    pub(super) fn lend_account(&mut self, ledger: &dyn Ledger) {
        let (count, id) = (self.random.u64(0..30), self.next_id());
        let account = Own::new(&self.guard);
        let answer = ledger.report(id, count, &account);
        let (is_answered, called) = (answer.is_ok(), account.called());
        self.notes.reported.push(Reported { id, count, is_answered, called });
        self.answered(id, answer.map(|()| true));
    }

    /// Holds what was called against what was to be called, which is all of it where the call was answered.
    fn called_back(&mut self, what: &str, order: &Order, came: Entries, is_answered: bool) {
        self.notes.passed.callbacks += came.count;
        self.compare(what, order, came, if is_answered { order.count } else { came.count });
    }

    /// A few entries, now and then so many that those who tell them must wait, or so large that they travel in fragments.
    fn few(&mut self) -> Order {
        let (count, length) = match self.random.u32(0..200) {
            0 => (self.random.u64(0..4), self.random.usize(0..200_000)),
            1..=4 => (self.random.u64(0..500), self.random.usize(0..100)),
            _ => (self.random.u64(0..20), self.random.usize(0..200)),
        };
        Order { id: self.random.u64(..), count, length, make: Make::Iter }
    }
}

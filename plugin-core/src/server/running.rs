//! The calls that are being answered, by number.

use std::{collections::HashMap, sync::Arc};

use super::{call::CallState, numbers::Numbers};

/// The calls that are being answered, or wait for a thread of the pool.
///
/// Most calls end before the next begins, on the thread that leads: so the last to begin is kept apart, and costs no look into a
/// table.
#[derive(Debug)]
pub(super) struct Running {
    last: Option<(u32, Arc<CallState>)>,
    others: HashMap<u32, Arc<CallState>, Numbers>,
}

impl Running {
    pub(super) fn new() -> Self {
        Self { last: None, others: HashMap::with_hasher(Numbers::new()) }
    }

    pub(super) fn begin(&mut self, number: u32, call: Arc<CallState>) {
        if let Some((number, call)) = self.last.replace((number, call)) {
            self.others.insert(number, call);
        }
    }

    /// Takes one from among them, to be dropped where nothing is locked: its task's waker is code of somebody else's.
    #[must_use = "it is to be dropped without the lock"]
    pub(super) fn end(&mut self, number: u32) -> Option<Arc<CallState>> {
        match self.last.take_if(|(last, _)| *last == number) {
            Some((_, call)) => Some(call),
            None => self.others.remove(&number),
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Arc<CallState>> {
        match &self.last {
            Some((last, call)) if *last == number => Some(call),
            _ => self.others.get(&number),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<CallState>> {
        self.last.iter().map(|(_, call)| call).chain(self.others.values())
    }

    pub(super) fn len(&self) -> usize {
        self.others.len() + usize::from(self.last.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_until_it_ends_whichever_others_begin_and_end() {
        let mut running = Running::new();
        let calls = [(); 3].map(|()| CallState::new(None));
        for (number, call) in (1..).zip(&calls) {
            running.begin(number, Arc::clone(call));
        }
        assert_eq!((running.len(), running.all().count()), (3, 3));
        for (number, call) in (1..).zip(&calls) {
            assert!(running.get(number).is_some_and(|found| Arc::ptr_eq(found, call)));
        }
        for number in [3, 1] {
            assert!(running.end(number).is_some() && running.end(number).is_none() && running.get(number).is_none());
        }
        assert!(running.get(2).is_some_and(|found| Arc::ptr_eq(found, &calls[1])));
        running.begin(4, Arc::clone(&calls[0]));
        assert!(running.end(2).is_some() && running.end(4).is_some());
        assert_eq!((running.len(), running.all().count()), (0, 0));
    }
}

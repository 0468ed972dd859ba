//! Waiting for the outbox to change, and for room in it: large messages, and oneway calls, in line.

use std::collections::VecDeque;

use super::Outbox;
use crate::{
    connection::{Connection, lock},
    protocol::frame::MAX_PAYLOAD,
    sync::{Instant, MutexGuard},
};

/// The place of whoever is not in line.
pub(super) const OUTSIDE: u64 = 0;

/// Who waits, in the order in which they came: whoever is next is the only one to look for room, so that a stream of small
/// messages never keeps a large one out.
#[derive(Debug, Default)]
pub(in crate::connection) struct Line {
    waiting: VecDeque<u64>,
    last: u64,
}

impl Line {
    /// Gives a place behind all others.
    pub(in crate::connection) fn join(&mut self) -> u64 {
        self.last += 1;
        self.waiting.push_back(self.last);
        self.last
    }

    pub(in crate::connection) fn leave(&mut self, place: u64) {
        self.waiting.retain(|waiting| *waiting != place);
    }

    pub(in crate::connection) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody is before `place`.
    pub(in crate::connection) fn lets(&self, place: u64) -> bool {
        self.waiting.front().is_none_or(|first| *first == place)
    }
}

impl Connection {
    /// Waits until a message of `length` bytes may be added or the connection has ended; `false` where neither came in time.
    pub(in crate::connection) fn wait_in_line<'a>(
        &'a self,
        mut outbox: MutexGuard<'a, Outbox>,
        length: usize,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Outbox>, bool) {
        let place = if length > MAX_PAYLOAD { outbox.large_line.join() } else { OUTSIDE };
        let admits = |outbox: &Outbox| outbox.admits(length, place);
        let (mut outbox, is_admitted) = self.wait_until(outbox, deadline, admits);
        outbox.large_line.leave(place);
        // Whoever is next in line may go now.
        self.changed.notify_all();
        (outbox, is_admitted)
    }

    /// Waits until `condition` holds or the connection has ended; `false` where neither came in time.
    pub(in crate::connection) fn wait_until<'a>(
        &'a self,
        mut outbox: MutexGuard<'a, Outbox>,
        deadline: Option<Instant>,
        condition: impl Fn(&Outbox) -> bool,
    ) -> (MutexGuard<'a, Outbox>, bool) {
        while outbox.end.is_none() && !condition(&outbox) {
            match self.wait_for_change(outbox, deadline) {
                Some(guard) => outbox = guard,
                None => return (lock(&self.outbox), false),
            }
        }
        (outbox, true)
    }

    /// Waits for a change; `None` once `deadline` has passed.
    fn wait_for_change<'a>(
        &self,
        mut outbox: MutexGuard<'a, Outbox>,
        deadline: Option<Instant>,
    ) -> Option<MutexGuard<'a, Outbox>> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        outbox.waiting += 1;
        let mut outbox = match left {
            None => self.changed.wait(outbox),
            Some(left) => self.changed.wait_timeout(outbox, left),
        };
        outbox.waiting -= 1;
        Some(outbox)
    }

    /// Lets those who wait look again.
    pub(in crate::connection) fn notify(&self, outbox: MutexGuard<'_, Outbox>) {
        let is_anybody_waiting = outbox.waiting > 0;
        drop(outbox);
        if is_anybody_waiting {
            self.changed.notify_all();
        }
    }
}

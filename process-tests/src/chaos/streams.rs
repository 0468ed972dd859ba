//! Streams either way: every entry once and in order, and an early end only where an error says why.

use std::{io::Read, time::Duration};

use plugin_core::{ByteStream, Error, Result, Stream, within};

use super::callers::{Caller, Outcome, Patience};
use crate::{
    ledger::{Entries, Entry, Ledger, Order, copied},
    streams::{Make, Pattern, digest},
};

/// How a stream is read here.
#[derive(Debug, Clone, Copy)]
enum Reading {
    /// By a thread that waits.
    Patient,
    /// By a thread that looks up again and again.
    Impatient(Duration),
    /// By a task.
    Task,
}

impl Reading {
    fn next<T>(self, stream: &mut Stream<T>) -> Option<Result<T>> {
        match self {
            Self::Patient => stream.read(),
            Self::Task => smol::block_on(stream.read_async()),
            Self::Impatient(limit) => loop {
                match within(limit, || stream.read()) {
                    Some(Err(Error::Timeout { .. })) => {}
                    next => return next,
                }
            },
        }
    }
}

impl Caller<'_> {
    /// Reads what the plugin produces, or the beginning of it.
    pub(super) fn read_stream(&mut self, ledger: &dyn Ledger) {
        let (order, most) = (self.order(), self.most());
        if let Some(mut entries) = self.begin(|id| ledger.issue(id, order)) {
            self.read(&order, most, &mut entries);
        }
    }

    /// Has the plugin read what is produced here, or the beginning of it.
    pub(super) fn give_stream(&mut self, ledger: &dyn Ledger) {
        let (order, most) = (self.order(), self.most());
        let entries = order.stream(&self.guard);
        let is_task = self.random.bool();
        let came = self.begin(|id| {
            if is_task {
                smol::block_on(ledger.collect_async(id, order, most, entries))
            } else {
                ledger.collect(id, order, most, entries)
            }
        });
        if let Some(came) = came {
            self.collected(&order, most, came);
        }
    }

    /// Has the plugin read what is produced here, and does not wait for it.
    pub(super) fn give_stream_to_nobody(&mut self, ledger: &dyn Ledger) {
        let (order, most, id) = (self.order(), self.most(), self.next_id());
        let mut call = ledger.collect_async(id, order, most, order.stream(&self.guard));
        let polls = self.random.u32(0..3);
        let polled = smol::block_on(async {
            for _ in 0..polls {
                if let Some(came) = smol::future::poll_once(&mut call).await {
                    return Some(came);
                }
                smol::future::yield_now().await;
            }
            None
        });
        match polled {
            None => self.ended(id, Outcome::Dropped),
            Some(came) => {
                if let Ok(came) = &came {
                    self.collected(&order, most, *came);
                }
                self.answered(id, came.map(|_| true));
            }
        }
    }

    fn collected(&mut self, order: &Order, most: u64, came: Entries) {
        self.notes.passed.items += came.count;
        self.compare("collected", order, came, most.min(order.count));
    }

    /// Reads what is produced here and passed on by the plugin.
    pub(super) fn pass_stream(&mut self, ledger: &dyn Ledger) {
        let (order, most) = (self.order(), self.most());
        let entries = order.stream(&self.guard);
        if let Some(mut entries) = self.begin(|id| ledger.pass_on(id, entries)) {
            self.read(&order, most, &mut entries);
        }
    }

    /// Reads bytes that are produced here and copied by the plugin.
    pub(super) fn copy_bytes(&mut self, ledger: &dyn Ledger) {
        let length = match self.random.u32(0..200) {
            0 => self.random.u64(0..3 << 20),
            1..=20 => self.random.u64(0..100_000),
            _ => self.random.u64(0..2000),
        };
        let bytes = copied(ByteStream::read_from(Pattern::new(length)), &self.guard);
        let Some(copy) = self.begin(|id| ledger.copy(id, bytes)) else { return };
        // Sometimes nobody reads the rest.
        let expected = if self.random.u32(0..10) == 0 { length / 2 } else { length };
        match digest(copy.take(expected)) {
            Ok(came) if digest(Pattern::new(expected)).ok() == Some(came) => self.notes.passed.items += 1,
            Ok((came, _)) => self.lost(format!("{came} bytes came instead of {expected}, or others")),
            Err(error) => {
                let why = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
                match why {
                    Some(why) => self.ended_early(why),
                    None => self.lost(format!("bytes ended with an error that says nothing: {error}")),
                }
            }
        }
    }

    /// Reads the first `most` of what was ordered.
    fn read(&mut self, order: &Order, most: u64, entries: &mut Stream<Entry>) {
        let reading = match self.random.u32(0..10) {
            0..=5 => Reading::Patient,
            // One that looks up has a limit of its own.
            6..=9 if self.patience == Patience::Short => Reading::Task,
            6..=7 => Reading::Task,
            _ => Reading::Impatient(Duration::from_micros(self.random.u64(0..2000))),
        };
        let mut came = Entries::default();
        let expected = loop {
            if came.count >= most || came.fault.is_some() {
                break most.min(order.count);
            }
            match reading.next(entries) {
                Some(Ok(entry)) => came.take(order, &entry),
                None => break most.min(order.count),
                Some(Err(error)) => {
                    self.ended_early(&error);
                    if !self.patience.brings(&error) && entries.read().is_some() {
                        self.repeated(format!("a stream went on behind its end: {error}"));
                    }
                    break came.count;
                }
            }
        };
        self.notes.passed.items += came.count;
        self.compare("read", order, came, expected);
    }

    /// Takes note of an early end, or of a late item.
    pub(super) fn ended_early(&mut self, why: &Error) {
        if self.patience.brings(why) {
            self.notes.passed.given_up += 1;
        } else if self.faults.bring(why, self.patience) {
            self.notes.passed.ended_early += 1;
        } else {
            self.lost(format!("a stream ended early: {why}"));
        }
    }

    /// Mostly few entries, and now and then more than a window has.
    pub(super) fn order(&mut self) -> Order {
        let (count, length) = match self.random.u32(0..1000) {
            0 => (self.random.u64(20_000..25_000), 100),
            1..=5 => (self.random.u64(0..8), self.random.usize(0..300_000)),
            6..=25 => (self.random.u64(0..2000), self.random.usize(0..100)),
            _ => (self.random.u64(0..40), self.random.usize(0..100)),
        };
        let make = Make::ALL[self.random.usize(0..Make::ALL.len())];
        Order { id: self.random.u64(..), count, length, make }
    }

    /// How much of a stream to read: mostly all of it.
    fn most(&mut self) -> u64 {
        if self.random.u32(0..5) == 0 { self.random.u64(0..100) } else { u64::MAX }
    }
}

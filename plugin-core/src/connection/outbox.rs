//! Sending: a queue, and at most one thread that writes from it.
//!
//! Whoever finds nobody writing writes one batch itself, without blocking. What then remains (the socket was full, or
//! more had been queued meanwhile) goes to the writer thread, so that no caller is held up writing for others.

use std::{
    io,
    sync::{Arc, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Connection, End, calls::Waiter, lock};
use crate::protocol::{Violation, message::Message, outgoing::Outgoing, outgoing::Withdrawn};

/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Outgoing,
    writing: Writing,
    /// Bytes taken from the queue that the writer thread must write first.
    unwritten: Vec<u8>,
    closed: Option<End>,
}

/// Who writes. Only the one named here touches the link's writing end, and only it goes back to `Nobody`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writing {
    #[default]
    Nobody,
    /// The thread that sent last, for one batch.
    Sender,
    /// The writer thread, until the queue is empty.
    Writer,
}

impl Outbox {
    /// Whether something is still to be written.
    pub(super) fn is_busy(&self) -> bool {
        self.closed.is_none() && (self.writing != Writing::Nobody || !self.queue.is_empty())
    }
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The connection has ended.
    Closed,
    /// There was no room until the deadline.
    Late,
}

impl Connection {
    /// Queues a message, waiting for room until `deadline`, and sees to it that it gets written.
    pub(crate) fn send(&self, message: Message, deadline: Option<Instant>) -> Result<(), Unsent> {
        let mut outbox = lock(&self.outbox);
        while outbox.closed.is_none() && !outbox.queue.has_room(message.payload.len()) {
            outbox = self.wait_for_room(outbox, deadline)?;
        }
        if outbox.closed.is_some() {
            return Err(Unsent::Closed);
        }
        outbox.queue.push(message);
        self.write_a_batch(outbox);
        Ok(())
    }

    /// Queues a message if there is room, without ever waiting: for the reader, which must not.
    pub(super) fn send_or_drop(&self, message: Message) {
        let mut outbox = lock(&self.outbox);
        if outbox.closed.is_none() && outbox.queue.has_room(message.payload.len()) {
            outbox.queue.push(message);
            self.write_a_batch(outbox);
        }
    }

    fn wait_for_room<'a>(
        &self,
        outbox: MutexGuard<'a, Outbox>,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'a, Outbox>, Unsent> {
        let Some(deadline) = deadline else {
            return Ok(self.room.wait(outbox).unwrap_or_else(PoisonError::into_inner));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Unsent::Late);
        }
        Ok(self.room.wait_timeout(outbox, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn write_a_batch(&self, mut outbox: MutexGuard<'_, Outbox>) {
        if outbox.writing != Writing::Nobody {
            return; // Whoever writes looks at the queue again before it stops.
        }
        outbox.writing = Writing::Sender;
        let mut batch = std::mem::take(&mut outbox.unwritten);
        outbox.queue.fill(&mut batch, self.received(), BATCH);
        drop(outbox);

        let written = self.write_without_waiting(&batch);
        let mut outbox = lock(&self.outbox);
        match written {
            Ok(count) if count == batch.len() && outbox.queue.is_empty() => {
                batch.clear();
                outbox.unwritten = batch; // Its memory serves the next batch.
                outbox.writing = Writing::Nobody;
                drop(outbox);
                self.room.notify_all();
            }
            Ok(count) => {
                batch.drain(..count);
                outbox.unwritten = batch;
                outbox.writing = Writing::Writer;
                drop(outbox);
                self.work.notify_all();
            }
            Err(_) => {
                drop(outbox);
                self.write_failed();
            }
        }
    }

    fn write_without_waiting(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.link.try_write(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// The writer thread: writes whenever the writing is handed to it, until the connection closes.
    pub(super) fn write_until_closed(self: &Arc<Self>) {
        let mut outbox = lock(&self.outbox);
        loop {
            while outbox.writing != Writing::Writer && outbox.closed.is_none() {
                outbox = self.work.wait(outbox).unwrap_or_else(PoisonError::into_inner);
            }
            if outbox.closed.is_some() {
                return;
            }
            let mut batch = std::mem::take(&mut outbox.unwritten);
            if batch.is_empty() {
                outbox.queue.fill(&mut batch, self.received(), BATCH);
            }
            drop(outbox);
            if self.write_all(&batch).is_err() {
                return self.write_failed();
            }
            batch.clear();
            outbox = lock(&self.outbox);
            outbox.unwritten = batch;
            if outbox.queue.is_empty() {
                outbox.writing = Writing::Nobody;
            }
            self.room.notify_all();
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.link.write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    /// The other side no longer reads. What it wrote before may still wait to be read, so the end is for the reader to
    /// find: closing the link lets it read what is there, then shows it the end.
    fn write_failed(&self) {
        self.link.close();
    }

    /// Takes back the request of `call` as far as it has not left.
    pub(super) fn withdraw(&self, call: u32) -> Withdrawn {
        let withdrawn = lock(&self.outbox).queue.withdraw(call);
        self.room.notify_all();
        withdrawn
    }

    pub(super) fn acknowledge(&self, count: u32) -> Result<(), Violation> {
        lock(&self.outbox).queue.acknowledge(count)
    }

    /// Closes for good; gives the callers to wake, or `None` if it was closed before.
    pub(super) fn close_outbox_and_calls(&self, end: &End) -> Option<Vec<Arc<Waiter>>> {
        let mut outbox = lock(&self.outbox);
        if outbox.closed.is_some() {
            return None;
        }
        outbox.closed = Some(end.clone());
        // With the outbox still locked: a call that registers later finds the calls closed, one that registered before
        // is among those to wake.
        let waiting = lock(&self.calls).close();
        Some(waiting)
    }

    /// How the connection has ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.outbox).closed.clone()
    }
}

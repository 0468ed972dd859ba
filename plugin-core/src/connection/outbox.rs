//! Sending: a queue, and at most one thread that writes from it.
//!
//! Whoever finds nobody writing writes one batch itself, without blocking. What then remains (the socket was full, or
//! more had been queued meanwhile) goes to the writer thread, so that no caller is held up writing for others. While there is
//! no link, messages wait in the queue.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Cause, Connection, End, calls::Waiter, lock};
use crate::{
    protocol::{
        Violation,
        frame::MAX_PAYLOAD,
        incoming::Received,
        message::Message,
        outgoing::{Outgoing, Withdrawn},
    },
    transport::Link,
};

/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    queue: Outgoing,
    link: Option<Arc<dyn Link>>,
    /// Which link that is, or was the last.
    generation: u64,
    writing: Writing,
    /// Bytes taken from the queue that the writer thread must write first.
    unwritten: Vec<u8>,
    /// How many threads wait for `Connection::changed`: a signal costs a system call, heard or not.
    waiting: usize,
    /// A link was shut out to make place for another, and nobody has been told that it is gone.
    has_untold_loss: bool,
    /// The senders of large messages that wait for room, in the order in which they came.
    in_line: VecDeque<u64>,
    last_in_line: u64,
    end: Option<End>,
}

/// Who writes to the present link. Only the one named here touches its writing end, and only it goes back to `Nobody`; a
/// new link starts with `Nobody`, and whoever still writes to the old one finds another generation and keeps out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writing {
    #[default]
    Nobody,
    /// The thread that sent last, for one batch.
    Sender,
    /// The writer thread, until the queue is idle.
    Writer,
}

impl Outbox {
    /// Whether something is still to be written.
    pub(super) fn is_busy(&self) -> bool {
        self.is_linked() && (self.writing != Writing::Nobody || !self.queue.is_idle())
    }

    pub(super) fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Forgets the link; what was handed out to it and not acknowledged is kept in the queue.
    pub(super) fn unlink(&mut self) -> Option<Arc<dyn Link>> {
        self.writing = Writing::Nobody;
        self.unwritten.clear();
        self.link.take()
    }

    /// As [`unlink`](Self::unlink), to make place for another link that may never come.
    pub(super) fn unlink_untold(&mut self) -> Option<Arc<dyn Link>> {
        self.has_untold_loss |= self.is_linked();
        self.unlink()
    }

    /// Whether it has to be told that a link is gone; once.
    pub(super) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.has_untold_loss)
    }

    /// Whether a message of `length` bytes may be added now. Large ones wait in line, or a stream of less large ones would
    /// keep the largest out for ever; small ones pass, as they do on the wire.
    fn admits(&self, length: usize, place: u64) -> bool {
        let is_next = self.in_line.front().is_none_or(|first| *first == place);
        self.queue.has_room(length) && (length <= MAX_PAYLOAD || is_next)
    }

    /// Takes a link into use whose other side has received `count` frames.
    pub(super) fn link(&mut self, link: Arc<dyn Link>, generation: u64, count: u32) -> Result<(), Violation> {
        self.queue.rewind(count)?;
        self.unlink();
        self.generation = generation;
        self.has_untold_loss = false;
        self.link = Some(link);
        Ok(())
    }

    /// The link and a batch for it, if somebody is to write now.
    fn begin_batch(&mut self, by: Writing) -> Option<(Arc<dyn Link>, u64, Vec<u8>)> {
        let link = self.link.clone()?;
        let mut batch = std::mem::take(&mut self.unwritten);
        if batch.is_empty() {
            self.queue.fill(&mut batch, BATCH);
        }
        self.writing = by;
        Some((link, self.generation, batch))
    }
}

/// What a connection leaves behind: a link to close, and callers to wake.
pub(super) struct LeftBehind {
    pub(super) link: Option<Arc<dyn Link>>,
    pub(super) waiting: Vec<Arc<Waiter>>,
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
    /// Queues a message, waiting for room until `deadline`, and sees to it that it gets written; gives it back if it cannot.
    pub(crate) fn send(&self, message: Message, deadline: Option<Instant>) -> Result<(), (Unsent, Message)> {
        let mut outbox = lock(&self.outbox);
        if !outbox.admits(message.payload.len(), 0) {
            let admitted;
            (outbox, admitted) = self.wait_in_line(outbox, message.payload.len(), deadline);
            if !admitted {
                return Err((Unsent::Late, message));
            }
        }
        if outbox.end.is_some() {
            return Err((Unsent::Closed, message));
        }
        outbox.queue.push(message);
        self.write_a_batch(outbox);
        Ok(())
    }

    /// Waits until a message of `length` bytes may be added or the connection has ended; `false` where neither came in time.
    fn wait_in_line<'a>(
        &'a self,
        mut outbox: MutexGuard<'a, Outbox>,
        length: usize,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Outbox>, bool) {
        outbox.last_in_line += 1;
        let place = outbox.last_in_line;
        if length > MAX_PAYLOAD {
            outbox.in_line.push_back(place);
        }
        let is_admitted = loop {
            if outbox.end.is_some() || outbox.admits(length, place) {
                break true;
            }
            if let Some(guard) = self.wait_for_change(outbox, deadline) {
                outbox = guard;
            } else {
                outbox = lock(&self.outbox);
                break false;
            }
        };
        outbox.in_line.retain(|waiting| *waiting != place);
        // Whoever is next in line may go now.
        self.changed.notify_all();
        (outbox, is_admitted)
    }

    /// Queues a short message that must not get lost, without ever waiting. Where the connection has ended, there is nobody
    /// to tell.
    pub(super) fn send_control(&self, message: Message) {
        let mut outbox = lock(&self.outbox);
        if outbox.end.is_some() {
            return;
        }
        if outbox.queue.has_room_for_control() {
            outbox.queue.push(message);
            return self.write_a_batch(outbox);
        }
        drop(outbox);
        self.close(Cause::Local("the other side asks without reading the answers"));
    }

    /// Sees to it that what waits gets written.
    pub(super) fn write_now(&self) {
        self.write_a_batch(lock(&self.outbox));
    }

    /// Waits for a change; `None` once `deadline` has passed.
    pub(super) fn wait_for_change<'a>(
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
            None => self.changed.wait(outbox).unwrap_or_else(PoisonError::into_inner),
            Some(left) => self.changed.wait_timeout(outbox, left).unwrap_or_else(PoisonError::into_inner).0,
        };
        outbox.waiting -= 1;
        Some(outbox)
    }

    /// Lets those who wait look again.
    fn notify(&self, outbox: MutexGuard<'_, Outbox>) {
        let is_anybody_waiting = outbox.waiting > 0;
        drop(outbox);
        if is_anybody_waiting {
            self.changed.notify_all();
        }
    }

    fn write_a_batch(&self, mut outbox: MutexGuard<'_, Outbox>) {
        if outbox.writing != Writing::Nobody || outbox.queue.is_idle() {
            return; // Whoever writes looks at the queue again before it stops.
        }
        let Some((link, generation, mut batch)) = outbox.begin_batch(Writing::Sender) else { return };
        drop(outbox);

        let written = write_without_waiting(&*link, &batch);
        let mut outbox = lock(&self.outbox);
        if outbox.generation != generation || outbox.link.is_none() {
            return; // The link is gone, and what was written to it will go out again if it did not arrive.
        }
        match written {
            Ok(count) if count == batch.len() && outbox.queue.is_idle() => {
                batch.clear();
                outbox.unwritten = batch; // Its memory serves the next batch.
                outbox.writing = Writing::Nobody;
                self.notify(outbox);
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
                end_link(&*link);
            }
        }
    }

    /// The writer thread: writes whenever the writing is handed to it, until the connection closes.
    pub(super) fn write_until_closed(self: &Arc<Self>) {
        let mut outbox = lock(&self.outbox);
        loop {
            while outbox.writing != Writing::Writer && outbox.end.is_none() {
                outbox = self.work.wait(outbox).unwrap_or_else(PoisonError::into_inner);
            }
            if outbox.end.is_some() {
                return;
            }
            let Some((link, generation, mut batch)) = outbox.begin_batch(Writing::Writer) else {
                outbox.writing = Writing::Nobody;
                continue;
            };
            drop(outbox);
            let written = write_all(&*link, &batch);
            if written.is_err() {
                end_link(&*link);
            }
            batch.clear();
            outbox = lock(&self.outbox);
            if outbox.generation == generation && outbox.link.is_some() {
                outbox.unwritten = batch;
                // A failed link is left to `Writer`, which has nothing to do until the reader has found its end.
                if written.is_err() {
                    outbox = self.wait_unlinked(outbox, generation);
                } else if outbox.queue.is_idle() {
                    outbox.writing = Writing::Nobody;
                }
            }
            self.changed.notify_all();
        }
    }

    /// Waits until the link of `generation` is gone.
    fn wait_unlinked<'a>(&self, mut outbox: MutexGuard<'a, Outbox>, generation: u64) -> MutexGuard<'a, Outbox> {
        while outbox.generation == generation && outbox.is_linked() && outbox.end.is_none() {
            outbox.waiting += 1;
            outbox = self.changed.wait(outbox).unwrap_or_else(PoisonError::into_inner);
            outbox.waiting -= 1;
        }
        outbox
    }

    /// Takes back the request of `call` as far as it has not left.
    pub(super) fn withdraw(&self, call: u32) -> Withdrawn {
        let mut outbox = lock(&self.outbox);
        let withdrawn = outbox.queue.withdraw(call);
        self.notify(outbox);
        withdrawn
    }

    /// Takes note of what both directions have received.
    pub(super) fn received(&self, acknowledged: u32, received: Received) -> Result<(), Violation> {
        let mut outbox = lock(&self.outbox);
        outbox.queue.acknowledge(acknowledged)?;
        outbox.queue.received(received);
        let is_anybody_waiting = outbox.waiting > 0;
        self.write_a_batch(outbox);
        if is_anybody_waiting {
            self.changed.notify_all(); // There may be room now.
        }
        Ok(())
    }

    /// Closes for good, where `condition` holds; gives what is to be told of it, or `None` if it was closed before.
    pub(super) fn close_outbox_and_calls(&self, end: &End, condition: fn(&Outbox) -> bool) -> Option<LeftBehind> {
        let mut outbox = lock(&self.outbox);
        if outbox.end.is_some() || !condition(&outbox) {
            return None;
        }
        outbox.end = Some(end.clone());
        // With the outbox still locked: a call that registers later finds the calls closed, one that registered before
        // is among those to wake.
        let waiting = lock(&self.calls).close();
        Some(LeftBehind { link: outbox.unlink(), waiting })
    }

    /// How the connection has ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.outbox).end.clone()
    }
}

fn write_without_waiting(link: &dyn Link, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match link.try_write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn write_all(link: &dyn Link, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match link.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// The other side no longer reads. What it wrote before may still wait to be read, so the end is for the reader to find:
/// closing the link lets it read what is there, then shows it the end.
fn end_link(link: &dyn Link) {
    link.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::memory;

    #[test]
    fn a_new_link_begins_with_a_whole_frame() {
        let ((old, _), (new, _)) = (memory::pair(), memory::pair());
        let mut outbox = Outbox::default();
        outbox.link(Arc::new(old), 1, 0).unwrap();
        outbox.unwritten = b"the rest of a frame".to_vec();
        outbox.link(Arc::new(new), 2, 0).unwrap();
        let (_, generation, batch) = outbox.begin_batch(Writing::Sender).unwrap();
        assert_eq!((generation, batch), (2, Vec::new()));
    }
}

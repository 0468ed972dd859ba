//! Sending: a queue, and at most one thread that writes from it.
//!
//! Whoever sends leaves its message to the thread that reads, if that is awake: it writes everything before it waits again.
//! Else, if nobody writes, the sender writes what waits, without blocking and not for ever. What then remains (the socket was
//! full) is written by whoever waits for the link next: the reader, the host's watcher, the thread of a handler; or by a
//! writer thread, where nobody can wait for a link and be interrupted. While there is no link, messages wait in the queue.

mod control;
mod line;
mod tasks;
mod writer;

use std::io::{self, IoSlice};

use super::{Connection, End, calls::milliseconds, lock, waiter::Woken};
use crate::{
    protocol::{
        Violation,
        batch::Batch,
        frame::{Kind, MAX_PAYLOAD},
        incoming::Received,
        message::Message,
        outgoing::{Outgoing, Withdrawn},
    },
    sync::{Arc, Instant, MutexGuard, atomic::Ordering, thread::ThreadId},
    transport::{Link, TICK},
};
use line::Line;
pub(super) use tasks::Next;
pub(crate) use tasks::yield_once;

/// About how many bytes are written at once.
const BATCH: usize = 512 * 1024;

/// In how many pieces a batch is written at once at most: of headers and parts of large messages, in turn.
const PIECES: usize = 20;

/// How many batches a sender writes at most: 2 MiB, for whoever sends something small has to wait for it. Others may go on
/// adding to the queue meanwhile.
const MAX_BATCHES: usize = 4;

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) queue: Outgoing,
    link: Option<Arc<dyn Link>>,
    /// Which link that is, or was the last.
    generation: u64,
    writing: Writing,
    /// Bytes taken from the queue that must be written first.
    unwritten: Batch,
    /// An empty batch, whose memory serves the next.
    spare: Batch,
    /// The thread that holds the reading is awake, and writes what there is before it waits.
    reader_writes: bool,
    /// The threads on which a task is going to write, once others there have added to it.
    task_writers: Vec<ThreadId>,
    /// There is a writer thread, which writes what others could not write at once.
    has_writer: bool,
    /// How many threads wait for `Connection::changed`: a signal costs a system call, heard or not.
    pub(super) waiting: usize,
    /// A link was shut out to make place for another, and nobody has been told that it is gone.
    has_untold_loss: bool,
    /// The senders of large messages that wait for room, in the order in which they came.
    large_line: Line,
    /// The senders of oneway calls that wait for room.
    pub(super) oneway_line: Line,
    end: Option<End>,
}

/// Who writes to the present link. Only the one named here touches its writing end, and only it goes back to `Nobody`; a
/// new link starts with `Nobody`, and whoever still writes to the old one finds another generation and keeps out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writing {
    #[default]
    Nobody,
    /// Some thread, without blocking.
    Sender,
    /// The writer thread, until the queue is idle.
    Writer,
}

impl Outbox {
    /// Whether something is still to be written.
    pub(super) fn is_busy(&self) -> bool {
        self.is_linked() && (self.writing != Writing::Nobody || !self.is_written())
    }

    fn is_written(&self) -> bool {
        self.unwritten.is_written() && self.queue.is_idle()
    }

    /// The present link.
    pub(super) fn present(&self) -> Option<&Arc<dyn Link>> {
        self.link.as_ref()
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
        self.reader_writes = false;
        self.unwritten.clear();
        self.link.take()
    }

    /// As [`unlink`](Self::unlink), to make place for another link that may never come.
    pub(super) fn unlink_untold(&mut self) -> Option<Arc<dyn Link>> {
        self.has_untold_loss |= self.is_linked();
        self.unlink()
    }

    /// How many threads wait for a change.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether anybody has a place in a line.
    #[cfg(test)]
    pub(super) fn is_anybody_in_line(&self) -> bool {
        !self.large_line.is_empty() || !self.oneway_line.is_empty()
    }

    /// Whether it has to be told that a link is gone; once.
    pub(super) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.has_untold_loss)
    }

    /// Whether a message of `length` bytes may be added now. Large ones wait in line, or a stream of less large ones would
    /// keep the largest out for ever; small ones pass, as they do on the wire.
    fn admits(&self, length: usize, place: u64) -> bool {
        self.queue.has_room(length) && (length <= MAX_PAYLOAD || self.large_line.lets(place))
    }

    /// Whether a oneway call of `length` bytes may be added now by whoever is next in line.
    pub(super) fn takes_oneway(&self, length: usize) -> bool {
        self.queue.may_send_oneway() && self.admits(length, line::OUTSIDE)
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
    fn begin_batch(&mut self, by: Writing) -> Option<(Arc<dyn Link>, u64, Batch)> {
        let link = self.link.clone()?;
        let mut batch = std::mem::take(&mut self.unwritten);
        if batch.is_written() {
            batch = std::mem::take(&mut self.spare);
            self.queue.fill(&mut batch, BATCH);
        }
        self.writing = by;
        Some((link, self.generation, batch))
    }
}

/// What a connection leaves behind: a link to close, callers to wake, and messages to drop where nothing is locked.
pub(super) struct LeftBehind {
    pub(super) link: Option<Arc<dyn Link>>,
    pub(super) waiting: Vec<Woken>,
    pub(super) unsent: Vec<Message>,
}

/// How much of what waits has been written, as far as the sender could tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it, or somebody else sees to the rest.
    #[default]
    Cared,
    /// The socket was full, and nobody is known to see to the rest.
    Partly,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The connection has ended.
    Closed,
    /// There was no room until the deadline.
    Late,
}

/// Says in a message what is left of its time, now that it need not wait for room any more; `false` if nothing is.
#[inline]
fn stamp(message: &mut Message, deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else { return true };
    let left = deadline.saturating_duration_since(Instant::now());
    if message.kind == Kind::Request {
        message.deadline = milliseconds(left);
    }
    !left.is_zero()
}

impl Connection {
    /// Queues a message, waiting for room until `deadline`, and sees to it that it gets written; gives it back if it cannot.
    pub(crate) fn send(&self, mut message: Message, deadline: Option<Instant>) -> Result<Sent, (Unsent, Message)> {
        let mut outbox = lock(&self.outbox);
        if !outbox.admits(message.length(), line::OUTSIDE) {
            let admitted;
            (outbox, admitted) = self.wait_in_line(outbox, message.length(), deadline);
            if !admitted {
                return Err((Unsent::Late, message));
            }
        }
        if !stamp(&mut message, deadline) {
            return Err((Unsent::Late, message));
        }
        self.push(outbox, message)
    }

    /// As [`send`](Self::send), without waiting: gives the message back where there is no room for it now.
    pub(crate) fn try_send(&self, message: Message) -> Result<Sent, Message> {
        let outbox = lock(&self.outbox);
        if !outbox.admits(message.length(), line::OUTSIDE) {
            return Err(message);
        }
        // Where the connection has ended, there is nobody to tell.
        self.push(outbox, message).or(Ok(Sent::Cared))
    }

    /// Queues a message for which there is room, unless the connection has ended.
    pub(super) fn push(&self, mut outbox: MutexGuard<'_, Outbox>, message: Message) -> Result<Sent, (Unsent, Message)> {
        if outbox.end.is_some() {
            return Err((Unsent::Closed, message));
        }
        outbox.queue.push(message);
        Ok(self.write_unless_reader_does(outbox))
    }

    /// Writes all that waits, from a thread that may be kept until then.
    pub(crate) fn write_rest(&self) {
        while self.write_now() {
            let Some(link) = lock(&self.outbox).present().cloned() else { return };
            // Where that fails, the reader finds the link's end, and the next link sees to the rest.
            if link.pollable().is_none_or(|link| link.wait(false, true, TICK).is_err()) {
                return;
            }
        }
    }

    /// Writes what waits; whether the socket was full and somebody must see to the rest.
    pub(crate) fn write_now(&self) -> bool {
        self.write(lock(&self.outbox)) == Sent::Partly
    }

    /// As [`write_now`](Self::write_now), for the thread that holds the reading of the link of `generation` and is going to
    /// wait. If that is not the latest, another thread does this for the one that is, and sees to the rest: this one, which
    /// waits for another link, would not.
    pub(super) fn write_before_waiting(&self, generation: u64) -> bool {
        let mut outbox = lock(&self.outbox);
        if outbox.generation != generation {
            return false;
        }
        // Under the lock that senders take: one that comes later finds the reader asleep, and writes.
        outbox.reader_writes = false;
        self.write(outbox) == Sent::Partly
    }

    pub(super) fn write_unless_reader_does(&self, outbox: MutexGuard<'_, Outbox>) -> Sent {
        if outbox.reader_writes { Sent::Cared } else { self.write(outbox) }
    }

    /// Writes without blocking, until nothing waits or the socket is full.
    fn write<'a>(&'a self, mut outbox: MutexGuard<'a, Outbox>) -> Sent {
        for _ in 0..MAX_BATCHES {
            if outbox.writing != Writing::Nobody || outbox.is_written() {
                return Sent::Cared; // Whoever writes looks at the queue again before it stops.
            }
            let Some((link, generation, mut batch)) = outbox.begin_batch(Writing::Sender) else { return Sent::Cared };
            let departed = outbox.queue.departed();
            drop(outbox);
            // Without the lock: it may be the last that refers to an object of the other side, whose release is sent then.
            drop(departed);
            let written = write_without_waiting(&*link, &mut batch);
            outbox = lock(&self.outbox);
            if outbox.generation != generation || outbox.link.is_none() {
                return Sent::Cared; // The link is gone; what was written to it goes out again if it did not arrive.
            }
            if written.is_err() {
                // Nobody writes to it any more: its reader finds the end.
                drop(outbox);
                end_link(&*link);
                return Sent::Cared;
            }
            outbox.writing = Writing::Nobody;
            if !batch.is_written() {
                outbox.unwritten = batch;
                break;
            }
            batch.clear();
            outbox.spare = batch;
        }
        self.leave_rest(outbox)
    }

    fn leave_rest(&self, mut outbox: MutexGuard<'_, Outbox>) -> Sent {
        if outbox.is_written() {
            self.notify(outbox);
            return Sent::Cared;
        }
        if !outbox.has_writer {
            return Sent::Partly;
        }
        outbox.writing = Writing::Writer;
        drop(outbox);
        self.work.notify_all();
        Sent::Cared
    }

    /// Takes back the request of `call` as far as it has not left.
    pub(super) fn withdraw(&self, call: u32) -> Withdrawn {
        let mut outbox = lock(&self.outbox);
        let withdrawn = outbox.queue.withdraw(call);
        self.notify(outbox);
        withdrawn
    }

    /// Takes note of what the other side has received, on the thread that reads and is awake now; whether somebody waits, and is to
    /// look again.
    pub(super) fn acknowledged(&self, count: u32) -> Result<bool, Violation> {
        let mut outbox = lock(&self.outbox);
        outbox.queue.acknowledge(count)?;
        outbox.reader_writes = outbox.is_linked();
        Ok(outbox.waiting > 0) // There may be room now.
    }

    /// Takes note of what this side has received.
    pub(super) fn received(&self, received: Received) {
        lock(&self.outbox).queue.received(received);
    }

    /// Closes for good, where `condition` holds; gives what is to be told of it, or `None` if it was closed before.
    pub(super) fn close_outbox_and_calls(&self, end: &End, condition: impl Fn(&Outbox) -> bool) -> Option<LeftBehind> {
        let mut outbox = lock(&self.outbox);
        if outbox.end.is_some() || !condition(&outbox) {
            return None;
        }
        outbox.end = Some(end.clone());
        self.has_ended.store(true, Ordering::Release);
        // With the outbox still locked: a call that registers later finds the calls closed, one that registered before
        // is among those to wake.
        let waiting = lock(&self.calls).close();
        // They may hold objects of the other side, and those the connection.
        let unsent = outbox.queue.abandon();
        Some(LeftBehind { link: outbox.unlink(), waiting, unsent })
    }

    /// How the connection has ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.outbox).end.clone()
    }
}

fn write_without_waiting(link: &dyn Link, batch: &mut Batch) -> io::Result<()> {
    while !batch.is_written() {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let count = pieces.iter_mut().zip(batch.unwritten()).map(|(piece, bytes)| *piece = IoSlice::new(bytes)).count();
        match link.try_write_pieces(&pieces[..count]) {
            Ok(0) => break,
            Ok(count) => batch.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
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
        outbox.unwritten.push(b"the rest of a frame");
        outbox.link(Arc::new(new), 2, 0).unwrap();
        let (_, generation, batch) = outbox.begin_batch(Writing::Sender).unwrap();
        assert_eq!((generation, batch.len()), (2, 0));
    }
}

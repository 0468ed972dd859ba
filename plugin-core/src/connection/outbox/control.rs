//! Short messages that must not get lost, and never wait: what is due to the other side, whether it reads or not.

use super::{Outbox, Sent};
use crate::{
    connection::{Cause, Connection, lock},
    protocol::message::Message,
    sync::{Arc, MutexGuard},
};

/// A short message, and what is left to do for it.
#[must_use = "the message may lie unwritten"]
pub(in crate::connection) enum Queued<'a> {
    /// There is nobody to tell any more.
    Ended,
    /// It is to be written.
    Unwritten(MutexGuard<'a, Outbox>),
    /// The other side has too many unread.
    NoRoom,
}

impl Connection {
    /// Queues a short message that must not get lost, without ever waiting. Where the connection has ended, there is nobody
    /// to tell.
    pub(crate) fn send_control(self: &Arc<Self>, message: Message) {
        self.send_queued(self.queue_control(message));
    }

    /// Only queues it. What is left to do is [`send_queued`](Self::send_queued)'s, once the caller holds no lock any more.
    pub(in crate::connection) fn queue_control(&self, message: Message) -> Queued<'_> {
        let mut outbox = lock(&self.outbox);
        if outbox.end.is_some() {
            Queued::Ended
        } else if outbox.queue.has_room_for_control() {
            outbox.queue.push(message);
            Queued::Unwritten(outbox)
        } else {
            Queued::NoRoom
        }
    }

    pub(in crate::connection) fn send_queued(self: &Arc<Self>, queued: Queued<'_>) {
        match queued {
            Queued::Ended => {}
            Queued::Unwritten(outbox) => {
                if self.write_unless_reader_does(outbox) == Sent::Partly {
                    self.handler.stalled(self);
                }
            }
            Queued::NoRoom => self.close(Cause::Local("the other side asks without reading the answers")),
        }
    }
}

//! Going on over a new link where the last one was cut.
//!
//! Both sides say how many frames they have received, and send again what the other has not. For that to be exact, nothing
//! may be received over the old link any more once the number is said. So resuming has two steps with the greeting between
//! them: [`begin_resume`](Connection::begin_resume) shuts the old link out and reads the number under one lock;
//! [`resume`](Connection::resume) takes the new link into use. If two try at once, the one that began last wins.

use std::{io, sync::Arc};

use super::{Connection, lock};
use crate::{
    protocol::{frame::Deframer, incoming::Incoming},
    transport::Link,
};

/// The generation of the link that a connection begins with.
const FIRST: u64 = 1;

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) incoming: Incoming,
    /// Which link may deliver: readers of older ones find another number here, and stop.
    pub(super) generation: u64,
}

impl Inbox {
    pub(super) fn new(max_message: usize) -> Self {
        Self { incoming: Incoming::new(max_message), generation: 0 }
    }
}

/// The right to bring the next link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resumption {
    generation: u64,
    received: u32,
}

impl Resumption {
    /// How many frames this side has received: what the other side is to go on from.
    pub(crate) fn received(self) -> u32 {
        self.received
    }
}

impl Connection {
    /// Shuts out the link there is, if any, and says what has been received.
    pub(crate) fn begin_resume(&self) -> Resumption {
        let mut inbox = lock(&self.inbox);
        inbox.generation += 1;
        // With the inbox still locked: whoever begins after this finds the outbox as this left it.
        let link = lock(&self.outbox).unlink_untold();
        let resumption = Resumption { generation: inbox.generation, received: inbox.incoming.received().frames };
        drop(inbox);
        if let Some(link) = link {
            link.close();
        }
        self.changed.notify_all();
        resumption
    }

    /// Takes a new link into use, whose other side has received `count` frames; `deframer` holds what came behind its
    /// greeting.
    ///
    /// Does nothing where another link was begun meanwhile, or the connection has ended: then the link closes.
    pub(crate) fn resume(
        self: &Arc<Self>,
        resumption: Resumption,
        link: Box<dyn Link>,
        deframer: Deframer,
        count: u32,
    ) -> io::Result<()> {
        let link: Arc<dyn Link> = link.into();
        let inbox = lock(&self.inbox);
        let mut outbox = lock(&self.outbox);
        if inbox.generation != resumption.generation || outbox.end().is_some() {
            link.close();
            return Ok(());
        }
        // The other side may have said a number that a later attempt has overtaken: then that attempt counts.
        if let Err(violation) = outbox.link(Arc::clone(&link), resumption.generation, count) {
            drop((outbox, inbox));
            link.close();
            return Err(io::Error::other(violation));
        }
        drop((outbox, inbox));
        self.changed.notify_all();
        if resumption.generation > FIRST {
            self.handler.resumed();
        }
        let read = Arc::clone(&link);
        let reading = self.spawn("plugin-core reader", move |reader| {
            reader.read_link(&*read, resumption.generation, deframer);
        });
        if let Err(error) = reading {
            link.close();
            self.link_lost(resumption.generation, format!("no thread could be started to read: {error}"));
            return Err(error);
        }
        self.write_now();
        Ok(())
    }

    /// Notes that a resumption has come to nothing, if nobody else will.
    pub(crate) fn resume_failed(self: &Arc<Self>, resumption: Resumption, reason: &str) {
        let is_present = lock(&self.inbox).generation == resumption.generation;
        if is_present && lock(&self.outbox).take_untold() {
            self.handler.lost(self, reason.into());
        }
    }

    /// Notes that the link of `generation` is gone, unless another has taken its place.
    pub(super) fn link_lost(self: &Arc<Self>, generation: u64, reason: String) {
        {
            let mut outbox = lock(&self.outbox);
            if outbox.generation() != generation || !outbox.is_linked() {
                return;
            }
            drop(outbox.unlink());
        }
        self.changed.notify_all();
        self.handler.lost(self, reason);
    }
}

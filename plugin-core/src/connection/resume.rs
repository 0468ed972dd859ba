//! Going on over a new link where the last one was cut.
//!
//! Both sides say how many frames they have received, and send again what the other has not. For that to be exact, nothing
//! may be received over the old link any more once the number is said. So resuming has two steps with the greeting between
//! them: [`begin_resume`](Connection::begin_resume) shuts the old link out and reads the number under one lock;
//! [`resume`](Connection::resume) takes the new link into use. If two try at once, the one that began last wins.

use std::io;

use super::{Connection, baton::Reading, greeting::GreetingError, lock, wait::Patience};
use crate::{
    protocol::{frame::Deframer, incoming::Incoming},
    sync::{Arc, atomic::Ordering},
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
        let link = {
            let mut outbox = lock(&self.outbox);
            lock(&self.calls).baton.renew(inbox.generation, None);
            if outbox.is_linked() {
                self.handler.unlinked();
            }
            outbox.unlink_untold()
        };
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
    ) -> Result<(), GreetingError> {
        let link: Arc<dyn Link> = link.into();
        // Before anybody reads: a read that has begun goes by what was set then.
        if let Some(link) = link.pollable().filter(|_| self.options.ticks) {
            link.tick()?;
        }
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
            return Err(violation.into());
        }
        let patience = Patience::new(self.options.yields);
        let reading = Box::new(Reading::new(Arc::clone(&link), resumption.generation, deframer, patience));
        // Told before anybody can read, and find that this link is gone, too.
        if resumption.generation > FIRST {
            self.handler.resumed();
        }
        // With all the locks, so that whoever sleeps is found, and whoever comes finds the reading.
        let unshared = self.offer(reading);
        drop((outbox, inbox));
        self.changed.notify_all();
        if let Err(error) = self.see_to_reading(unshared) {
            link.close();
            self.link_lost(resumption.generation, format!("nobody can read the connection: {error}"));
            return Err(error.into());
        }
        if self.write_now() {
            self.handler.stalled(self);
        }
        self.see_to_attendance();
        Ok(())
    }

    /// Lets callers read, where a link can be read in turn and somebody does while no caller does; else gives it back.
    fn offer(&self, reading: Box<Reading>) -> Option<Box<Reading>> {
        let mut calls = lock(&self.calls);
        let is_shared = reading.link.pollable().is_some() && self.handler.reads();
        self.is_shared.store(is_shared, Ordering::Relaxed);
        if !is_shared {
            calls.baton.renew(reading.generation, None);
            return Some(reading);
        }
        calls.baton.renew(reading.generation, Some(reading));
        calls.promote();
        None
    }

    fn see_to_reading(self: &Arc<Self>, unshared: Option<Box<Reading>>) -> io::Result<()> {
        if let Some(reading) = unshared {
            self.start_writer()?;
            return self.spawn("plugin-core reader", move |reader| reader.read_link(reading));
        }
        self.handler.linked(self)
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
            // Whoever reads another link meanwhile finds another generation, and has not come here.
            lock(&self.calls).baton.renew(generation, None);
            self.handler.unlinked();
            drop(outbox.unlink());
        }
        self.changed.notify_all();
        self.handler.lost(self, reason);
    }
}

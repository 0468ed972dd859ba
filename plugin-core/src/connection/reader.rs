//! Receiving: bytes to messages, and each message to whom it concerns.

use std::sync::Arc;

use super::{Cause, Connection, lock};
use crate::{
    protocol::{
        Violation,
        frame::{Deframer, Frame, Kind},
        message::Message,
    },
    transport::Link,
};

/// What became of a received frame.
enum Taken {
    Done,
    /// Another link has taken this one's place; what it still brings will come again there.
    Outdated,
}

impl Connection {
    /// The reader thread of one link.
    pub(super) fn read_link(self: &Arc<Self>, link: &dyn Link, generation: u64, mut deframer: Deframer) {
        let reason = loop {
            match self.take_frames(&mut deframer, generation) {
                Ok(Taken::Done) => {}
                Ok(Taken::Outdated) => return,
                Err(violation) => return self.close(Cause::Violation(violation)),
            }
            match link.read(deframer.space()) {
                Ok(0) if deframer.is_inside_frame() => break "the connection ended inside a frame".into(),
                Ok(0) => break "the other side closed the connection".into(),
                Ok(count) => deframer.filled(count),
                Err(error) => break format!("reading failed: {error}"),
            }
        };
        link.close();
        self.link_lost(generation, reason);
    }

    fn take_frames(self: &Arc<Self>, deframer: &mut Deframer, generation: u64) -> Result<Taken, Violation> {
        while let Some(frame) = deframer.next()? {
            if let Taken::Outdated = self.take_frame(&frame, generation)? {
                return Ok(Taken::Outdated);
            }
        }
        Ok(Taken::Done)
    }

    fn take_frame(self: &Arc<Self>, frame: &Frame<'_>, generation: u64) -> Result<Taken, Violation> {
        let mut inbox = lock(&self.inbox);
        if inbox.generation != generation {
            return Ok(Taken::Outdated);
        }
        let message = inbox.incoming.accept(frame)?;
        self.received(frame.header.ack, inbox.incoming.received())?;
        // With the inbox still locked, so that what the next link brings comes behind it.
        if let Some(message) = message {
            self.route(message);
        }
        Ok(Taken::Done)
    }

    fn route(self: &Arc<Self>, message: Message) {
        match message.kind {
            Kind::Request => self.handler.request(self, message),
            Kind::Value | Kind::Error | Kind::Failure | Kind::Pong => self.answered(message),
            Kind::Ping => self.send_control(Message::control(Kind::Pong, message.call)),
            Kind::Goodbye => self.handler.goodbye(),
            Kind::Cancel => self.handler.cancel(message.call),
            Kind::Ack | Kind::Hello | Kind::Welcome | Kind::Refused => {}
        }
    }
}

//! Receiving: bytes to messages, and each message to whom it concerns.

use std::sync::{Arc, atomic::Ordering};

use super::{Cause, Connection};
use crate::protocol::{
    Violation,
    frame::{Deframer, Frame, Kind},
    incoming::Incoming,
    message::Message,
};

impl Connection {
    /// The reader thread.
    pub(super) fn read_until_closed(self: &Arc<Self>, mut deframer: Deframer) {
        let mut incoming = Incoming::new(self.max_message);
        let cause = loop {
            if let Err(violation) = self.take_frames(&mut deframer, &mut incoming) {
                break Cause::Violation(violation);
            }
            match self.link.read(deframer.space()) {
                Ok(0) if deframer.is_inside_frame() => break Cause::Lost("the connection ended inside a frame".into()),
                Ok(0) => break Cause::Lost("the other side closed the connection".into()),
                Ok(count) => deframer.filled(count),
                Err(error) => break Cause::Lost(format!("reading failed: {error}")),
            }
        };
        self.close(cause);
    }

    fn take_frames(self: &Arc<Self>, deframer: &mut Deframer, incoming: &mut Incoming) -> Result<(), Violation> {
        while let Some(frame) = deframer.next()? {
            self.take_frame(&frame, incoming)?;
        }
        Ok(())
    }

    fn take_frame(self: &Arc<Self>, frame: &Frame<'_>, incoming: &mut Incoming) -> Result<(), Violation> {
        self.acknowledge(frame.header.ack)?;
        let message = incoming.accept(frame)?;
        self.received.store(incoming.received(), Ordering::Relaxed);
        if let Some(message) = message {
            self.route(message);
        }
        Ok(())
    }

    fn route(self: &Arc<Self>, message: Message) {
        match message.kind {
            Kind::Request => self.handler.request(self, message),
            Kind::Value | Kind::Error | Kind::Failure | Kind::Pong => self.answered(message),
            Kind::Ping => self.send_or_drop(Message::control(Kind::Pong, message.call)),
            Kind::Goodbye => self.handler.goodbye(),
            // Handlers cannot be told yet; what it dropped of an unfinished request, `Incoming` has dropped.
            Kind::Cancel | Kind::Ack | Kind::Hello | Kind::Welcome | Kind::Refused => {}
        }
    }
}

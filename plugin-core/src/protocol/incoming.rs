//! The receiving direction of a session: frames in, whole messages out.

use std::collections::HashMap;

use super::{
    Violation,
    frame::{Frame, Header, Kind, MAX_PAYLOAD, META, MORE},
    message::Message,
    outgoing::MEMORY,
};
use crate::buffer::Buffer;

/// How much one direction has received, both modulo their width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Counted frames.
    pub(crate) frames: u32,
    /// Bytes of their payloads.
    pub(crate) bytes: usize,
}

/// Puts fragments together and counts frames. It outlives connections, as `Outgoing` does.
#[derive(Debug)]
pub(crate) struct Incoming {
    received: Received,
    /// Messages of which only some fragments are here, by call and by whether they answer one of ours.
    partial: HashMap<(u32, bool), Message>,
    /// The bytes in `partial`; at most what an honest sender may have unfinished.
    partial_bytes: usize,
    max_message: usize,
}

impl Incoming {
    pub(crate) fn new(max_message: usize) -> Self {
        Self { received: Received::default(), partial: HashMap::new(), partial_bytes: 0, max_message }
    }

    /// How much to acknowledge.
    pub(crate) fn received(&self) -> Received {
        self.received
    }

    /// Whether some message has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Takes a frame; gives the message that it completes.
    ///
    /// The acknowledgement in its header is the caller's to pass on to the other direction.
    pub(crate) fn accept(&mut self, frame: &Frame<'_>) -> Result<Option<Message>, Violation> {
        let header = frame.header;
        if let Some(place) = self.continuation(&header)? {
            place.copy_from_slice(frame.payload);
            return Ok(self.continued(&header));
        }
        self.count(&header);
        let Some(kind) = Kind::from_wire(header.kind) else { return Ok(None) };
        match kind {
            Kind::Hello | Kind::Welcome | Kind::Refused => Err(Violation::UnexpectedKind(header.kind)),
            Kind::Ack => Ok(None),
            Kind::Request | Kind::Oneway | Kind::Value | Kind::Error | Kind::Failure => {
                self.begin(kind, &header, frame.payload)
            }
            Kind::Items if header.flags & MORE == 0 => Ok(Some(first(kind, &header, frame.payload))),
            _ if header.flags != 0 => Err(Violation::ReservedFlags(header.flags)),
            Kind::Cancel => {
                self.forget(header.call, false);
                Ok(Some(Message::control(kind, header.call)))
            }
            Kind::Items | Kind::End | Kind::Demand => Ok(Some(first(kind, &header, frame.payload))),
            Kind::Notice | Kind::Declare | Kind::Release => {
                self.check_length(kind, frame.payload.len())?;
                Ok(Some(first(kind, &header, frame.payload)))
            }
            Kind::Ping | Kind::Pong | Kind::Goodbye | Kind::Credit => Ok(Some(Message::control(kind, header.call))),
        }
    }

    /// Drops the fragments of a message whose rest will not come.
    fn forget(&mut self, call: u32, is_answer: bool) {
        if let Some(message) = self.partial.remove(&(call, is_answer)) {
            self.partial_bytes -= message.payload.len();
        }
    }

    fn count(&mut self, header: &Header) {
        if Kind::is_counted(header.kind) {
            self.received.frames = self.received.frames.wrapping_add(1);
            self.received.bytes = self.received.bytes.wrapping_add(header.length as usize);
        }
    }

    /// Takes the first fragment of a message, or all of it.
    #[inline]
    fn begin(&mut self, kind: Kind, header: &Header, payload: &[u8]) -> Result<Option<Message>, Violation> {
        let message = first(kind, header, payload);
        if header.flags & MORE == 0 {
            self.check_length(kind, payload.len())?;
            return Ok(Some(message));
        }
        check_fragment(header)?;
        self.check_partial(0, payload.len())?;
        self.partial_bytes += payload.len();
        self.partial.insert(key(header), message);
        Ok(None)
    }

    /// Where the payload of a fragment goes whose message has begun; `None` where the frame begins one, or is none.
    ///
    /// What is written there counts for nothing before [`continued`](Self::continued).
    pub(super) fn continuation(&mut self, header: &Header) -> Result<Option<&mut [u8]>, Violation> {
        let message = self.partial.get(&key(header)).filter(|_| is_message(header.kind));
        let Some(message) = message else { return Ok(None) };
        let matches = message.kind as u8 == header.kind
            && message.target == header.target
            && message.method == header.method
            && header.flags & META == 0;
        if !matches {
            return Err(Violation::MixedFragments(header.call));
        }
        check_fragment(header)?;
        self.check_partial(message.payload.len(), header.length as usize)?;
        let message = self.partial.get_mut(&key(header));
        Ok(message.map(|message| message.payload.space(header.length as usize)))
    }

    /// Takes the fragment whose payload is where [`continuation`](Self::continuation) said; gives the message that it
    /// completes.
    pub(super) fn continued(&mut self, header: &Header) -> Option<Message> {
        self.count(header);
        let message = self.partial.get_mut(&key(header))?;
        message.payload.grow(header.length as usize);
        self.partial_bytes += header.length as usize;
        if header.flags & MORE != 0 {
            return None;
        }
        let message = self.partial.remove(&key(header))?;
        self.partial_bytes -= message.payload.len();
        Some(message)
    }

    /// Whether there may be `added` bytes more in an unfinished message of `length`.
    fn check_partial(&self, length: usize, added: usize) -> Result<(), Violation> {
        if length + added > self.max_message {
            return Err(Violation::MessageTooLarge(self.max_message));
        }
        if self.partial_bytes + added > MEMORY.max(self.max_message) {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// A failure that fits a frame is always let through: it may be what says that something was too long.
    fn check_length(&self, kind: Kind, length: usize) -> Result<(), Violation> {
        if length > self.max_message && kind != Kind::Failure {
            Err(Violation::MessageTooLarge(self.max_message))
        } else {
            Ok(())
        }
    }
}

/// Whether frames of that kind are fragments of a message, or the whole of one.
fn is_message(kind: u8) -> bool {
    [Kind::Request, Kind::Oneway, Kind::Value, Kind::Error, Kind::Failure].into_iter().any(|known| known as u8 == kind)
}

/// What the fragments of one message have in common, and no two unfinished messages.
fn key(header: &Header) -> (u32, bool) {
    let is_answer = ![Kind::Request as u8, Kind::Oneway as u8].contains(&header.kind);
    (header.call, is_answer)
}

fn check_fragment(header: &Header) -> Result<(), Violation> {
    let length = header.length as usize;
    if header.flags & MORE != 0 && length != MAX_PAYLOAD { Err(Violation::ShortFragment(length)) } else { Ok(()) }
}

#[inline]
fn first(kind: Kind, header: &Header, payload: &[u8]) -> Message {
    Message {
        target: header.target,
        method: header.method,
        deadline: header.deadline,
        meta: header.flags & META != 0,
        payload: if header.flags & MORE == 0 { payload.into() } else { growing(payload) },
        ..Message::control(kind, header.call)
    }
}

/// A payload that will grow, nobody knows how far.
fn growing(payload: &[u8]) -> Buffer {
    let mut buffer = Buffer::new();
    buffer.space(payload.len()).copy_from_slice(payload);
    buffer.grow(payload.len());
    buffer
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;
    use crate::protocol::{
        frame::{Deframer, MAX_PAYLOAD},
        outgoing::Outgoing,
    };
    use proptest::prelude::*;

    fn frame(kind: Kind, call: u32, flags: u8, payload: &[u8]) -> (Header, Vec<u8>) {
        let header = Header { kind: kind as u8, call, flags, length: payload.len() as u32, ..Header::default() };
        (header, payload.to_vec())
    }

    fn accept(incoming: &mut Incoming, frame: &(Header, Vec<u8>)) -> Result<Option<Message>, Violation> {
        incoming.accept(&Frame { header: frame.0, payload: &frame.1 })
    }

    #[test]
    fn a_message_past_the_limit_is_a_violation_before_its_last_fragment() {
        let mut incoming = Incoming::new(MAX_PAYLOAD + 100);
        let fragment = frame(Kind::Request, 1, MORE, &vec![0; MAX_PAYLOAD]);
        assert_eq!(accept(&mut incoming, &fragment), Ok(None));
        assert_eq!(accept(&mut incoming, &fragment), Err(Violation::MessageTooLarge(MAX_PAYLOAD + 100)));
        let failure = frame(Kind::Failure, 1, 0, &[0; 101]);
        assert!(accept(&mut Incoming::new(100), &failure).unwrap().is_some(), "it says what was too long");
        let whole = frame(Kind::Request, 1, 0, &[0; 101]);
        assert_eq!(accept(&mut Incoming::new(100), &whole), Err(Violation::MessageTooLarge(100)));
    }

    #[test]
    fn unfinished_messages_are_bounded_together() {
        let mut incoming = Incoming::new(MAX_PAYLOAD);
        let part = vec![0; MAX_PAYLOAD];
        let outcome = (0..10_000)
            .map(|call| accept(&mut incoming, &frame(Kind::Request, call, MORE, &part)))
            .find(Result::is_err);
        assert_eq!(outcome, Some(Err(Violation::TooManyFragments)));
        assert!(incoming.partial_bytes <= MEMORY + MAX_PAYLOAD);
        assert!(incoming.partial.len() <= MEMORY / MAX_PAYLOAD + 1);
    }

    #[test]
    fn short_fragments_cannot_fill_the_table() {
        for length in [0, 1, MAX_PAYLOAD - 1] {
            let fragment = frame(Kind::Request, 1, MORE, &vec![0; length]);
            assert_eq!(accept(&mut Incoming::new(MAX_PAYLOAD), &fragment), Err(Violation::ShortFragment(length)));
        }
    }

    #[test]
    fn a_cancelled_request_frees_its_fragments() {
        let mut incoming = Incoming::new(MAX_PAYLOAD);
        accept(&mut incoming, &frame(Kind::Request, 1, MORE, &vec![0; MAX_PAYLOAD])).unwrap();
        accept(&mut incoming, &frame(Kind::Cancel, 1, 0, &[])).unwrap();
        assert!(incoming.partial.is_empty() && incoming.partial_bytes == 0);
    }

    #[test]
    fn fragments_of_different_messages_under_one_call_are_a_violation() {
        let mut incoming = Incoming::new(2 * MAX_PAYLOAD);
        accept(&mut incoming, &frame(Kind::Value, 1, MORE, &vec![0; MAX_PAYLOAD])).unwrap();
        assert_eq!(accept(&mut incoming, &frame(Kind::Error, 1, 0, &[0; 6])), Err(Violation::MixedFragments(1)));
    }

    proptest! {
        #[test]
        fn what_is_pushed_on_one_side_comes_out_on_the_other(
            lengths in proptest::collection::vec(0..5 * MAX_PAYLOAD, 1..8),
            chunk in 1_usize..300_000,
        ) {
            let mut outgoing = Outgoing::default();
            let mut messages: Vec<Message> = (1_u32..).zip(&lengths).map(|(call, length)| Message {
                target: call, method: 7, deadline: 9, meta: call % 2 == 0,
                payload: (0..*length).map(|byte| byte as u8).collect::<Vec<_>>().into(), bulk: vec![call as u8; *length % 3 * 40_000].into(),
                ..Message::control(Kind::Request, call)
            }).collect();
            for message in &messages {
                outgoing.push(message.clone());
            }
            let mut bytes = Vec::new();
            while !outgoing.is_idle() {
                outgoing.fill_bytes(&mut bytes, usize::MAX);
            }
            let (mut incoming, mut deframer, mut found) = (Incoming::new(usize::MAX), Deframer::new(), Vec::new());
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let space = deframer.space();
                let count = chunk.min(space.len()).min(rest.len());
                space[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                deframer.filled(count);
                while let Some(frame) = deframer.next().unwrap() {
                    found.extend(incoming.accept(&frame).unwrap());
                }
            }
            found.sort_by_key(|message| message.call);
            messages.sort_by_key(|message| message.call);
            for message in &mut messages {
                message.payload.extend_from_slice(&Vec::from(std::mem::take(&mut message.bulk)));
            }
            prop_assert!(found == messages);
            prop_assert!(incoming.partial.is_empty() && incoming.partial_bytes == 0);
            prop_assert_eq!(outgoing.acknowledge(incoming.received().frames), Ok(()));
        }
    }
}

//! The sending direction of a session: messages in, numbered frames out.

use std::collections::VecDeque;

use super::{
    Violation,
    frame::{Header, Kind, MAX_PAYLOAD, META, MORE},
    message::Message,
};

/// How many bytes of unsent messages a side holds before senders must wait. One message is always admitted to an empty
/// queue, so that a large one can be sent at all.
pub(crate) const QUEUE_LIMIT: usize = 64 << 20;

/// Messages waiting to be written.
///
/// Small messages overtake the fragments of large ones: each turn of [`fill`](Self::fill) writes the small messages that
/// wait, then one fragment of one large message, the large ones taking turns.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    small: VecDeque<Message>,
    large: VecDeque<Large>,
    /// Payload bytes of all messages that are not wholly sent.
    bytes: usize,
    /// Counted frames written so far, modulo 2^32.
    sent: u32,
    /// `acknowledged <= sent`, in the modular sense.
    acknowledged: u32,
}

/// A message longer than a frame.
#[derive(Debug)]
struct Large {
    message: Message,
    /// `offset < message.payload.len()`
    offset: usize,
}

/// How much of a message had left when it was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// Nothing: the other side never heard of it.
    Unsent,
    /// Some fragments: the other side waits for the rest, and must be told to forget them.
    Partly,
    /// All of it.
    Sent,
}

impl Outgoing {
    /// Whether a message of `length` bytes may be added now.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(length) <= QUEUE_LIMIT
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.bytes += message.payload.len();
        if message.payload.len() <= MAX_PAYLOAD {
            self.small.push_back(message);
        } else {
            self.large.push_back(Large { message, offset: 0 });
        }
    }

    /// Appends frames to `batch` until it holds about `limit` bytes or nothing waits.
    pub(crate) fn fill(&mut self, batch: &mut Vec<u8>, ack: u32, limit: usize) {
        while batch.len() < limit {
            let Some(message) = self.small.pop_front() else { break };
            self.bytes -= message.payload.len();
            self.frame(batch, &message, ack, 0, &message.payload, if message.meta { META } else { 0 });
        }
        if let Some(large) = self.large.pop_front() {
            self.fragment(batch, large, ack);
        }
    }

    fn fragment(&mut self, batch: &mut Vec<u8>, mut large: Large, ack: u32) {
        let message = &large.message;
        let end = message.payload.len().min(large.offset + MAX_PAYLOAD);
        let is_last = end == message.payload.len();
        let meta = if message.meta && large.offset == 0 { META } else { 0 };
        let flags = meta | if is_last { 0 } else { MORE };
        self.frame(batch, message, ack, large.offset, &message.payload[large.offset..end], flags);
        if is_last {
            self.bytes -= message.payload.len();
        } else {
            large.offset = end;
            self.large.push_back(large);
        }
    }

    fn frame(&mut self, batch: &mut Vec<u8>, message: &Message, ack: u32, offset: usize, payload: &[u8], flags: u8) {
        let kind = message.kind as u8;
        let header = Header {
            length: u32::try_from(payload.len()).expect("at most MAX_PAYLOAD"),
            ack,
            call: message.call,
            target: message.target,
            deadline: if offset == 0 { message.deadline } else { 0 },
            method: message.method,
            kind,
            flags,
        };
        batch.extend_from_slice(&header.to_wire());
        batch.extend_from_slice(payload);
        if Kind::is_counted(kind) {
            self.sent = self.sent.wrapping_add(1);
        }
    }

    /// Takes back the request of `call`, as far as it has not been sent.
    pub(crate) fn withdraw(&mut self, call: u32) -> Withdrawn {
        let is_request = |message: &Message| message.kind == Kind::Request && message.call == call;
        if let Some(place) = self.small.iter().position(is_request) {
            self.bytes -= self.small.remove(place).map_or(0, |message| message.payload.len());
            return Withdrawn::Unsent;
        }
        let Some(place) = self.large.iter().position(|large| is_request(&large.message)) else {
            return Withdrawn::Sent;
        };
        let Some(large) = self.large.remove(place) else { return Withdrawn::Sent };
        self.bytes -= large.message.payload.len();
        if large.offset == 0 { Withdrawn::Unsent } else { Withdrawn::Partly }
    }

    /// Takes note of how many frames the other side has received.
    pub(crate) fn acknowledge(&mut self, count: u32) -> Result<(), Violation> {
        let in_flight = self.sent.wrapping_sub(self.acknowledged);
        if count.wrapping_sub(self.acknowledged) > in_flight {
            return Err(Violation::AckOfUnsent { acknowledged: count, sent: self.sent });
        }
        self.acknowledged = count;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;
    use crate::protocol::frame::{Deframer, HEADER};

    fn request(call: u32, length: usize) -> Message {
        Message::answer(Kind::Request, call, vec![call as u8; length])
    }

    fn drain(outgoing: &mut Outgoing) -> Vec<(u32, u8, usize)> {
        let mut bytes = Vec::new();
        while !outgoing.is_empty() {
            let mut batch = Vec::new();
            outgoing.fill(&mut batch, 0, 1);
            bytes.extend(batch);
        }
        let mut frames = Vec::new();
        let mut deframer = Deframer::new();
        for chunk in bytes.chunks(HEADER + MAX_PAYLOAD) {
            deframer.space()[..chunk.len()].copy_from_slice(chunk);
            deframer.filled(chunk.len());
            while let Some(frame) = deframer.next().unwrap() {
                frames.push((frame.header.call, frame.header.flags, frame.payload.len()));
            }
        }
        frames
    }

    #[test]
    fn small_messages_overtake_the_fragments_of_large_ones() {
        let mut outgoing = Outgoing::default();
        outgoing.push(request(1, 2 * MAX_PAYLOAD + 1));
        outgoing.push(request(2, 10));
        outgoing.push(request(3, 10));
        let expected = [(2, 0, 10), (1, MORE, MAX_PAYLOAD), (3, 0, 10), (1, MORE, MAX_PAYLOAD), (1, 0, 1)];
        assert_eq!(drain(&mut outgoing), expected);
        assert_eq!(outgoing.bytes, 0);
    }

    #[test]
    fn large_messages_take_turns() {
        let mut outgoing = Outgoing::default();
        outgoing.push(request(1, MAX_PAYLOAD + 1));
        outgoing.push(request(2, MAX_PAYLOAD + 2));
        let expected = [(1, MORE, MAX_PAYLOAD), (2, MORE, MAX_PAYLOAD), (1, 0, 1), (2, 0, 2)];
        assert_eq!(drain(&mut outgoing), expected);
    }

    #[test]
    fn withdrawing_tells_how_much_had_left() {
        let mut outgoing = Outgoing::default();
        outgoing.push(request(1, 10));
        outgoing.push(request(2, MAX_PAYLOAD * 3));
        assert_eq!(outgoing.withdraw(1), Withdrawn::Unsent);
        outgoing.fill(&mut Vec::new(), 0, 1);
        assert_eq!(outgoing.withdraw(2), Withdrawn::Partly);
        assert_eq!(outgoing.withdraw(2), Withdrawn::Sent);
        assert!(outgoing.is_empty() && outgoing.bytes == 0);
    }

    #[test]
    fn room_is_bounded_but_one_message_always_fits() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.has_room(usize::MAX));
        outgoing.push(request(1, 10));
        assert!(outgoing.has_room(QUEUE_LIMIT - 10));
        assert!(!outgoing.has_room(QUEUE_LIMIT - 9));
    }

    #[test]
    fn acknowledging_what_was_never_sent_is_a_violation_even_where_the_count_wraps() {
        let mut outgoing = Outgoing { sent: 2, acknowledged: u32::MAX, ..Outgoing::default() };
        assert!(outgoing.acknowledge(1).is_ok());
        assert_eq!(outgoing.acknowledge(3), Err(Violation::AckOfUnsent { acknowledged: 3, sent: 2 }));
        assert!(outgoing.acknowledge(0).is_err(), "an acknowledgement never goes back");
        assert!(outgoing.acknowledge(2).is_ok());
    }
}

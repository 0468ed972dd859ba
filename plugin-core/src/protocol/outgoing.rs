//! The sending direction of a session: messages in, numbered frames out, kept until the other side has them.
//!
//! A session outlives its connections. Every counted frame that was handed out stays here until it is acknowledged; on a
//! new connection the other side says how many it has received, and [`rewind`](Outgoing::rewind) makes the rest go out
//! again, in the same order and before anything new. A frame's number is never sent: both sides count.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::{
    Violation,
    frame::{HEADER, Header, Kind, MAX_PAYLOAD, META, MORE},
    incoming::Received,
    message::Message,
};

/// How many bytes of messages a side holds, unsent or unacknowledged, before senders must wait.
pub(crate) const MEMORY: usize = 64 << 20;

/// Above this many unacknowledged bytes, and above this many frames, the receiving side acknowledges even if it has nothing
/// else to send.
pub(crate) const ACK_BYTES: usize = 256 * 1024;
pub(crate) const ACK_FRAMES: u32 = 256;

/// How many small messages wait at most before the other side is taken for one that asks and does not read.
const MAX_CONTROL: usize = 1 << 17;

/// How many bytes may stay unacknowledged for good, because the receiving side is not yet due to acknowledge them.
const LINGERING: usize = ACK_BYTES + (ACK_FRAMES as usize + 1) * (HEADER + 64);

/// Messages waiting to be sent, and frames waiting to be acknowledged.
///
/// Small messages overtake the fragments of large ones: each turn of [`fill`](Self::fill) writes the small messages that
/// wait, then one fragment of one large message, the large ones taking turns.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    small: VecDeque<Message>,
    large: VecDeque<Large>,
    /// Bytes of the messages in `small` and of the unsent parts of those in `large`.
    unsent: usize,
    /// Bytes of the whole messages in `large` of which some has been handed out: what the other side must hold together.
    /// At most `MEMORY`, or one message.
    begun: usize,
    /// Frames handed out and not acknowledged, the oldest first.
    kept: VecDeque<Kept>,
    /// Bytes of the frames in `kept`.
    kept_bytes: usize,
    /// How many of `kept` have been handed out on this connection; `replayed <= kept.len()`.
    replayed: usize,
    /// Counted frames handed out so far, modulo 2^32; `sent - kept.len()` are acknowledged.
    sent: u32,
    /// What the other direction has received, and how much of it this one has acknowledged.
    received: Received,
    told: Received,
    /// Much has been received since: if nothing else goes out, an acknowledgement goes alone.
    owes_ack: bool,
}

/// A message longer than a frame.
#[derive(Debug)]
struct Large {
    /// The message without its payload.
    head: Message,
    payload: Arc<Vec<u8>>,
    /// `offset < payload.len()`
    offset: usize,
}

/// A frame, all but its acknowledgement, which is filled in whenever it goes out.
#[derive(Debug)]
struct Kept {
    header: Header,
    payload: Payload,
}

/// The bytes of one frame: all of a small message, or a part of a large one.
#[derive(Debug)]
enum Payload {
    Whole(Vec<u8>),
    Part(Arc<Vec<u8>>, Range<usize>),
}

impl Payload {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Part(message, range) => &message[range.clone()],
        }
    }
}

impl Kept {
    fn len(&self) -> usize {
        HEADER + self.payload.bytes().len()
    }

    fn write(&self, batch: &mut Vec<u8>, ack: u32) {
        batch.extend_from_slice(&Header { ack, ..self.header }.to_wire());
        batch.extend_from_slice(self.payload.bytes());
    }
}

/// How much of a message had left when it was withdrawn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// Nothing: the other side never heard of it. Here it is.
    Unsent(Message),
    /// Some fragments. A cancellation goes out in place of the rest, so that the other side forgets them.
    Partly,
    /// All of it.
    Sent,
}

impl Outgoing {
    /// Whether a message of `length` bytes may be added now.
    ///
    /// One message is admitted whatever its length once nothing else waits: what may linger unacknowledged for good is
    /// left out of account, or a message larger than the memory would wait for ever.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        let held = self.unsent + self.kept_bytes;
        length.saturating_add(HEADER + held) <= MEMORY || (self.unsent == 0 && self.kept_bytes <= LINGERING)
    }

    /// Whether there is nothing to be handed out.
    pub(crate) fn is_idle(&self) -> bool {
        !self.owes_ack && self.small.is_empty() && self.large.is_empty() && self.replayed == self.kept.len()
    }

    pub(crate) fn push(&mut self, mut message: Message) {
        self.unsent += HEADER + message.payload.len();
        if message.payload.len() <= MAX_PAYLOAD {
            self.small.push_back(message);
        } else {
            let payload = Arc::new(std::mem::take(&mut message.payload));
            self.large.push_back(Large { head: message, payload, offset: 0 });
        }
    }

    /// Whether a message without an own say in the matter (an answer that is due, a goodbye) may be added now: nearly always,
    /// as it must not get lost. If not, the other side asks and does not read.
    pub(crate) fn has_room_for_control(&self) -> bool {
        self.small.len() < MAX_CONTROL
    }

    /// Appends frames to `batch` until it holds about `limit` bytes or nothing waits.
    pub(crate) fn fill(&mut self, batch: &mut Vec<u8>, limit: usize) {
        let (ack, before) = (self.received.frames, batch.len());
        self.fill_with_frames(batch, ack, limit);
        if self.owes_ack && batch.len() == before {
            batch.extend_from_slice(&Header { ack, kind: Kind::Ack as u8, ..Header::default() }.to_wire());
        }
        if batch.len() > before {
            self.told = self.received;
            self.owes_ack = false;
        }
    }

    fn fill_with_frames(&mut self, batch: &mut Vec<u8>, ack: u32, limit: usize) {
        while batch.len() < limit {
            let Some(kept) = self.kept.get(self.replayed) else { break };
            kept.write(batch, ack);
            self.replayed += 1;
        }
        if batch.len() >= limit {
            return; // Before anything new: a cancellation must not fall behind the next large message.
        }
        while batch.len() < limit {
            let Some(message) = self.small.pop_front() else { break };
            self.unsent -= HEADER + message.payload.len();
            let flags = if message.meta { META } else { 0 };
            let header = header(&message, message.payload.len(), flags);
            self.hand_out(batch, ack, Kept { header, payload: Payload::Whole(message.payload) });
        }
        if let Some(large) = self.next_large() {
            self.fragment(batch, ack, large);
        }
    }

    /// The large message whose turn it is. None is begun while those under way fill the memory of the other side.
    fn next_large(&mut self) -> Option<Large> {
        let begun = self.begun;
        let mut may_begin = true;
        let place = self.large.iter().position(|large| {
            let fits = begun == 0 || begun + large.payload.len() <= MEMORY;
            // Those behind one that does not fit wait with it, or it would never come to its turn.
            may_begin &= large.offset > 0 || fits;
            large.offset > 0 || may_begin
        })?;
        self.large.remove(place)
    }

    fn fragment(&mut self, batch: &mut Vec<u8>, ack: u32, mut large: Large) {
        let range = large.offset..large.payload.len().min(large.offset + MAX_PAYLOAD);
        let is_first = large.offset == 0;
        let is_last = range.end == large.payload.len();
        let flags = if is_first && large.head.meta { META } else { 0 } | if is_last { 0 } else { MORE };
        let mut header = header(&large.head, range.len(), flags);
        if !is_first {
            header.deadline = 0;
        }
        self.unsent -= range.len() + if is_last { HEADER } else { 0 };
        if is_first {
            self.begun += large.payload.len();
        }
        if is_last {
            self.begun -= large.payload.len();
        }
        large.offset = range.end;
        self.hand_out(batch, ack, Kept { header, payload: Payload::Part(Arc::clone(&large.payload), range) });
        if !is_last {
            self.large.push_back(large);
        }
    }

    fn hand_out(&mut self, batch: &mut Vec<u8>, ack: u32, frame: Kept) {
        frame.write(batch, ack);
        if Kind::is_counted(frame.header.kind) {
            self.sent = self.sent.wrapping_add(1);
            self.kept_bytes += frame.len();
            self.replayed += 1;
            self.kept.push_back(frame);
        }
    }

    /// Takes back the request of `call`, as far as it has not been handed out.
    pub(crate) fn withdraw(&mut self, call: u32) -> Withdrawn {
        let is_request = |message: &Message| message.kind == Kind::Request && message.call == call;
        if let Some(place) = self.small.iter().position(is_request) {
            let Some(message) = self.small.remove(place) else { return Withdrawn::Sent };
            self.unsent -= HEADER + message.payload.len();
            return Withdrawn::Unsent(message);
        }
        let place = self.large.iter().position(|large| is_request(&large.head));
        let Some(large) = place.and_then(|place| self.large.remove(place)) else { return Withdrawn::Sent };
        self.unsent -= HEADER + large.payload.len() - large.offset;
        if large.offset > 0 {
            self.begun -= large.payload.len();
            // Ahead of everything else, so that the other side has forgotten it before the next large message begins.
            self.unsent += HEADER;
            self.small.push_front(Message::control(Kind::Cancel, call));
            return Withdrawn::Partly;
        }
        // Nothing was handed out, so nobody else holds the payload, and it is not cloned.
        Withdrawn::Unsent(Message { payload: Arc::unwrap_or_clone(large.payload), ..large.head })
    }

    /// Takes note of how many frames the other side has received, and lets go of them.
    pub(crate) fn acknowledge(&mut self, count: u32) -> Result<(), Violation> {
        let kept = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        let acknowledged = self.sent.wrapping_sub(kept);
        let new = count.wrapping_sub(acknowledged);
        if new > kept {
            return Err(Violation::AckOfUnsent { acknowledged: count, sent: self.sent });
        }
        for frame in self.kept.drain(..new as usize) {
            self.kept_bytes -= frame.len();
        }
        self.replayed = self.replayed.saturating_sub(new as usize);
        Ok(())
    }

    /// Takes note of what the other direction has received; it is acknowledged along with whatever goes out, or, once much
    /// has come together, by a message of its own.
    pub(crate) fn received(&mut self, received: Received) {
        self.received = received;
        let frames = received.frames.wrapping_sub(self.told.frames);
        let bytes = received.bytes.wrapping_sub(self.told.bytes);
        if frames >= ACK_FRAMES || bytes >= ACK_BYTES {
            self.owes_ack = true;
        }
    }

    /// Starts over on a new connection, whose other side has received `count` frames.
    pub(crate) fn rewind(&mut self, count: u32) -> Result<(), Violation> {
        self.acknowledge(count)?;
        self.replayed = 0;
        Ok(())
    }
}

fn header(message: &Message, length: usize, flags: u8) -> Header {
    Header {
        length: u32::try_from(length).expect("at most MAX_PAYLOAD"),
        ack: 0,
        call: message.call,
        target: message.target,
        deadline: message.deadline,
        method: message.method,
        kind: message.kind as u8,
        flags,
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;
    use crate::protocol::frame::Deframer;

    fn request(call: u32, length: usize) -> Message {
        Message::answer(Kind::Request, call, vec![call as u8; length])
    }

    fn drain(outgoing: &mut Outgoing) -> Vec<(u32, u8, usize)> {
        let mut bytes = Vec::new();
        while !outgoing.is_idle() {
            let mut batch = Vec::new();
            outgoing.fill(&mut batch, 1);
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
        assert_eq!(outgoing.unsent, 0);
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
        assert_eq!(outgoing.withdraw(1), Withdrawn::Unsent(request(1, 10)));
        outgoing.fill(&mut Vec::new(), 1);
        assert_eq!(outgoing.withdraw(2), Withdrawn::Partly);
        assert_eq!(outgoing.withdraw(2), Withdrawn::Sent);
        outgoing.push(request(3, 1));
        assert_eq!(drain(&mut outgoing), [(2, 0, 0), (3, 0, 1)], "a cancellation goes ahead");
        assert!(outgoing.is_idle() && outgoing.unsent == 0 && outgoing.begun == 0);
    }

    #[test]
    fn memory_is_bounded_but_one_message_always_fits() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.has_room(usize::MAX));
        outgoing.push(request(1, 10));
        assert!(outgoing.has_room(MEMORY - 10 - 2 * HEADER));
        assert!(!outgoing.has_room(MEMORY - 10 - 2 * HEADER + 1));
        drain(&mut outgoing);
        assert!(outgoing.has_room(usize::MAX), "what may linger unacknowledged does not count");
        outgoing.push(request(2, LINGERING));
        drain(&mut outgoing);
        assert!(!outgoing.has_room(MEMORY), "what is sent counts until it is acknowledged");
        outgoing.acknowledge(outgoing.sent).unwrap();
        assert_eq!(outgoing.kept_bytes, 0);
        assert!(outgoing.has_room(usize::MAX));
    }

    #[test]
    fn a_rewound_session_hands_out_again_what_was_not_received_before_anything_new() {
        let mut outgoing = Outgoing::default();
        for call in 1..=3 {
            outgoing.push(request(call, 1));
        }
        drain(&mut outgoing);
        outgoing.push(request(4, 1));
        outgoing.rewind(1).unwrap();
        let calls: Vec<u32> = drain(&mut outgoing).into_iter().map(|frame| frame.0).collect();
        assert_eq!(calls, [2, 3, 4]);
        outgoing.rewind(4).unwrap();
        assert!(outgoing.is_idle() && outgoing.kept.is_empty());
    }

    #[test]
    fn much_that_was_received_is_acknowledged_without_anything_else_to_send() {
        let mut outgoing = Outgoing::default();
        outgoing.received(Received { frames: ACK_FRAMES - 1, bytes: ACK_BYTES - 1 });
        assert!(outgoing.is_idle());
        outgoing.received(Received { frames: ACK_FRAMES, bytes: 0 });
        let mut batch = Vec::new();
        outgoing.fill(&mut batch, 1);
        let header = Header { ack: ACK_FRAMES, kind: Kind::Ack as u8, ..Header::default() };
        assert_eq!(batch, header.to_wire());
        outgoing.received(Received { frames: ACK_FRAMES + 1, bytes: ACK_BYTES });
        assert!(!outgoing.is_idle());
        assert_eq!(outgoing.sent, 0, "a bare acknowledgement is not counted, or each would ask for the next");
    }

    #[test]
    fn acknowledging_what_was_never_sent_is_a_violation_even_where_the_count_wraps() {
        let mut outgoing = Outgoing { sent: u32::MAX, ..Outgoing::default() };
        for call in 1..=3 {
            outgoing.push(request(call, 1));
        }
        drain(&mut outgoing);
        assert_eq!(outgoing.sent, 2);
        assert!(outgoing.acknowledge(1).is_ok());
        assert_eq!(outgoing.acknowledge(3), Err(Violation::AckOfUnsent { acknowledged: 3, sent: 2 }));
        assert!(outgoing.acknowledge(0).is_err(), "an acknowledgement never goes back");
        assert!(outgoing.acknowledge(2).is_ok());
    }
}

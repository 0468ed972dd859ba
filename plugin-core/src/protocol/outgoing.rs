//! The sending direction of a session: messages in, numbered frames out, kept until the other side has them.
//!
//! A session outlives its connections. Every counted frame that was handed out stays here until it is acknowledged; on a
//! new connection the other side says how many it has received, and [`rewind`](Outgoing::rewind) makes the rest go out
//! again, in the same order and before anything new. A frame's number is never sent: both sides count.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::{
    Violation,
    batch::{Batch, Content},
    frame::{HEADER, Header, Kind, MAX_PAYLOAD, META, MORE},
    incoming::Received,
    message::{Cargo, Message},
    oneway::{Backlog, Window},
};
use crate::buffer::Buffer;

/// How many bytes of messages a side holds, unsent or unacknowledged, before senders must wait.
pub(crate) const MEMORY: usize = 64 << 20;

/// Above this many unacknowledged bytes, and above this many frames, the receiving side acknowledges even if it has nothing
/// else to send.
pub(crate) const ACK_BYTES: usize = 1 << 20;
pub(crate) const ACK_FRAMES: u32 = 256;

/// How many small messages wait at most before the other side is taken for one that asks and does not read.
const MAX_CONTROL: usize = 1 << 17;

/// How many small messages may wait before senders must, too: so that what must not wait still finds room.
const MAX_SMALL: usize = MAX_CONTROL / 2;

/// Up to so many bytes of a message are copied next to its header: that costs less than to write them from where they are.
const COPIED: usize = 16 * 1024;

/// How many bytes may stay unacknowledged for good, because the receiving side is not yet due to acknowledge them.
const LINGERING: usize = ACK_BYTES + (ACK_FRAMES as usize + 1) * (HEADER + 64);

/// Messages waiting to be sent, and frames waiting to be acknowledged.
///
/// Small messages overtake the fragments of large ones: each turn of [`fill`](Self::fill) writes the small messages that
/// wait, then fragments of large ones, one of each in turn, until the batch is full. Oneway messages keep their order among
/// themselves, whatever their length.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    small: VecDeque<Message>,
    large: VecDeque<Large>,
    /// Oneway messages of any length and what must not overtake them, such as the goodbye, in the order in which they leave.
    lane: VecDeque<Message>,
    /// One of the lane is in `large`, and the next waits for its end.
    is_lane_busy: bool,
    /// How many declarations wait, at the front of `small`: whatever refers to them may be in any queue.
    declarations: usize,
    /// Bytes of the messages in `small` and `lane`, and of the unsent parts of those in `large`.
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
    /// What went along with messages that have left, until somebody lets go of it.
    departed: Vec<Cargo>,
    /// Oneway messages under way to the other side, and from there.
    oneways: Window,
    backlog: Backlog,
}

/// A message longer than a frame.
#[derive(Debug)]
struct Large {
    /// The message without its payload.
    head: Message,
    payload: Arc<Content>,
    /// `offset < payload.len()`
    offset: usize,
}

/// A frame, all but its acknowledgement, which is filled in whenever it goes out.
#[derive(Debug)]
struct Kept {
    header: Header,
    payload: Payload,
}

/// The bytes of one frame: all of a small message, or a part of a larger one, perhaps all of it.
#[derive(Debug)]
enum Payload {
    Whole(Buffer),
    Part(Arc<Content>, Range<usize>),
}

impl Large {
    fn new(mut message: Message) -> Self {
        let (payload, bulk) = (std::mem::take(&mut message.payload), std::mem::take(&mut message.bulk).into());
        Self { head: message, payload: Arc::new(Content { payload, bulk }), offset: 0 }
    }
}

impl Payload {
    /// That of a message which fits a frame.
    #[inline]
    fn of(message: Message) -> Self {
        let (length, Message { mut payload, bulk, .. }) = (message.length(), message);
        if length > COPIED {
            return Self::Part(Arc::new(Content { payload, bulk: bulk.into() }), 0..length);
        }
        if bulk.len() > 0 {
            payload.extend_from_slice(&Vec::from(bulk));
        }
        Self::Whole(payload)
    }

    fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Part(_, range) => range.len(),
        }
    }
}

impl Kept {
    fn len(&self) -> usize {
        HEADER + self.payload.len()
    }

    #[inline]
    fn write(&self, batch: &mut Batch, ack: u32) {
        batch.push(&Header { ack, ..self.header }.to_wire());
        match &self.payload {
            Payload::Whole(bytes) => batch.push(bytes),
            Payload::Part(message, range) => batch.push_part(message, range.clone()),
        }
    }
}

/// How much of a message had left when it was withdrawn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// Nothing: the other side never heard of it. Here it is.
    Unsent(Message),
    /// Some fragments. A cancellation goes out in place of the rest, so that the other side forgets them. Here is what went
    /// along.
    Partly(Cargo),
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
        if self.small.len() >= MAX_SMALL {
            return false;
        }
        length.saturating_add(HEADER + held) <= MEMORY || (self.unsent == 0 && self.kept_bytes <= LINGERING)
    }

    /// Whether there is nothing to be handed out.
    pub(crate) fn is_idle(&self) -> bool {
        let is_queue_empty = self.small.is_empty() && self.large.is_empty() && self.lane.is_empty();
        !self.owes_ack && is_queue_empty && self.replayed == self.kept.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, message: Message) {
        self.unsent += HEADER + message.length();
        if message.kind == Kind::Oneway {
            self.oneways.add(message.length());
        }
        if matches!(message.kind, Kind::Oneway | Kind::Goodbye | Kind::Release) {
            self.lane.push_back(message);
        } else if message.kind == Kind::Declare {
            // It refers to nothing itself.
            self.declarations += 1;
            self.small.push_front(message);
        } else if message.length() <= MAX_PAYLOAD {
            self.small.push_back(message);
        } else {
            self.large.push_back(Large::new(message));
        }
    }

    /// Whether the other side takes another oneway message.
    pub(crate) fn may_send_oneway(&self) -> bool {
        self.oneways.is_open()
    }

    /// Takes note that the other side has finished with `count` more oneway messages.
    pub(crate) fn credited(&mut self, count: u32) -> Result<(), Violation> {
        self.oneways.credited(count)
    }

    /// Takes note of a oneway message of `length` bytes from the other side.
    pub(crate) fn oneway_received(&mut self, length: usize) -> Result<(), Violation> {
        self.backlog.received(length)
    }

    /// Takes note that this side has finished with the oldest oneway message; whether that is to be told now.
    pub(crate) fn oneway_finished(&mut self) -> bool {
        let credit = self.backlog.finished();
        self.credit(credit)
    }

    /// Has all oneway messages told that are finished; whether there are any.
    pub(crate) fn tell_oneways_finished(&mut self) -> bool {
        let credit = self.backlog.tell();
        self.credit(credit)
    }

    fn credit(&mut self, count: Option<u32>) -> bool {
        if let Some(count) = count {
            self.push(Message::control(Kind::Credit, count));
        }
        count.is_some()
    }

    /// Whether the other side has not finished with all oneway messages, as far as is known.
    pub(crate) fn has_oneways(&self) -> bool {
        !self.oneways.is_empty()
    }

    /// Whether a message without an own say in the matter (an answer that is due, a goodbye) may be added now: nearly always,
    /// as it must not get lost. If not, the other side asks and does not read.
    pub(crate) fn has_room_for_control(&self) -> bool {
        self.small.len() < MAX_CONTROL && self.lane.len() < MAX_CONTROL
    }

    /// Takes away what has not been handed out, now that it never will be, but for the requests, which their callers take back.
    pub(crate) fn abandon(&mut self) -> Vec<Message> {
        let is_request = |message: &Message| message.kind == Kind::Request;
        self.declarations = 0;
        let mut abandoned: Vec<_> = self.lane.drain(..).collect();
        let (requests, others) = self.small.drain(..).partition::<VecDeque<_>, _>(is_request);
        self.small = requests;
        abandoned.extend(others);
        let (requests, others) = self.large.drain(..).partition::<VecDeque<_>, _>(|large| is_request(&large.head));
        self.large = requests;
        abandoned.extend(others.into_iter().map(|large| large.head));
        abandoned
    }

    /// Appends frames to `batch` until it holds about `limit` bytes or nothing waits.
    pub(crate) fn fill(&mut self, batch: &mut Batch, limit: usize) {
        let (ack, before) = (self.received.frames, batch.len());
        self.fill_with_frames(batch, ack, limit);
        if self.owes_ack && batch.len() == before {
            batch.push(&Header { ack, kind: Kind::Ack as u8, ..Header::default() }.to_wire());
        }
        if batch.len() > before {
            self.told = self.received;
            self.owes_ack = false;
        }
    }

    fn fill_with_frames(&mut self, batch: &mut Batch, ack: u32, limit: usize) {
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
            self.declarations -= usize::from(message.kind == Kind::Declare);
            self.whole(batch, ack, message);
        }
        if self.declarations > 0 {
            return; // What has its turn whatever else fills the batch may refer to one of them.
        }
        self.fill_from_lane(batch, ack, limit);
        let mut is_first = true;
        while is_first || batch.len() < limit {
            is_first = false;
            let Some(large) = self.next_large() else { return };
            self.fragment(batch, ack, large);
        }
    }

    /// Takes note that the whole of a message has been handed out, with which that went along.
    fn cargo_left(&mut self, cargo: Cargo) {
        if cargo.left() {
            self.departed.push(cargo);
        }
    }

    /// What went along with messages that have left: to be let go of where nothing is locked.
    pub(crate) fn departed(&mut self) -> Vec<Cargo> {
        std::mem::take(&mut self.departed)
    }

    /// The next of the lane begins when the last has left whole. One has its turn whatever else fills the batch.
    fn fill_from_lane(&mut self, batch: &mut Batch, ack: u32, limit: usize) {
        let mut is_first = true;
        while !self.is_lane_busy && (is_first || batch.len() < limit) {
            is_first = false;
            let Some(message) = self.lane.pop_front() else { return };
            if message.length() <= MAX_PAYLOAD {
                self.whole(batch, ack, message);
            } else {
                self.is_lane_busy = true;
                self.large.push_back(Large::new(message));
            }
        }
    }

    fn whole(&mut self, batch: &mut Batch, ack: u32, mut message: Message) {
        let length = message.length();
        self.unsent -= HEADER + length;
        let flags = if message.meta { META } else { 0 };
        let header = header(&message, length, flags);
        self.cargo_left(std::mem::take(&mut message.cargo));
        self.hand_out(batch, ack, Kept { header, payload: Payload::of(message) });
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

    fn fragment(&mut self, batch: &mut Batch, ack: u32, mut large: Large) {
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
            self.is_lane_busy &= large.head.kind != Kind::Oneway;
            self.cargo_left(std::mem::take(&mut large.head.cargo));
        }
        large.offset = range.end;
        self.hand_out(batch, ack, Kept { header, payload: Payload::Part(Arc::clone(&large.payload), range) });
        if !is_last {
            self.large.push_back(large);
        }
    }

    #[inline]
    fn hand_out(&mut self, batch: &mut Batch, ack: u32, frame: Kept) {
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
            self.unsent -= HEADER + message.length();
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
            return Withdrawn::Partly(large.head.cargo);
        }
        // Nothing was handed out, so nobody else holds the payload, and it is not cloned.
        let Content { payload, bulk } = Arc::unwrap_or_clone(large.payload);
        Withdrawn::Unsent(Message { payload, bulk: bulk.into(), ..large.head })
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

    /// As [`fill`](Self::fill), into plain bytes; the limit is for what is added.
    #[cfg(test)]
    pub(crate) fn fill_bytes(&mut self, bytes: &mut Vec<u8>, limit: usize) {
        let mut batch = Batch::default();
        self.fill(&mut batch, limit);
        batch.unwritten().for_each(|piece| bytes.extend_from_slice(piece));
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
mod tests;

//! Frames: a 24-byte header, then at most 64 KiB of payload.
//!
//! [`Deframer`] takes bytes as they arrive and gives frames as they are complete. The cap on a frame is checked before
//! anything is allocated for it.

use super::Violation;

/// Bytes in a frame header.
pub(crate) const HEADER: usize = 24;

/// The most payload bytes one frame carries. Longer messages travel in fragments, so that they neither hold up small
/// ones nor need a connection that lives long enough for the whole.
pub(crate) const MAX_PAYLOAD: usize = 64 * 1024;

/// How many bytes are received at most where those to come go elsewhere once they are there.
const FORETASTE: usize = 8 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The dialled plugin introduces itself.
    Hello = 1,
    /// The host lets it in.
    Welcome = 2,
    /// The host does not.
    Refused = 3,
    /// A method is to be called.
    Request = 16,
    /// The method returned `Ok`.
    Value = 17,
    /// The method returned `Err`.
    Error = 18,
    /// The runtime could not call the method, or it panicked.
    Failure = 19,
    /// The caller no longer waits for an answer.
    Cancel = 20,
    /// The other side does not hold an object any more.
    Release = 21,
    /// An interface that is not in the greeting, before it is referred to.
    Declare = 22,
    /// Nothing but the acknowledgement in the header.
    Ack = 23,
    /// Asks for a pong.
    Ping = 24,
    /// Answers a ping.
    Pong = 25,
    /// The host will not call again; the plugin is to end.
    Goodbye = 26,
    /// A method is to be called, and nothing answers.
    Oneway = 27,
    /// So many oneway messages are finished.
    Credit = 28,
    /// A function that a call has lent is to be called, and nothing answers.
    Notice = 29,
    /// The next bytes of a stream.
    Items = 30,
    /// There are no more.
    End = 31,
    /// So many more bytes of a stream are wanted.
    Demand = 32,
}

impl Kind {
    const ALL: [Self; 20] = [
        Self::Hello,
        Self::Welcome,
        Self::Refused,
        Self::Request,
        Self::Value,
        Self::Error,
        Self::Failure,
        Self::Cancel,
        Self::Release,
        Self::Declare,
        Self::Ack,
        Self::Ping,
        Self::Pong,
        Self::Goodbye,
        Self::Oneway,
        Self::Credit,
        Self::Notice,
        Self::Items,
        Self::End,
        Self::Demand,
    ];

    /// Frames from here up that this side does not know are ignored; unknown ones below are a violation.
    pub(crate) const FIRST_IGNORABLE: u8 = 128;

    /// By number; asked twice for every frame that arrives.
    const BY_NUMBER: [Option<Self>; Self::FIRST_IGNORABLE as usize] = {
        let mut kinds = [None; Self::FIRST_IGNORABLE as usize];
        let mut place = 0;
        while place < Self::ALL.len() {
            kinds[Self::ALL[place] as usize] = Some(Self::ALL[place]);
            place += 1;
        }
        kinds
    };

    pub(crate) fn from_wire(kind: u8) -> Option<Self> {
        static KINDS: [Option<Kind>; Kind::FIRST_IGNORABLE as usize] = Kind::BY_NUMBER;
        *KINDS.get(usize::from(kind))?
    }

    /// Whether it answers a request or a ping.
    pub(crate) fn is_answer(self) -> bool {
        matches!(self, Self::Value | Self::Error | Self::Failure | Self::Pong)
    }

    /// Whether both sides count the frame: all but the handshake and bare acknowledgements.
    pub(crate) fn is_counted(kind: u8) -> bool {
        kind >= Self::Request as u8 && kind != Self::Ack as u8
    }
}

/// A map comes before the arguments.
pub(crate) const META: u8 = 1;
/// A fragment of the same message follows.
pub(crate) const MORE: u8 = 2;

/// The fixed part of every frame, little-endian on the wire, fields in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Payload bytes behind the header.
    pub(crate) length: u32,
    /// How many counted frames the sender has received, modulo 2^32.
    pub(crate) ack: u32,
    /// The call that the frame belongs to; 0 where there is none.
    pub(crate) call: u32,
    /// The object called: the first ones are the interfaces of the greeting, in order.
    pub(crate) target: u32,
    /// Milliseconds left for the call; 0 where there is no deadline.
    pub(crate) deadline: u32,
    /// The number of the method in its interface.
    pub(crate) method: u16,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
}

impl Header {
    pub(crate) fn to_wire(self) -> [u8; HEADER] {
        let mut wire = [0; HEADER];
        let words = [self.length, self.ack, self.call, self.target, self.deadline];
        for (place, word) in wire.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        wire[20..22].copy_from_slice(&self.method.to_le_bytes());
        wire[22] = self.kind;
        wire[23] = self.flags;
        wire
    }

    pub(crate) fn from_wire(wire: [u8; HEADER]) -> Self {
        let word = |at: usize| u32::from_le_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]);
        Self {
            length: word(0),
            ack: word(4),
            call: word(8),
            target: word(12),
            deadline: word(16),
            method: u16::from_le_bytes([wire[20], wire[21]]),
            kind: wire[22],
            flags: wire[23],
        }
    }

    /// Refuses what no version of the protocol allows.
    fn check(&self) -> Result<(), Violation> {
        if self.length as usize > MAX_PAYLOAD {
            return Err(Violation::FrameTooLarge(self.length));
        }
        if self.flags & !(META | MORE) != 0 {
            return Err(Violation::ReservedFlags(self.flags));
        }
        if self.kind < Kind::FIRST_IGNORABLE && Kind::from_wire(self.kind).is_none() {
            return Err(Violation::UnexpectedKind(self.kind));
        }
        Ok(())
    }
}

/// One received frame, borrowed from the buffer it was received into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
}

/// Cuts a byte stream into frames.
///
/// Ask for [`space`](Self::space), put received bytes there, tell [`filled`](Self::filled) how many, then take frames
/// from [`next`](Self::next) until there is none.
#[derive(Debug)]
pub(crate) struct Deframer {
    /// Grows once, to [`FULL`](Self::FULL), where more comes at once than it holds.
    buffer: Vec<u8>,
    /// `consumed <= received <= buffer.len()`
    consumed: usize,
    received: usize,
    /// The frame whose payload goes elsewhere, and how much of it has.
    diverted: Option<(Header, usize)>,
    /// More of that is expected.
    expects_more: bool,
}

impl Deframer {
    /// Twice the longest frame, so that another fits behind an unfinished one.
    const FULL: usize = 2 * (HEADER + MAX_PAYLOAD);

    /// One for small frames: most links never carry others, and clearing more takes as long as a call does.
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; FORETASTE], consumed: 0, received: 0, diverted: None, expects_more: false }
    }

    /// Where to put received bytes; after `next` gave `None`, there is room.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.received == self.buffer.len() {
            self.buffer.resize(Self::FULL, 0);
        }
        if self.consumed == self.received {
            (self.consumed, self.received) = (0, 0);
        } else if self.buffer.len() - self.received < HEADER + MAX_PAYLOAD {
            self.buffer.copy_within(self.consumed..self.received, 0);
            (self.consumed, self.received) = (0, self.received - self.consumed);
        }
        let most = if self.expects_more { FORETASTE } else { self.buffer.len() };
        let end = self.buffer.len().min(self.received + most);
        &mut self.buffer[self.received..end]
    }

    pub(crate) fn filled(&mut self, bytes: usize) {
        self.received += bytes;
        debug_assert!(self.received <= self.buffer.len());
    }

    /// Whether a frame has begun but not ended.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.consumed < self.received || self.diverted.is_some()
    }

    /// The next whole frame, if it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Violation> {
        if self.diverted.is_some() {
            return Ok(None);
        }
        let bytes = &self.buffer[self.consumed..self.received];
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::from_wire(*header);
        header.check()?;
        let Some(payload) = rest.get(..header.length as usize) else { return Ok(None) };
        self.consumed += HEADER + payload.len();
        Ok(Some(Frame { header, payload }))
    }

    /// The header of the frame that has begun, if that much of it has arrived. To be used where [`next`](Self::next) finds
    /// no frame.
    pub(super) fn unfinished(&self) -> Option<Header> {
        if let Some((header, _)) = self.diverted {
            return Some(header);
        }
        let header = self.buffer[self.consumed..self.received].first_chunk()?;
        Some(Header::from_wire(*header))
    }

    /// Whether payloads that go elsewhere are likely to come next: then little is to be received before they do.
    pub(super) fn expect_more(&mut self, expects_more: bool) {
        self.expects_more = expects_more;
    }

    /// Puts what has arrived of the unfinished frame's payload to `place`, and lets `read` receive more, see
    /// [`direct`](super::direct); whether the payload is complete now.
    pub(super) fn divert(
        &mut self,
        header: Header,
        place: &mut [u8],
        read: impl FnOnce(&mut [u8], &mut [u8]) -> usize,
    ) -> bool {
        if self.diverted.is_none() {
            self.consumed += HEADER;
        }
        let arrived = self.diverted.map_or(0, |(_, arrived)| arrived);
        let count = (place.len() - arrived).min(self.received - self.consumed);
        place[arrived..arrived + count].copy_from_slice(&self.buffer[self.consumed..self.consumed + count]);
        self.consumed += count;
        let rest = &mut place[arrived + count..];
        let mut missing = rest.len();
        if missing > 0 {
            // Nothing is left here.
            let count = read(rest, &mut self.buffer[..HEADER]);
            (self.consumed, self.received) = (0, count.saturating_sub(missing));
            missing = missing.saturating_sub(count);
        }
        self.diverted = (missing > 0).then(|| (header, place.len() - missing));
        missing == 0
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(deframer: &mut Deframer, mut bytes: &[u8], step: usize) -> Result<Vec<(Header, Vec<u8>)>, Violation> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let space = deframer.space();
            let count = bytes.len().min(step).min(space.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            deframer.filled(count);
            while let Some(frame) = deframer.next()? {
                frames.push((frame.header, frame.payload.to_vec()));
            }
        }
        Ok(frames)
    }

    #[test]
    fn a_header_has_its_documented_layout() {
        let header = Header { length: 1, ack: 2, call: 3, target: 4, deadline: 5, method: 6, kind: 16, flags: 2 };
        let wire = header.to_wire();
        assert_eq!(wire, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 16, 2]);
        assert_eq!(Header::from_wire(wire), header);
    }

    #[test]
    fn a_frame_claiming_4_gib_is_refused_by_its_header_alone() {
        let header = Header { length: u32::MAX, kind: 16, ..Header::default() };
        let found = feed(&mut Deframer::new(), &header.to_wire(), HEADER);
        assert_eq!(found, Err(Violation::FrameTooLarge(u32::MAX)));
    }

    #[test]
    fn reserved_flags_and_unknown_kinds_are_refused_and_ignorable_ones_pass() {
        let frame = |kind, flags| Header { kind, flags, ..Header::default() }.to_wire();
        let found = |bytes: [u8; HEADER]| feed(&mut Deframer::new(), &bytes, HEADER).map(|frames| frames.len());
        assert_eq!(found(frame(16, 4)), Err(Violation::ReservedFlags(4)));
        assert_eq!(found(frame(99, 0)), Err(Violation::UnexpectedKind(99)));
        assert_eq!(found(frame(200, 0)), Ok(1));
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_frames(
            lengths in proptest::collection::vec(0_usize..=MAX_PAYLOAD, 1..6),
            step in 1_usize..200_000,
        ) {
            let mut bytes = Vec::new();
            for (call, length) in lengths.iter().enumerate() {
                let header = Header { length: *length as u32, call: call as u32, kind: 16, ..Header::default() };
                bytes.extend(header.to_wire());
                bytes.extend(vec![call as u8; *length]);
            }
            let step = step.max(bytes.len() / 4000);
            let frames = feed(&mut Deframer::new(), &bytes, step).unwrap();
            prop_assert_eq!(frames.len(), lengths.len());
            for (call, ((header, payload), length)) in frames.into_iter().zip(lengths).enumerate() {
                prop_assert_eq!(header.call as usize, call);
                prop_assert_eq!(payload, vec![call as u8; length]);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, step in 1_usize..64) {
            let _ = feed(&mut Deframer::new(), &bytes, step);
        }
    }
}

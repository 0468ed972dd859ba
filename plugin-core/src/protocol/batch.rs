//! Frames to be written together, without a copy of what is large in them.

use std::{mem, ops::Range, sync::Arc};

use crate::buffer::Buffer;

/// Bytes to be written in order: headers and small payloads, copied together, and between them parts of large messages.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// In their order.
    parts: Vec<Part>,
    /// The sum of `bytes` and `parts`.
    length: usize,
    /// `written <= length`
    written: usize,
}

/// The payload of a large message, in one piece or two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) payload: Buffer,
    pub(crate) bulk: Vec<u8>,
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.bulk.len()
    }

    /// The bytes of `range`, `range.end <= len()`.
    fn pieces(&self, range: &Range<usize>) -> [&[u8]; 2] {
        let first = self.payload.len();
        let (before, behind) = (|place: usize| place.min(first), |place: usize| place.saturating_sub(first));
        [&self.payload[before(range.start)..before(range.end)], &self.bulk[behind(range.start)..behind(range.end)]]
    }
}

/// A part of a large message.
#[derive(Debug)]
struct Part {
    /// How many of `bytes` come before it.
    place: usize,
    message: Arc<Content>,
    range: Range<usize>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is left to be written.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.length
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.length += bytes.len();
    }

    pub(crate) fn push_part(&mut self, message: &Arc<Content>, range: Range<usize>) {
        self.length += range.len();
        self.parts.push(Part { place: self.bytes.len(), message: Arc::clone(message), range });
    }

    /// What is left to be written, in pieces.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        let pieces = self.parts.iter().flat_map(move |part| {
            let begin = mem::replace(&mut begin, part.place);
            let [first, second] = part.message.pieces(&part.range);
            [&self.bytes[begin..part.place], first, second]
        });
        let behind = self.parts.last().map_or(0, |part| part.place);
        let mut written = self.written;
        pieces.chain([&self.bytes[behind..]]).filter_map(move |piece| {
            let passed = written.min(piece.len());
            written -= passed;
            Some(&piece[passed..]).filter(|piece| !piece.is_empty())
        })
    }

    /// Takes note that `count` more bytes have been written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
        debug_assert!(self.written <= self.length);
    }

    /// Empties it; its memory serves again.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.parts.clear();
        (self.length, self.written) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_begins_behind_what_was_written_wherever_that_is() {
        for split in [0, 1, 5, 6, 10] {
            let (payload, bulk) = b"0123456789".split_at(split);
            check(&Arc::new(Content { payload: payload.into(), bulk: bulk.into() }));
        }
    }

    fn check(message: &Arc<Content>) {
        let mut batch = Batch::default();
        batch.push_part(message, 0..2);
        batch.push(b"ab");
        batch.push(b"c");
        batch.push_part(message, 4..7);
        batch.push_part(message, 9..10);
        batch.push(b"d");
        let whole = b"01abc4569d";
        assert_eq!(batch.len(), whole.len());
        for written in 0..whole.len() {
            assert!(!batch.is_written());
            assert_eq!(batch.unwritten().collect::<Vec<_>>().concat(), whole[written..]);
            assert!(batch.unwritten().all(|piece| !piece.is_empty()));
            batch.advance(1);
        }
        assert!(batch.is_written() && batch.unwritten().next().is_none());
        batch.clear();
        assert!(batch.is_written() && Arc::strong_count(message) == 1);
    }
}

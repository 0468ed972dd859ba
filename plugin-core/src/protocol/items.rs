//! The bytes of a stream: items behind their lengths, cut into frames anywhere and put together again.
//!
//! [`Packer`] is the producer's end, [`Unpacker`] the consumer's. An item may be longer than a frame, and than the window.

use std::collections::VecDeque;

use super::frame::MAX_PAYLOAD;
use crate::{
    buffer::Buffer,
    codec::{EncodeError, Encoder, along::Thing},
};

/// Bytes of the length before each item.
const LENGTH: usize = 4;

/// How much room there is behind a frame's worth of items for the one that fills it.
const SLACK: usize = 4 * 1024;

/// How many things one item may refer to: what says so fits beside half a frame of bytes.
const MAX_THINGS: usize = 4096;

/// How many bytes of the window each thing takes that an item refers to, besides its bytes: so a producer is at most some hundred
/// objects ahead of its reader, of which there may be only so many.
const THING: usize = 4096;

/// The next bytes to be sent.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) bytes: Buffer,
    /// What the item refers to that they begin with.
    pub(crate) things: Vec<Thing>,
    /// How many bytes of the window that takes, as far as they are left.
    pub(crate) weight: u32,
}

impl Cut {
    /// How many bytes of the window it takes in all.
    pub(crate) fn taken(&self) -> usize {
        self.bytes.len() + self.weight as usize
    }
}

/// Bytes to be sent, and how they are cut into frames.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    bytes: Buffer,
    /// Those before have been cut off; `start <= bytes.len()`
    start: usize,
    /// Where items begin that refer to things, counted from the first byte that was ever added.
    marks: VecDeque<(u64, Vec<Thing>)>,
    /// How many bytes have been cut off.
    cut: u64,
    /// The last frame was full, so the next is likely to be.
    is_busy: bool,
}

impl Packer {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a frame can be filled.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MAX_PAYLOAD
    }

    /// Whether any item waits that refers to things.
    pub(crate) fn has_things(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Adds an item that `encode` writes, of at most `limit` bytes. One that cannot be written leaves nothing behind.
    pub(crate) fn item(
        &mut self,
        limit: usize,
        encode: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.make_room();
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH]);
        let limit_here = limit.saturating_add(self.bytes.len());
        let mut encoder = Encoder::behind(std::mem::take(&mut self.bytes), limit_here);
        let outcome = encode(&mut encoder);
        let things = encoder.take_things();
        self.bytes = encoder.into_buffer();
        let length = self.bytes.len() - before - LENGTH;
        let outcome = outcome.and_then(|()| check(length, limit, &things));
        match outcome {
            Ok(length) => {
                self.bytes.replace(before, &length.to_le_bytes());
                if !things.is_empty() {
                    self.marks.push_back((self.cut + (before - self.start) as u64, things));
                }
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(before);
                // The limit of the item, not of what it stands behind.
                Err(if let EncodeError::TooLarge(_) = error { EncodeError::TooLarge(limit) } else { error })
            }
        }
    }

    /// Adds plain bytes: without a copy, where nothing waits.
    pub(crate) fn adopt(&mut self, bytes: Buffer) {
        if self.is_empty() {
            (self.bytes, self.start) = (bytes, 0);
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
    }

    /// Cuts off the next frame, of at most `most` bytes; `None` where nothing waits, or `most` is 0.
    pub(crate) fn cut(&mut self, most: usize) -> Option<Cut> {
        let mut length = self.len().min(most).min(MAX_PAYLOAD);
        if length == 0 {
            return None;
        }
        let things = if self.marks.is_empty() { Vec::new() } else { self.things(&mut length) };
        self.is_busy = length == MAX_PAYLOAD;
        self.cut += length as u64;
        let weight = (THING * things.len()).min(most - length);
        Some(Cut { bytes: self.take(length), things, weight: u32::try_from(weight).unwrap_or(u32::MAX) })
    }

    /// What goes along with the next `length` bytes, or fewer: an item that refers to things begins a frame.
    fn things(&mut self, length: &mut usize) -> Vec<Thing> {
        let is_first = self.marks.front().is_some_and(|(place, _)| *place == self.cut);
        let things = if is_first { self.marks.pop_front() } else { None };
        if things.is_some() {
            *length = (*length).min(MAX_PAYLOAD / 2);
        }
        if let Some((place, _)) = self.marks.front() {
            *length = (*length).min(usize::try_from(place - self.cut).unwrap_or(usize::MAX));
        }
        things.map_or_else(Vec::new, |(_, things)| things)
    }

    fn take(&mut self, length: usize) -> Buffer {
        let rest = self.len() - length;
        // What is less is copied: the rest of a frame of small items, or a frame of a long one.
        if self.start == 0 && rest < length {
            let rest = Buffer::from(&self.bytes[length..]);
            self.bytes.truncate(length);
            return std::mem::replace(&mut self.bytes, rest);
        }
        let frame = Buffer::from(&self.bytes[self.start..self.start + length]);
        self.start += length;
        if rest == 0 {
            (self.bytes, self.start) = (Buffer::new(), 0);
        }
        frame
    }

    /// Takes back the last frame, which could not be sent, and along with which nothing goes.
    pub(crate) fn put_back(&mut self, mut frame: Buffer) {
        self.cut -= frame.len() as u64;
        frame.extend_from_slice(&self.bytes[self.start..]);
        (self.bytes, self.start) = (frame, 0);
    }

    /// Gives the items to come memory that need not grow, where there are many.
    fn make_room(&mut self) {
        if self.is_busy && self.bytes.is_empty() {
            self.bytes = Buffer::with_room(MAX_PAYLOAD + SLACK);
        }
    }
}

/// The length of an item, if it may be sent.
fn check(length: usize, limit: usize, things: &[Thing]) -> Result<u32, EncodeError> {
    if things.len() > MAX_THINGS {
        return Err(EncodeError::Failed(format!("an item of a stream refers to more than {MAX_THINGS} objects")));
    }
    u32::try_from(length).map_err(|_| EncodeError::TooLarge(limit))
}

/// An item that no honest producer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ItemError {
    #[error("an item claims {length} bytes, the limit is {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("the stream ends in the middle of an item")]
    Truncated,
}

/// Items as they come together from frames.
#[derive(Debug)]
pub(crate) struct Unpacker {
    frame: Buffer,
    /// `at <= frame.len()`
    at: usize,
    /// The beginning of an item whose end is not here yet, behind its length; or the last item, once `is_whole`.
    partial: Buffer,
    is_whole: bool,
    limit: usize,
}

impl Unpacker {
    /// One for items of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { frame: Buffer::new(), at: 0, partial: Buffer::new(), is_whole: false, limit }
    }

    /// Adds what came next. To be used when [`next`](Self::next) gives nothing.
    pub(crate) fn push(&mut self, frame: Buffer) {
        debug_assert!(self.at == self.frame.len());
        (self.frame, self.at) = (frame, 0);
    }

    /// The next item that is here whole.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, ItemError> {
        if std::mem::take(&mut self.is_whole) {
            self.partial = Buffer::new();
        }
        if self.partial.is_empty() {
            let rest = &self.frame[self.at..];
            let Some((length, rest)) = rest.split_first_chunk() else {
                self.keep(LENGTH);
                return Ok(None);
            };
            let length = self.checked(*length)?;
            if rest.len() < length {
                self.keep(LENGTH + length);
                return Ok(None);
            }
            let begin = self.at + LENGTH;
            self.at = begin + length;
            return Ok(Some(&self.frame[begin..self.at]));
        }
        self.keep(LENGTH);
        let Some(length) = self.partial.first_chunk() else { return Ok(None) };
        let length = self.checked(*length)?;
        self.keep(LENGTH + length);
        self.is_whole = self.partial.len() == LENGTH + length;
        Ok(self.is_whole.then(|| &self.partial[LENGTH..]))
    }

    /// Looks whether the stream may end here.
    pub(crate) fn finish(&self) -> Result<(), ItemError> {
        let is_inside = self.at < self.frame.len() || !(self.partial.is_empty() || self.is_whole);
        if is_inside { Err(ItemError::Truncated) } else { Ok(()) }
    }

    fn checked(&self, length: [u8; LENGTH]) -> Result<usize, ItemError> {
        let length = u32::from_le_bytes(length) as usize;
        if length > self.limit { Err(ItemError::TooLong { length, limit: self.limit }) } else { Ok(length) }
    }

    /// Moves what is here of an item of `whole` bytes, its length included, to where it waits for the rest.
    fn keep(&mut self, whole: usize) {
        let missing = whole.saturating_sub(self.partial.len());
        let end = self.at + missing.min(self.frame.len() - self.at);
        self.partial.extend_from_slice(&self.frame[self.at..end]);
        self.at = end;
    }
}

#[cfg(test)]
mod tests;

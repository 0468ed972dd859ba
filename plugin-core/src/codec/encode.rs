//! Writing values, with a cap on the size of the whole.

use std::io;

use rmp::Marker;
use serde::Serialize;

use super::along::{self, Thing};
use crate::buffer::Buffer;

/// Why a value could not be encoded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EncodeError {
    /// The message would be larger than the limit, in bytes.
    #[error("the message is larger than the limit of {0} bytes")]
    TooLarge(usize),
    /// The value's `Serialize` implementation failed.
    #[error("{0}")]
    Failed(String),
}

/// A message payload being written.
#[derive(Debug)]
pub struct Encoder {
    payload: Buffer,
    /// `len() <= limit`
    limit: usize,
    /// Mostly nothing.
    beside: Option<Box<Beside>>,
}

/// What few messages have.
#[derive(Debug, Default)]
struct Beside {
    /// Bytes behind the payload that were not copied into it.
    bulk: Vec<u8>,
    /// What goes along besides bytes.
    things: Vec<Thing>,
}

/// A marker, and a length of four bytes.
const LONGEST_HEAD: usize = 5;

/// What a value begins with.
type Head = io::Cursor<[u8; LONGEST_HEAD]>;

/// So many bytes are worth keeping apart; fewer are copied as quickly.
const BULK: usize = 16 * 1024;

impl Encoder {
    /// An empty payload that may grow to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self::behind(Buffer::new(), limit)
    }

    /// Goes on behind `payload`, which may grow to `limit` bytes.
    pub(crate) fn behind(payload: Buffer, limit: usize) -> Self {
        Self { payload, limit, beside: None }
    }

    /// Announces how many values follow.
    ///
    /// # Errors
    /// When the message would be larger than the limit.
    pub fn array(&mut self, length: u32) -> Result<(), EncodeError> {
        match u8::try_from(length) {
            // Most are short, and then their head is a byte.
            Ok(length @ 0..=15) => self.encoded(&[Marker::FixArray(length).to_u8()]),
            _ => self.head(|head| rmp::encode::write_array_len(head, length).is_ok()),
        }
    }

    /// Announces how many entries of a map follow.
    pub(crate) fn map(&mut self, length: u32) -> Result<(), EncodeError> {
        self.head(|head| rmp::encode::write_map_len(head, length).is_ok())
    }

    /// Writes what a value begins with, all at once: byte by byte it would cost more than most values.
    fn head(&mut self, write: impl FnOnce(&mut Head) -> bool) -> Result<(), EncodeError> {
        let mut head = Head::new([0; LONGEST_HEAD]);
        let is_written = write(&mut head);
        debug_assert!(is_written, "no head is longer");
        let length = usize::try_from(head.position()).unwrap_or(LONGEST_HEAD);
        self.encoded(&head.get_ref()[..length])
    }

    /// Encodes `bytes` as `bin`.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if let Ok(length) = u8::try_from(bytes.len()) {
            self.encoded(&[Marker::Bin8.to_u8(), length])?;
        } else {
            let length = u32::try_from(bytes.len()).map_err(|_| EncodeError::TooLarge(self.limit))?;
            self.head(|head| rmp::encode::write_bin_len(head, length).is_ok())?;
        }
        // What was kept apart has been joined to what comes before the head.
        if bytes.len() > self.limit - self.payload.len() {
            return Err(EncodeError::TooLarge(self.limit));
        }
        self.payload.extend_from_slice(bytes);
        Ok(())
    }

    /// Encodes that there is no value.
    pub(super) fn nil(&mut self) -> Result<(), EncodeError> {
        self.head(|head| rmp::encode::write_nil(head).is_ok())
    }

    /// Encodes `value`, structs as maps with named fields.
    ///
    /// # Errors
    /// When `value` cannot be serialised, or would make the message larger than the limit.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let limit = self.limit;
        let mut serializer = rmp_serde::Serializer::new(Limited { encoder: self, overflow: false }).with_struct_map();
        let (outcome, mut things) = along::putting(|| value.serialize(&mut serializer));
        if serializer.get_ref().overflow {
            return Err(EncodeError::TooLarge(limit));
        }
        if !things.is_empty() {
            self.beside().things.append(&mut things);
        }
        outcome.map_err(|error| EncodeError::Failed(error.to_string()))
    }

    /// Encodes `bytes` as `bin`, without a copy if they are many.
    pub(super) fn adopt(&mut self, bytes: Vec<u8>) -> Result<(), EncodeError> {
        if bytes.len() <= BULK {
            return self.bytes(&bytes);
        }
        let length = u32::try_from(bytes.len()).map_err(|_| EncodeError::TooLarge(self.limit))?;
        self.head(|head| rmp::encode::write_bin_len(head, length).is_ok())?;
        if bytes.len() > self.limit - self.payload.len() {
            return Err(EncodeError::TooLarge(self.limit));
        }
        self.beside().bulk = bytes;
        Ok(())
    }

    /// What was written.
    pub fn into_payload(mut self) -> Vec<u8> {
        self.join();
        self.payload.into_vec()
    }

    #[inline]
    pub(crate) fn into_buffer(mut self) -> Buffer {
        self.join();
        self.payload
    }

    /// What was written, the end of it perhaps in memory of its own.
    pub(crate) fn into_parts(self) -> (Buffer, Vec<u8>) {
        (self.payload, self.beside.map(|beside| beside.bulk).unwrap_or_default())
    }

    /// What was written, where there is nothing beside it.
    #[inline]
    pub(crate) fn into_plain(self) -> Result<Buffer, Self> {
        if self.beside.is_none() { Ok(self.payload) } else { Err(self) }
    }

    /// How many bytes have been written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.payload.len() + self.beside.as_ref().map_or(0, |beside| beside.bulk.len())
    }

    /// Takes what goes along besides bytes.
    #[inline]
    pub(crate) fn take_things(&mut self) -> Vec<Thing> {
        self.beside.as_mut().map(|beside| std::mem::take(&mut beside.things)).unwrap_or_default()
    }

    fn beside(&mut self) -> &mut Beside {
        self.beside.get_or_insert_default()
    }

    /// Appends what has been encoded already.
    #[inline]
    pub(crate) fn encoded(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.limit.saturating_sub(self.len()) {
            return Err(EncodeError::TooLarge(self.limit));
        }
        self.join();
        self.payload.extend_from_slice(bytes);
        Ok(())
    }

    /// Copies what was kept apart: nothing else can be written behind it.
    #[inline]
    fn join(&mut self) {
        if let Some(beside) = &mut self.beside {
            self.payload.extend_from_slice(&std::mem::take(&mut beside.bulk));
        }
    }
}

/// Stops an encoder at its limit, before a huge value fills the memory.
struct Limited<'a> {
    encoder: &'a mut Encoder,
    overflow: bool,
}

impl io::Write for Limited<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.join();
        if bytes.len() > self.encoder.limit - self.encoder.payload.len() {
            self.overflow = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.encoder.payload.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        rmp_serde::to_vec(serde_bytes::Bytes::new(bytes)).unwrap()
    }

    #[test]
    fn long_byte_strings_are_adopted_and_read_like_any() {
        for length in [1, BULK, BULK + 1, 3 * BULK] {
            let bytes = vec![7; length];
            let (place, expected) = (bytes.as_ptr(), encoded(&bytes));
            let mut encoder = Encoder::new(usize::MAX);
            encoder.adopt(bytes).unwrap();
            let (payload, bulk) = encoder.into_parts();
            assert_eq!(bulk.as_ptr() == place, length > BULK);
            assert!([&payload[..], &bulk].concat() == expected);
        }
    }

    #[test]
    fn what_is_written_behind_an_adopted_one_stays_behind_it() {
        let mut encoder = Encoder::new(usize::MAX);
        encoder.adopt(vec![7; BULK + 1]).unwrap();
        encoder.value(&true).unwrap();
        encoder.adopt(vec![8; BULK + 1]).unwrap();
        let expected = [encoded(&vec![7; BULK + 1]), vec![0xc3], encoded(&vec![8; BULK + 1])].concat();
        assert!(encoder.into_payload() == expected);
    }

    #[test]
    fn an_adopted_one_counts_towards_the_limit() {
        let adopt = |limit| Encoder::new(limit).adopt(vec![0; BULK + 1]);
        let length = encoded(&vec![0; BULK + 1]).len();
        assert!(adopt(length).is_ok());
        assert!(matches!(adopt(length - 1), Err(EncodeError::TooLarge(_))));
        let mut encoder = Encoder::new(length);
        encoder.adopt(vec![0; BULK + 1]).unwrap();
        assert!(matches!(encoder.value(&true), Err(EncodeError::TooLarge(_))));
    }
}

//! Writing values, with a cap on the size of the whole.

use std::io;

use serde::Serialize;

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
    /// `payload.len() <= limit`
    limit: usize,
}

impl Encoder {
    /// An empty payload that may grow to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { payload: Buffer::new(), limit }
    }

    /// Announces how many values follow.
    ///
    /// # Errors
    /// When the message would be larger than the limit.
    pub fn array(&mut self, length: u32) -> Result<(), EncodeError> {
        let limit = self.limit;
        rmp::encode::write_array_len(&mut Limited { encoder: self, overflow: false }, length)
            .map_err(|_| EncodeError::TooLarge(limit))?;
        Ok(())
    }

    /// Announces how many entries of a map follow.
    pub(crate) fn map(&mut self, length: u32) -> Result<(), EncodeError> {
        let limit = self.limit;
        rmp::encode::write_map_len(&mut Limited { encoder: self, overflow: false }, length)
            .map_err(|_| EncodeError::TooLarge(limit))?;
        Ok(())
    }

    /// Encodes `value`, structs as maps with named fields.
    ///
    /// # Errors
    /// When `value` cannot be serialised, or would make the message larger than the limit.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let limit = self.limit;
        let mut serializer = rmp_serde::Serializer::new(Limited { encoder: self, overflow: false }).with_struct_map();
        let outcome = value.serialize(&mut serializer);
        if serializer.get_ref().overflow {
            return Err(EncodeError::TooLarge(limit));
        }
        outcome.map_err(|error| EncodeError::Failed(error.to_string()))
    }

    /// What was written.
    pub fn into_payload(self) -> Vec<u8> {
        self.payload.into_vec()
    }

    pub(crate) fn into_buffer(self) -> Buffer {
        self.payload
    }
}

/// Stops an encoder at its limit, before a huge value fills the memory.
struct Limited<'a> {
    encoder: &'a mut Encoder,
    overflow: bool,
}

impl io::Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.encoder.limit - self.encoder.payload.len() {
            self.overflow = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.encoder.payload.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

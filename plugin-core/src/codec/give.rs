//! Encoding what nobody needs any more: what a method returned.
//!
//! The same choice as in [`bytes`](super::bytes), but by value, so that a long byte string need not be copied: its memory
//! becomes part of the message.

use super::{EncodeError, Encoder, fetch::OwnedByteString};

/// A value about to be encoded and given up.
#[derive(Debug)]
pub struct Give<T>(pub T);

/// Chosen for byte strings.
pub trait GiveBytes {
    /// Encodes the value as `bin`.
    ///
    /// # Errors
    /// When the message would be larger than the limit.
    fn __give(self, to: &mut Encoder) -> Result<(), EncodeError>;
}

impl<T: OwnedByteString> GiveBytes for Give<T> {
    fn __give(self, to: &mut Encoder) -> Result<(), EncodeError> {
        match self.0.into_bytes() {
            Ok(bytes) => to.adopt(bytes),
            Err(value) => value.write(to),
        }
    }
}

/// Chosen for every other type.
pub trait GiveSerde<T> {
    /// Encodes the value the way its `Serialize` implementation says.
    ///
    /// # Errors
    /// When that fails, or the message would be larger than the limit.
    fn __give(self, to: &mut Encoder) -> Result<(), EncodeError>
    where
        T: serde::Serialize;
}

impl<T> GiveSerde<T> for &Give<T> {
    fn __give(self, to: &mut Encoder) -> Result<(), EncodeError>
    where
        T: serde::Serialize,
    {
        to.value(&self.0)
    }
}

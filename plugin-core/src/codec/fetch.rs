//! Decoding what outlives the message it came in: what a method returned, and arguments that are `'static`.
//!
//! The same choice as in [`bytes`](super::bytes), but owned: `Cow<'static, [u8]>` can be returned though it cannot borrow.

use std::{borrow::Cow, marker::PhantomData};

use serde::Deserialize;

use super::{DecodeError, Decoder, bytes::ByteString};

/// A type about to be decoded without borrowing.
#[derive(Debug)]
pub struct Fetch<T>(PhantomData<T>);

impl<T> Fetch<T> {
    /// Names the type.
    #[expect(clippy::new_without_default, reason = "generated code names the type once, here")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Byte strings by way of one that serde can decode on its own.
pub trait OwnedByteString: ByteString + Sized {
    /// What is decoded.
    type Owned: for<'de> serde_bytes::Deserialize<'de>;

    /// What is returned.
    fn from_owned(owned: Self::Owned) -> Self;

    /// The bytes alone, where they are in memory that can be given away; else the value.
    fn into_bytes(self) -> Result<Vec<u8>, Self> {
        Err(self)
    }
}

impl OwnedByteString for Vec<u8> {
    type Owned = Self;

    fn from_owned(owned: Self) -> Self {
        owned
    }

    fn into_bytes(self) -> Result<Vec<u8>, Self> {
        Ok(self)
    }
}

impl OwnedByteString for Box<[u8]> {
    type Owned = Self;

    fn from_owned(owned: Self) -> Self {
        owned
    }

    fn into_bytes(self) -> Result<Vec<u8>, Self> {
        Ok(self.into_vec())
    }
}

impl<const N: usize> OwnedByteString for [u8; N] {
    type Owned = Self;

    fn from_owned(owned: Self) -> Self {
        owned
    }
}

impl OwnedByteString for Cow<'_, [u8]> {
    type Owned = Vec<u8>;

    fn from_owned(owned: Vec<u8>) -> Self {
        Cow::Owned(owned)
    }

    fn into_bytes(self) -> Result<Vec<u8>, Self> {
        match self {
            Cow::Owned(bytes) => Ok(bytes),
            Cow::Borrowed(_) => Err(self),
        }
    }
}

impl<T: OwnedByteString> OwnedByteString for Option<T> {
    type Owned = Option<T::Owned>;

    fn from_owned(owned: Self::Owned) -> Self {
        owned.map(T::from_owned)
    }

    fn into_bytes(self) -> Result<Vec<u8>, Self> {
        match self.map(T::into_bytes) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(value)) => Err(Some(value)),
            None => Err(None),
        }
    }
}

/// Chosen for byte strings.
pub trait FetchBytes<T> {
    /// Decodes the next value from `bin`.
    ///
    /// # Errors
    /// When no byte string comes next.
    fn __fetch(&self, from: &mut Decoder<'_>) -> Result<T, DecodeError>;
}

impl<T: OwnedByteString> FetchBytes<T> for Fetch<T> {
    fn __fetch(&self, from: &mut Decoder<'_>) -> Result<T, DecodeError> {
        from.bytes().map(T::from_owned)
    }
}

/// Chosen for every other type.
pub trait FetchSerde<T> {
    /// Decodes the next value the way its `Deserialize` implementation says.
    ///
    /// # Errors
    /// When no value of that type comes next.
    fn __fetch(&self, from: &mut Decoder<'_>) -> Result<T, DecodeError>
    where
        T: for<'de> Deserialize<'de>;
}

impl<T> FetchSerde<T> for &Fetch<T> {
    fn __fetch(&self, from: &mut Decoder<'_>) -> Result<T, DecodeError>
    where
        T: for<'de> Deserialize<'de>,
    {
        from.value()
    }
}

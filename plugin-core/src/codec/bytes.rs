//! Choosing between "byte string" and "whatever serde says" by type, at compile time.
//!
//! A `Vec<u8>` encoded as an array of integers is 90 times slower than as MessagePack `bin` and twice the size, and a
//! `&[u8]` can only be borrowed from `bin`. A macro sees tokens, not types, and an alias hides what a token means. So the
//! choice is left to method lookup: `(&Encode(&value)).__encode(..)` finds [`EncodeBytes`] first, because its receiver
//! needs no further reference, and falls back to [`EncodeSerde`] where the type is no byte string.
//!
//! The bounds of the fallback are on the method, not on the `impl`: a type that cannot be sent then gives one error that
//! names the missing trait. The methods have underscores because lookup also sees what the user's module has in scope.

use std::{any::Any, borrow::Cow, marker::PhantomData};

use serde::de::DeserializeOwned;

use super::{DecodeError, Decoder, EncodeError, Encoder, from_slice};

/// The types that travel as `bin` in both directions.
///
/// A list of its own because `serde_bytes` knows more types than it can deserialise: a `Box<Vec<u8>>` would go out as `bin` and
/// never come back.
pub trait ByteString {
    /// The bytes; `None` where there is no byte string.
    fn as_bytes(&self) -> Option<&[u8]>;

    /// Encodes them as `bin`.
    ///
    /// # Errors
    /// When the message would be larger than the limit.
    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        match self.as_bytes() {
            Some(bytes) => to.bytes(bytes),
            None => to.nil(),
        }
    }
}

impl ByteString for [u8] {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<const N: usize> ByteString for [u8; N] {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ByteString for Vec<u8> {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ByteString for Box<[u8]> {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ByteString for Cow<'_, [u8]> {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<T: ByteString + ?Sized> ByteString for &T {
    fn as_bytes(&self) -> Option<&[u8]> {
        T::as_bytes(self)
    }
}

impl<T: ByteString> ByteString for Option<T> {
    fn as_bytes(&self) -> Option<&[u8]> {
        self.as_ref().and_then(T::as_bytes)
    }
}

/// A value about to be encoded.
#[derive(Debug)]
pub struct Encode<'a, T: ?Sized>(pub &'a T);

/// Chosen for byte strings: `Vec<u8>`, `[u8]`, `[u8; N]`, `Cow<[u8]>`, references to and options of them.
pub trait EncodeBytes {
    /// Encodes the value as `bin`.
    ///
    /// # Errors
    /// When the message would be larger than the limit.
    fn __encode(&self, to: &mut Encoder) -> Result<(), EncodeError>;
}

impl<T: ByteString + ?Sized> EncodeBytes for Encode<'_, T> {
    fn __encode(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        self.0.write(to)
    }
}

/// Chosen for every other type.
pub trait EncodeSerde<T: ?Sized> {
    /// Encodes the value the way its `Serialize` implementation says.
    ///
    /// # Errors
    /// When that fails, or the message would be larger than the limit.
    fn __encode(&self, to: &mut Encoder) -> Result<(), EncodeError>
    where
        T: serde::Serialize;
}

impl<T: ?Sized> EncodeSerde<T> for &Encode<'_, T> {
    fn __encode(&self, to: &mut Encoder) -> Result<(), EncodeError>
    where
        T: serde::Serialize,
    {
        to.value(self.0)
    }
}

/// A type about to be decoded.
#[derive(Debug)]
pub struct Decode<T>(PhantomData<T>);

impl<T> Decode<T> {
    /// Names the type.
    #[expect(clippy::new_without_default, reason = "generated code names the type once, here")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Chosen for byte strings.
pub trait DecodeBytes<'de, T> {
    /// Decodes the next value from `bin`.
    ///
    /// # Errors
    /// When no byte string comes next.
    fn __decode(&self, from: &mut Decoder<'de>) -> Result<T, DecodeError>;
}

impl<'de, T: ByteString + serde_bytes::Deserialize<'de>> DecodeBytes<'de, T> for Decode<T> {
    fn __decode(&self, from: &mut Decoder<'de>) -> Result<T, DecodeError> {
        from.bytes()
    }
}

/// Chosen for every other type.
pub trait DecodeSerde<'de, T> {
    /// Decodes the next value the way its `Deserialize` implementation says.
    ///
    /// # Errors
    /// When no value of that type comes next.
    fn __decode(&self, from: &mut Decoder<'de>) -> Result<T, DecodeError>
    where
        T: serde::Deserialize<'de>;
}

impl<'de, T> DecodeSerde<'de, T> for &Decode<T> {
    fn __decode(&self, from: &mut Decoder<'de>) -> Result<T, DecodeError>
    where
        T: serde::Deserialize<'de>,
    {
        from.value()
    }
}

/// Encodes an item of a stream. No generated code names its type, which lookup would need; so only a `Vec<u8>` is known here.
pub(crate) fn encode_item<T: serde::Serialize + 'static>(item: &T, to: &mut Encoder) -> Result<(), EncodeError> {
    match (item as &dyn Any).downcast_ref::<Vec<u8>>() {
        Some(bytes) => bytes.write(to),
        None => to.value(item),
    }
}

/// Decodes what [`encode_item`] has encoded, which is all of `payload`.
pub(crate) fn decode_item<T: DeserializeOwned + 'static>(payload: &[u8]) -> Result<T, DecodeError> {
    let mut item = None::<T>;
    let Some(bytes) = (&mut item as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() else { return from_slice(payload) };
    let mut decoder = Decoder::new(payload);
    *bytes = Some(decoder.bytes()?);
    decoder.end()?;
    item.ok_or_else(|| DecodeError::Malformed("expected a byte string".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;

    fn encoded<T: serde::Serialize + 'static>(item: &T) -> Vec<u8> {
        let mut encoder = Encoder::new(100);
        encode_item(item, &mut encoder).unwrap();
        encoder.into_payload()
    }

    #[test]
    fn an_item_of_bytes_goes_as_bytes_and_may_come_as_numbers() {
        let bytes = vec![200_u8, 1, 255];
        assert_eq!(encoded(&bytes), [0xc4, 3, 200, 1, 255]);
        assert_eq!(decode_item::<Vec<u8>>(&encoded(&bytes)).unwrap(), bytes);
        let numbers = encode(&bytes).unwrap();
        assert_eq!(decode_item::<Vec<u8>>(&numbers).unwrap(), bytes);
        assert!(decode_item::<Vec<u8>>(&[0xc4, 3, 200, 1, 255, 0]).is_err(), "something is left over");
    }

    #[test]
    fn other_items_go_as_serde_says() {
        assert_eq!(encoded(&vec![200_u16, 1]), [0x92, 0xcc, 200, 1]);
        assert_eq!(decode_item::<Vec<u16>>(&[0x92, 0xcc, 200, 1]).unwrap(), [200, 1]);
    }
}

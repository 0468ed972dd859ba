//! Reading values, borrowing from the received message where the type allows.

use rmp::Marker;
use serde::{Deserialize, Deserializer, de::Visitor};

use super::{along, scan};

/// Why a value could not be decoded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecodeError {
    /// The message ends in the middle of a value.
    #[error("the message ends in the middle of a value")]
    Truncated,
    /// Arrays, maps and variants nest too deeply.
    #[error("the message nests deeper than {} levels", scan::MAX_DEPTH)]
    TooDeep,
    /// There are bytes behind the last expected value.
    #[error("{0} unexpected bytes follow the last value")]
    Trailing(usize),
    /// The bytes are no MessagePack, or not of the expected shape.
    #[error("{0}")]
    Malformed(String),
}

impl DecodeError {
    /// Says which argument of a method the error is about.
    pub fn in_argument(self, name: &str) -> Self {
        Self::Malformed(format!("argument `{name}`: {self}"))
    }
}

/// The values of one message, read one after the other.
#[derive(Debug)]
pub struct Decoder<'de> {
    rest: &'de [u8],
}

impl<'de> Decoder<'de> {
    /// Reads `payload` from its start.
    pub fn new(payload: &'de [u8]) -> Self {
        Self { rest: payload }
    }

    /// Expects the announcement of exactly `expected` values.
    ///
    /// # Errors
    /// When something else comes next.
    pub fn array(&mut self, expected: u32) -> Result<(), DecodeError> {
        if let (Ok(length @ 0..=15), [head, rest @ ..]) = (u8::try_from(expected), self.rest) {
            if *head == Marker::FixArray(length).to_u8() {
                self.rest = rest;
                return Ok(());
            }
        }
        match rmp::decode::read_array_len(&mut self.rest) {
            Ok(found) if found == expected => Ok(()),
            Ok(found) => Err(DecodeError::Malformed(format!("expected {expected} values, got {found}"))),
            Err(error) => Err(DecodeError::Malformed(format!("expected {expected} values: {error}"))),
        }
    }

    /// Expects the announcement of a map; gives how many entries follow.
    pub(crate) fn map(&mut self) -> Result<u32, DecodeError> {
        rmp::decode::read_map_len(&mut self.rest)
            .map_err(|error| DecodeError::Malformed(format!("expected a map: {error}")))
    }

    /// Takes the next value, which is of any kind; gives it if it is a string.
    pub(crate) fn optional_str(&mut self) -> Result<Option<&'de str>, DecodeError> {
        let mut value = self.extent()?;
        Ok(<&str>::deserialize(&mut value).ok())
    }

    /// Decodes the next value.
    ///
    /// # Errors
    /// When no well-formed value of that type comes next.
    pub fn value<T: Deserialize<'de>>(&mut self) -> Result<T, DecodeError> {
        let mut value = self.extent()?;
        decode(T::deserialize(&mut value))
    }

    /// Takes `nil`, or else what `some` decodes.
    ///
    /// # Errors
    /// When `some` fails.
    pub fn optional<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.rest {
            [0xc0, rest @ ..] => {
                self.rest = rest;
                Ok(None)
            }
            _ => some(self).map(Some),
        }
    }

    /// Decodes the next value as a byte string.
    pub(super) fn bytes<T: serde_bytes::Deserialize<'de>>(&mut self) -> Result<T, DecodeError> {
        if let Some(bin) = self.short_bin()? {
            return decode(T::deserialize(bin));
        }
        let mut value = self.extent()?;
        decode(T::deserialize(&mut value))
    }

    /// As [`value`](Self::value), of what is likely to be a byte string: a reference into the message, which no list could be.
    pub(super) fn reference<T: Deserialize<'de>>(&mut self) -> Result<T, DecodeError> {
        if let Some(bin) = self.short_bin()? {
            return decode(T::deserialize(bin));
        }
        self.value()
    }

    /// Takes the next value if it is a short byte string: most are, and need not be looked at by what reads any value.
    #[inline]
    fn short_bin(&mut self) -> Result<Option<Bin<'de>>, DecodeError> {
        let [SHORT_BIN, length, behind @ ..] = self.rest else { return Ok(None) };
        let (bytes, rest) = behind.split_at_checked(usize::from(*length)).ok_or(DecodeError::Truncated)?;
        let whole = std::mem::replace(&mut self.rest, rest);
        Ok(Some(Bin { bytes, whole }))
    }

    /// Passes over the next value.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        self.rest = &self.rest[scan::value_length(self.rest)?..];
        Ok(())
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Refuses what is left over.
    ///
    /// # Errors
    /// When values follow that nobody asked for.
    pub fn finish(&self) -> Result<(), DecodeError> {
        along::decoded();
        self.end()
    }

    /// As [`finish`](Self::finish), of what is no message of its own.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    /// A deserializer over exactly the next value, whose nesting has been checked.
    fn extent(&mut self) -> Result<ValueDeserializer<'de>, DecodeError> {
        let (value, rest) = self.rest.split_at(scan::value_length(self.rest)?);
        self.rest = rest;
        Ok(rmp_serde::Deserializer::from_read_ref(value))
    }
}

/// Announces a byte string of at most 255 bytes, whose length is the next byte.
const SHORT_BIN: u8 = 0xc4;

/// A byte string, as `serde` sees it.
struct Bin<'de> {
    bytes: &'de [u8],
    /// From its head on.
    whole: &'de [u8],
}

/// What is seldom asked for, and means something else there.
macro_rules! as_any_value {
    ($($method:ident($($given:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($given: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            ValueDeserializer::from_read_ref(self.whole).$method($($given,)* visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Bin<'de> {
    type Error = rmp_serde::decode::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_bytes(self.bytes)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    as_any_value! {
        deserialize_i128()
        deserialize_u128()
        deserialize_seq()
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct map identifier
        ignored_any
    }
}

type ValueDeserializer<'de> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'de, [u8]>>;

fn decode<T>(outcome: Result<T, rmp_serde::decode::Error>) -> Result<T, DecodeError> {
    outcome.map_err(|error| DecodeError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped<'a>(#[serde(borrow)] &'a [u8]);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair(u8, u8);

    /// Looks the same to what decodes it, whether as a value or as a reference.
    fn check<'de, T: Deserialize<'de> + PartialEq + Debug>(payload: &'de [u8]) {
        let (mut value, mut reference) = (Decoder::new(payload), Decoder::new(payload));
        assert_eq!(value.value::<T>().ok(), reference.reference::<T>().ok());
        assert_eq!(value.end().is_ok(), reference.end().is_ok());
    }

    #[test]
    fn a_reference_is_what_a_value_is() {
        let long = [&[0xc5, 1, 0][..], &[7; 256]].concat();
        let wide = [&[0xc4, 16][..], &[7; 16]].concat();
        check::<u128>(&wide);
        check::<i128>(&wide);
        for payload in
            [&[0xc4, 2, b'a', b'b'][..], &[0xa2, b'a', b'b'], &[0xc4, 3, 1, 2], &[0xc4], &[], &[0x91, 1], &long]
        {
            check::<&[u8]>(payload);
            check::<&str>(payload);
            check::<Option<&[u8]>>(payload);
            check::<Wrapped<'_>>(payload);
            check::<&std::path::Path>(payload);
            check::<[u8; 2]>(payload);
            check::<(u8, u8)>(payload);
            check::<Vec<u8>>(payload);
            check::<Pair>(payload);
        }
        assert_eq!(Decoder::new(&[0xc4, 2, 7, 8]).reference::<Wrapped<'_>>().unwrap(), Wrapped(&[7, 8]));
    }

    #[test]
    fn a_list_is_as_long_as_is_expected_however_its_length_is_written() {
        for (payload, length) in [(&[0x93][..], 3), (&[0xdc, 0, 3], 3), (&[0xdc, 0, 16], 16)] {
            assert!(Decoder::new(payload).array(length).is_ok());
            assert!(Decoder::new(payload).array(length + 1).is_err());
        }
    }
}

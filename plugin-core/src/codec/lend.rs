//! Decoding what a method takes as `&T`, where `T` may be anything, sized or not.
//!
//! What to hold while the method borrows it depends on the type, which an alias may hide, so method lookup chooses here
//! too (see [`bytes`](super::bytes)): `(&&&&Lend::<T>::new()).__lend(..)` tries, in this order, a reference straight into
//! the message, a byte string, a value or a vector, and what `ToOwned` gives. Each holder derefs to `T`.

use std::{borrow::Borrow, marker::PhantomData, ops::Deref};

use super::{Decode, DecodeBytes, DecodeError, Decoder, bytes::ByteString};

/// The `T` of an argument `&T`, about to be decoded.
#[derive(Debug)]
pub struct Lend<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Lend<T> {
    /// Names the type.
    #[expect(clippy::new_without_default, reason = "generated code names the type once, here")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Holds an owned value while the method borrows it.
#[derive(Debug)]
pub struct Held<T, B: ?Sized = T>(T, PhantomData<B>);

impl<T: Borrow<B>, B: ?Sized> Deref for Held<T, B> {
    type Target = B;

    fn deref(&self) -> &B {
        self.0.borrow()
    }
}

/// First choice: what can be borrowed from the message, such as `str`, `[u8]` and `Path`.
pub trait LendFromMessage<'de, T: ?Sized + 'de> {
    /// Decodes the next value without a copy.
    ///
    /// # Errors
    /// When no value of that type comes next.
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<&'de T, DecodeError>;
}

impl<'de, T: ?Sized + 'de> LendFromMessage<'de, T> for &&&Lend<T>
where
    &'de T: serde::Deserialize<'de>,
{
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<&'de T, DecodeError> {
        from.reference()
    }
}

/// Second choice: byte strings in a box of some kind.
pub trait LendBytes<'de, T> {
    /// Decodes the next value from `bin`.
    ///
    /// # Errors
    /// When no byte string comes next.
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Held<T>, DecodeError>;
}

impl<'de, T: ByteString + serde_bytes::Deserialize<'de>> LendBytes<'de, T> for &&Lend<T> {
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Held<T>, DecodeError> {
        Decode::new().__decode(from).map(|value| Held(value, PhantomData))
    }
}

/// Third choice: values, and vectors in place of slices.
pub trait LendValue<'de, T> {
    /// What is decoded.
    type Holder;

    /// Decodes the next value the way its `Deserialize` implementation says.
    ///
    /// # Errors
    /// When no value of that type comes next.
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Self::Holder, DecodeError>
    where
        T: serde::Deserialize<'de>;
}

impl<'de, T> LendValue<'de, T> for &Lend<T> {
    type Holder = Held<T>;

    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Held<T>, DecodeError>
    where
        T: serde::Deserialize<'de>,
    {
        from.value().map(|value| Held(value, PhantomData))
    }
}

impl<'de, T> LendValue<'de, T> for &Lend<[T]> {
    type Holder = Vec<T>;

    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Vec<T>, DecodeError>
    where
        T: serde::Deserialize<'de>,
    {
        from.value()
    }
}

/// Last choice: other unsized types, such as `OsStr` and `CStr`.
pub trait LendOwned<'de, T: ?Sized + ToOwned> {
    /// Decodes the next value as the owned twin of `T`.
    ///
    /// # Errors
    /// When no value of that type comes next.
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Held<T::Owned, T>, DecodeError>
    where
        T::Owned: serde::Deserialize<'de>;
}

impl<'de, T: ?Sized + ToOwned> LendOwned<'de, T> for Lend<T> {
    fn __lend(&self, from: &mut Decoder<'de>) -> Result<Held<T::Owned, T>, DecodeError>
    where
        T::Owned: serde::Deserialize<'de>,
    {
        from.value().map(|value| Held(value, PhantomData))
    }
}

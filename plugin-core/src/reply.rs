//! What a method returns, seen through any alias of `Result`.

use crate::{
    Error,
    client::Answer,
    codec::{DecodeError, Decoder, EncodeError, Encoder, Fetch},
    interface::{Fault, Verdict},
};

/// The return type of an interface method: a `Result`, under whatever name.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a plugin method must return a `Result`, not `{Self}`",
    label = "a remote call can fail, and this type cannot say so",
    note = "write `plugin_core::Result<{Self}>`, or `Result<{Self}, E>` with an `E` of your own"
)]
pub trait Reply: Sized {
    /// The `T` of `Result<T, E>`.
    type Value;
    /// The `E` of `Result<T, E>`.
    type Error;

    /// Encodes what a method returned.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    fn send(
        self,
        answer: &mut Encoder,
        value: impl FnOnce(Self::Value, &mut Encoder) -> Result<(), EncodeError>,
        error: impl FnOnce(Self::Error, &mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Verdict, Fault>;

    /// Decodes what a call brought back. The closures are told which type to decode, so that nobody else need name it.
    fn receive(
        answer: Result<Answer<'_>, Error>,
        value: impl FnOnce(Fetch<Self::Value>, &mut Decoder<'_>) -> Result<Self::Value, DecodeError>,
        error: impl FnOnce(Fetch<Self::Error>, &mut Decoder<'_>) -> Result<Self::Error, DecodeError>,
    ) -> Self
    where
        Self::Error: CallError;
}

impl<T, E> Reply for Result<T, E> {
    type Value = T;
    type Error = E;

    fn send(
        self,
        answer: &mut Encoder,
        value: impl FnOnce(T, &mut Encoder) -> Result<(), EncodeError>,
        error: impl FnOnce(E, &mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Verdict, Fault> {
        let (verdict, outcome) = match self {
            Ok(returned) => (Verdict::Value, value(returned, answer)),
            Err(returned) => (Verdict::Error, error(returned, answer)),
        };
        outcome.map(|()| verdict).map_err(Fault::Answer)
    }

    fn receive(
        answer: Result<Answer<'_>, Error>,
        value: impl FnOnce(Fetch<T>, &mut Decoder<'_>) -> Result<T, DecodeError>,
        error: impl FnOnce(Fetch<E>, &mut Decoder<'_>) -> Result<E, DecodeError>,
    ) -> Self
    where
        E: CallError,
    {
        let answer = answer.map_err(E::from_call_error)?;
        match answer.verdict() {
            Verdict::Value => answer.read(|from| value(Fetch::new(), from)).map_err(E::from_call_error),
            Verdict::Error => Err(answer.read(|from| error(Fetch::new(), from)).unwrap_or_else(E::from_call_error)),
        }
    }
}

/// The return type of a oneway method: a `Result` of nothing, under whatever name.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a oneway method must return a `Result` of `()`, not `{Self}`",
    label = "nothing comes back from a oneway call but whether it could be sent",
    note = "write `plugin_core::Result<()>`, or `Result<(), E>` with an `E` of your own; or remove `oneway`"
)]
pub trait OnewayReply: Sized {
    /// The `E` of `Result<(), E>`.
    type Error;

    /// Encodes what a method returned.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    fn send(
        self,
        answer: &mut Encoder,
        value: impl FnOnce((), &mut Encoder) -> Result<(), EncodeError>,
        error: impl FnOnce(Self::Error, &mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Verdict, Fault>;

    /// Says whether a call could be sent.
    fn sent(outcome: Result<(), Error>) -> Self
    where
        Self::Error: CallError;
}

impl<E> OnewayReply for Result<(), E> {
    type Error = E;

    fn send(
        self,
        answer: &mut Encoder,
        value: impl FnOnce((), &mut Encoder) -> Result<(), EncodeError>,
        error: impl FnOnce(E, &mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Verdict, Fault> {
        Reply::send(self, answer, value, error)
    }

    fn sent(outcome: Result<(), Error>) -> Self
    where
        E: CallError,
    {
        outcome.map_err(E::from_call_error)
    }
}

/// The error type of an interface method: one that a [`plugin_core::Error`](Error) turns into.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a call to a plugin failed",
    label = "lacks `From<plugin_core::Error>`",
    note = "a remote call can fail: return `plugin_core::Result<T>`, or an error type of your own with `impl From<plugin_core::Error>`, such as a `thiserror` enum with a variant `Call(#[from] plugin_core::Error)`"
)]
pub trait CallError: Sized {
    /// Wraps the failure of a call.
    fn from_call_error(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> CallError for E {
    fn from_call_error(error: Error) -> Self {
        Self::from(error)
    }
}

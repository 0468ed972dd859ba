//! What comes back from a call.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Error, Result,
    buffer::Buffer,
    codec::{self, DecodeError, Decoder, along},
    interface::Verdict,
    objects::depth,
    protocol::{
        frame::Kind,
        message::{Cargo, Failure, FailureKind, Message},
    },
};

/// What came back from a call.
#[doc(hidden)]
pub struct Answer<'a> {
    verdict: Verdict,
    payload: Buffer,
    /// Whether the payload begins with metadata.
    meta: bool,
    cargo: Cargo,
    peer: Peer<'a>,
    method: &'static str,
}

/// What errors call the other side: asked for seldom, and by each call given.
pub(crate) enum Peer<'a> {
    Named(&'a str),
    Shared(Arc<str>),
}

impl Peer<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

impl<'a> Answer<'a> {
    /// What an answer says that came within `limit`.
    #[inline]
    pub(crate) fn new(
        peer: Peer<'a>,
        method: &'static str,
        answer: Message,
        limit: impl FnOnce() -> Duration,
        max_message: usize,
    ) -> Result<Self> {
        let verdict = match answer.kind {
            Kind::Value => Verdict::Value,
            Kind::Error => Verdict::Error,
            _ => return Err(failed(peer.name(), method, &answer.payload, limit(), max_message)),
        };
        let Message { payload, meta, cargo, .. } = answer;
        Ok(Self { verdict, payload, meta, cargo, peer, method })
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Decodes the answer's one value.
    pub(crate) fn read<T>(mut self, decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>) -> Result<T> {
        let mut decoder = Decoder::new(&self.payload);
        let value = along::coming(self.cargo.take(), || {
            if self.meta {
                decoder.skip()?;
            }
            decode(&mut decoder).and_then(|value| decoder.finish().map(|()| value))
        });
        value.map_err(|error| bad_answer(self.peer.name(), self.method, &error))
    }
}

/// Why the other side's runtime has no answer from the method.
fn failed(plugin: &str, name: &str, payload: &[u8], limit: Duration, max_message: usize) -> Error {
    match codec::from_slice::<Failure>(payload) {
        Ok(failure) => explain_failure(plugin, name, failure, limit, max_message),
        Err(error) => bad_answer(plugin, name, &error),
    }
}

/// What a failure of method `name` means to its caller, who has waited until `limit`.
pub(crate) fn explain_failure(
    plugin: &str,
    name: &str,
    failure: Failure,
    limit: Duration,
    max_message: usize,
) -> Error {
    let (plugin, method) = (plugin.to_owned(), name.to_owned());
    let message = failure.message;
    match failure.kind {
        FailureKind::Panicked => Error::Panicked { plugin, method, message, location: failure.location },
        FailureKind::UnknownMethod => Error::UnknownMethod { plugin, method },
        FailureKind::BadArguments => {
            let message = format!("{message}; do both sides use one version of the trait?");
            Error::BadArguments { plugin, method, message }
        }
        FailureKind::BadAnswer => {
            Error::BadAnswer { plugin, method, message: format!("it could not be sent: {message}") }
        }
        FailureKind::Unknown => Error::BadAnswer { plugin, method, message },
        FailureKind::AnswerTooLarge => {
            let limit = message.parse().unwrap_or(max_message);
            Error::TooLarge { plugin, method, what: "answer".into(), limit }
        }
        FailureKind::Overloaded => Error::Overloaded { plugin, method, message },
        // The other side's clock was first to say so.
        FailureKind::Cancelled => {
            Error::Timeout { plugin, method, after: limit, may_have_run: false, silent_for: None }
        }
        FailureKind::Late => Error::Timeout { plugin, method, after: limit, may_have_run: true, silent_for: None },
        FailureKind::Interrupted => Error::Disconnected { plugin, method, may_have_run: true, reason: message },
        FailureKind::CallEnded => Error::CallEnded { plugin, method },
        FailureKind::TooDeep => Error::TooDeep { plugin, method, limit: depth::LIMIT },
        FailureKind::Stopping => Error::Disconnected { plugin, method, may_have_run: false, reason: message },
    }
}

/// The answer is not what was expected.
pub(crate) fn bad_answer(plugin: &str, method: &str, error: &dyn fmt::Display) -> Error {
    let message = format!("it cannot be read: {error}; do both sides use one version of the trait?");
    Error::BadAnswer { plugin: plugin.into(), method: method.into(), message }
}

//! Why a stream has ended before its time, on the wire.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    client::explain_failure,
    codec::{self, EncodeError},
    error::READ,
    protocol::message::{Failure, FailureKind},
};

/// Why there is no other item.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    /// The producer gave an error.
    Error(Error),
    /// It panicked, or what it gave cannot be sent.
    Failure(Failure),
}

impl Ending {
    /// Why an item cannot be sent.
    pub(super) fn unencodable(error: &EncodeError) -> Self {
        Self::Failure(match error {
            EncodeError::TooLarge(limit) => Failure::new(FailureKind::AnswerTooLarge, &limit.to_string()),
            EncodeError::Failed(_) => Failure::new(FailureKind::BadAnswer, &error.to_string()),
        })
    }

    /// The payload that says so; it fits a frame.
    pub(super) fn encode(self) -> Vec<u8> {
        let ending = match self {
            Self::Error(error) => Self::Error(error.shortened()),
            failure @ Self::Failure(_) => failure,
        };
        // Strings and a variant: their encoding cannot fail.
        codec::encode(&ending).map(crate::buffer::Buffer::into_vec).unwrap_or_default()
    }

    /// What a payload says to the reader of a stream of `peer`: `None` for a normal end.
    pub(crate) fn read(payload: &[u8], peer: &str, max_message: usize) -> Option<Error> {
        if payload.is_empty() {
            return None;
        }
        Some(match codec::from_slice(payload) {
            Ok(Self::Error(error)) => error,
            Ok(Self::Failure(failure)) => explain_failure(peer, READ, failure, std::time::Duration::ZERO, max_message),
            Err(error) => super::unreadable(peer, &error),
        })
    }
}

//! Errors on the wire: a kind, a message and a chain of causes, which arrive as [`Error::Remote`].

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Error, text::causes};
use crate::protocol::message::shortened;

impl Error {
    /// The name of the variant as it goes over the wire.
    fn kind(&self) -> &str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::NotExecutable { .. } => "not-executable",
            Self::WrongMachine { .. } => "wrong-machine",
            Self::Spawn { .. } => "spawn",
            Self::NotAPlugin { .. } => "not-a-plugin",
            Self::ExitedAtStart { .. } => "exited-at-start",
            Self::StartTimeout { .. } => "start-timeout",
            Self::IncompatibleProtocol { .. } => "incompatible-protocol",
            Self::MissingInterface { .. } => "missing-interface",
            Self::IncompatibleInterface { .. } => "incompatible-interface",
            Self::MissingMethods { .. } => "missing-methods",
            Self::Unkillable { .. } => "unkillable",
            Self::Listen { .. } => "listen",
            Self::Attach { .. } => "attach",
            Self::Refused { .. } => "refused",
            Self::Timeout { .. } => "timeout",
            Self::Died { .. } => "died",
            Self::Disconnected { .. } => "disconnected",
            Self::Protocol { .. } => "protocol",
            Self::Stopped { .. } => "stopped",
            Self::GaveUp { .. } => "gave-up",
            Self::OnStart { .. } => "on-start",
            Self::Panicked { .. } => "panicked",
            Self::UnknownMethod { .. } => "unknown-method",
            Self::BadArguments { .. } => "bad-arguments",
            Self::BadAnswer { .. } => "bad-answer",
            Self::TooLarge { .. } => "too-large",
            Self::Overloaded { .. } => "overloaded",
            Self::CallEnded { .. } => "call-ended",
            Self::TooDeep { .. } => "too-deep",
            Self::Unread => "unread",
            Self::Remote { kind, .. } => kind,
            Self::Custom(_) => "custom",
        }
    }
}

impl Error {
    /// What arrives of the error on the other side, no longer than fits a frame.
    pub(crate) fn shortened(&self) -> Self {
        const CAUSES: usize = 5;
        let (message, chain) = self.texts();
        let chain = chain.iter().take(CAUSES).map(|cause| shortened(cause)).collect();
        Self::Remote { kind: shortened(self.kind()), message: shortened(&message), chain }
    }

    /// Its message, and those of its causes.
    fn texts(&self) -> (String, Vec<String>) {
        match self {
            Self::Remote { message, chain, .. } => (message.clone(), chain.clone()),
            _ => (self.to_string(), causes(self)),
        }
    }
}

/// An error on the wire.
#[derive(Serialize, Deserialize)]
struct Sent {
    kind: String,
    message: String,
    #[serde(default)]
    chain: Vec<String>,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (message, chain) = self.texts();
        Sent { kind: self.kind().into(), message, chain }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Sent { kind, message, chain } = Sent::deserialize(deserializer)?;
        Ok(Self::Remote { kind, message, chain })
    }
}

//! Whole messages, and the payloads of those that the runtime itself reads.

use std::{any::Any, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::frame::Kind;
use crate::buffer::Buffer;

/// A message: what a frame says, once its fragments are together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) call: u32,
    pub(crate) target: u32,
    pub(crate) method: u16,
    /// Milliseconds left for the call; 0 where there is no deadline.
    pub(crate) deadline: u32,
    /// Whether the payload begins with a map of metadata.
    pub(crate) meta: bool,
    pub(crate) payload: Buffer,
    /// More of the payload, in memory of its own: only in messages to be sent.
    pub(crate) bulk: Bulk,
    pub(crate) cargo: Cargo,
}

/// What goes along with a message besides its bytes, as those know it who put it there.
#[derive(Clone, Default)]
pub(crate) struct Cargo(Option<Box<Load>>);

/// Boxed, as few messages have any, and all are moved about.
#[derive(Clone)]
struct Load(Arc<dyn Freight>);

/// Bytes that were not copied into a payload: boxed as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bulk(Option<Box<Bytes>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

/// One such thing.
pub(crate) trait Freight: Send + Sync {
    /// The whole message has been handed out, and will arrive unless the session ends.
    fn left(&self) {}

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Cargo {
    pub(crate) fn new(freight: Arc<dyn Freight>) -> Self {
        Self(Some(Box::new(Load(freight))))
    }

    /// Says that the message has been handed out; whether there is something to let go of.
    pub(super) fn left(&self) -> bool {
        if let Some(freight) = &self.0 {
            freight.0.left();
        }
        self.0.is_some()
    }

    /// Takes what is there.
    pub(crate) fn take(&mut self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.take().map(|load| load.0.into_any())
    }
}

impl PartialEq for Cargo {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(&one.0, &other.0),
            _ => false,
        }
    }
}

impl Eq for Cargo {}

impl fmt::Debug for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Cargo" } else { "None" })
    }
}

impl From<Vec<u8>> for Bulk {
    fn from(bytes: Vec<u8>) -> Self {
        Self(if bytes.is_empty() { None } else { Some(Box::new(Bytes(bytes))) })
    }
}

impl From<Bulk> for Vec<u8> {
    fn from(bulk: Bulk) -> Self {
        bulk.0.map(|bytes| bytes.0).unwrap_or_default()
    }
}

impl Bulk {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.0.len())
    }
}

impl Message {
    /// A message without payload that belongs to `call`, or to none if that is 0.
    pub(crate) fn control(kind: Kind, call: u32) -> Self {
        Self {
            kind,
            call,
            target: 0,
            method: 0,
            deadline: 0,
            meta: false,
            payload: Buffer::new(),
            bulk: Bulk::default(),
            cargo: Cargo::default(),
        }
    }

    /// A message that answers `call`.
    pub(crate) fn answer(kind: Kind, call: u32, payload: impl Into<Buffer>) -> Self {
        Self { payload: payload.into(), ..Self::control(kind, call) }
    }

    /// The bytes of the whole payload.
    pub(crate) fn length(&self) -> usize {
        self.payload.len() + self.bulk.len()
    }
}

/// The payload of [`Kind::Hello`]: the plugin introduces itself. Unknown keys are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The protocol versions it speaks.
    pub(crate) protocols: Vec<u16>,
    /// The secret from its environment, in hexadecimal; empty where the host dialled.
    #[serde(default)]
    pub(crate) token: String,
    /// The session to go on with; empty for a new one.
    #[serde(default)]
    pub(crate) session: String,
    /// How many counted frames of that session it has received.
    #[serde(default)]
    pub(crate) received: u32,
    /// Optional abilities, by name.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// What it serves; an interface's place is its target number.
    #[serde(default)]
    pub(crate) interfaces: Vec<InterfaceEntry>,
}

/// The payload of [`Kind::Welcome`]: the host lets the plugin in. Unknown keys are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The protocol version to speak from here on.
    pub(crate) protocol: u16,
    /// Names the session, for when it is resumed.
    #[serde(default)]
    pub(crate) session: String,
    /// How many counted frames of it the host has received.
    #[serde(default)]
    pub(crate) received: u32,
    /// For how many milliseconds after a cut the session is kept.
    #[serde(default)]
    pub(crate) resume_timeout: u64,
    /// Whether the session is to be gone on with, where the host dialled.
    #[serde(default)]
    pub(crate) resume: bool,
    /// The plugin's name in the host's messages.
    #[serde(default)]
    pub(crate) name: String,
    /// The abilities that both sides have.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// What the host serves to the plugin.
    #[serde(default)]
    pub(crate) interfaces: Vec<InterfaceEntry>,
    /// The most bytes that a message may have, either way.
    pub(crate) max_message: u64,
    /// Whether the plugin is asked to sleep at once where it waits, instead of yielding the processor for a moment first.
    #[serde(default)]
    pub(crate) blocks: bool,
}

/// The payload of [`Kind::Refused`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    /// The protocol versions the host speaks.
    #[serde(default)]
    pub(crate) protocols: Vec<u16>,
}

/// One interface in a greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InterfaceEntry {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// Its methods; a method's place is its number.
    pub(crate) methods: Vec<String>,
}

/// The payload of [`Kind::Failure`]: why a call has no answer from the method itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    #[serde(default)]
    pub(crate) message: String,
    /// File, line and column of a panic.
    #[serde(default)]
    pub(crate) location: Option<String>,
}

impl Failure {
    /// A failure with its message, shortened to what is worth reading: it must always fit a frame.
    pub(crate) fn new(kind: FailureKind, message: &str) -> Self {
        Self { kind, message: shortened(message), location: None }
    }

    pub(crate) fn panicked(message: &str, location: Option<&str>) -> Self {
        Self { location: location.map(shortened), ..Self::new(FailureKind::Panicked, message) }
    }
}

/// As much of a text as is worth reading.
pub(crate) fn shortened(text: &str) -> String {
    const LIMIT: usize = 8 * 1024;
    match text.char_indices().find(|(place, letter)| place + letter.len_utf8() > LIMIT) {
        Some((place, _)) => format!("{} …", &text[..place]),
        None => text.to_owned(),
    }
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailureKind {
    Panicked,
    UnknownMethod,
    BadArguments,
    BadAnswer,
    AnswerTooLarge,
    Overloaded,
    Stopping,
    Interrupted,
    Cancelled,
    /// It ran, and its time was over before it was done, or before all that it had to tell could be sent.
    Late,
    /// The call that lent what was to be called has ended.
    CallEnded,
    /// Too many calls wait for each other.
    TooDeep,
    /// A kind that a newer side invented.
    #[serde(other)]
    Unknown,
}

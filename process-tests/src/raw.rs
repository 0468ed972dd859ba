//! The protocol by hand, from `docs/protocol.md`, for what no well-behaved side would say.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use serde::{Deserialize, Serialize};

/// Frame kinds.
pub mod kind {
    /// The plugin introduces itself.
    pub const HELLO: u8 = 1;
    /// The host lets it in.
    pub const WELCOME: u8 = 2;
    /// The host does not.
    pub const REFUSED: u8 = 3;
    /// A call.
    pub const REQUEST: u8 = 16;
    /// `Ok`.
    pub const VALUE: u8 = 17;
    /// `Err`.
    pub const ERROR: u8 = 18;
    /// Neither.
    pub const FAILURE: u8 = 19;
    /// So many references to an object are given up.
    pub const RELEASE: u8 = 21;
    /// Nothing but an acknowledgement.
    pub const ACK: u8 = 23;
    /// The caller no longer waits.
    pub const CANCEL: u8 = 20;
    /// An interface gets a number.
    pub const DECLARE: u8 = 22;
    /// Goodbye.
    pub const GOODBYE: u8 = 26;
    /// A call that nothing answers.
    pub const ONEWAY: u8 = 27;
    /// So many of them are finished.
    pub const CREDIT: u8 = 28;
    /// What comes next of a stream.
    pub const ITEMS: u8 = 30;
    /// There is no more of it.
    pub const END: u8 = 31;
    /// So many bytes more are wanted.
    pub const DEMAND: u8 = 32;
}

/// A frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Counted frames received.
    pub ack: u32,
    /// The call.
    pub call: u32,
    /// The object.
    pub target: u32,
    /// Milliseconds left.
    pub deadline: u32,
    /// The method.
    pub method: u16,
    /// The kind.
    pub kind: u8,
    /// META and MORE.
    pub flags: u8,
    /// What comes behind the header.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of `kind` for `call`.
    pub fn new(kind: u8, call: u32, payload: Vec<u8>) -> Self {
        Self { call, kind, payload, ..Self::default() }
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(u32::try_from(self.payload.len()).unwrap_or(u32::MAX), self);
        bytes.extend(&self.payload);
        bytes
    }
}

/// The header of a frame that claims `length` bytes.
pub fn header(length: u32, frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [length, frame.ack, frame.call, frame.target, frame.deadline] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(frame.method.to_le_bytes());
    bytes.extend([frame.kind, frame.flags]);
    bytes
}

/// Reads one frame.
///
/// # Errors
/// When the stream ends or fails.
pub fn read(stream: &mut impl Read) -> io::Result<Frame> {
    let mut header = [0; 24];
    stream.read_exact(&mut header)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut payload = vec![0; word(0) as usize];
    stream.read_exact(&mut payload)?;
    Ok(Frame {
        ack: word(4),
        call: word(8),
        target: word(12),
        deadline: word(16),
        method: u16::from_le_bytes([header[20], header[21]]),
        kind: header[22],
        flags: header[23],
        payload,
    })
}

/// Writes one frame.
///
/// # Errors
/// When the stream fails.
pub fn write(stream: &mut impl Write, frame: &Frame) -> io::Result<()> {
    stream.write_all(&frame.to_bytes())
}

/// What a plugin says first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions.
    pub protocols: Vec<u16>,
    /// The secret.
    pub token: String,
    /// The session to resume.
    #[serde(default)]
    pub session: String,
    /// How many frames of it were received.
    #[serde(default)]
    pub received: u32,
    /// Abilities.
    pub features: Vec<String>,
    /// Interfaces.
    pub interfaces: Vec<Interface>,
}

/// An interface in a greeting.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its methods.
    pub methods: Vec<String>,
}

/// What a host answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version.
    pub protocol: u16,
    /// The session.
    #[serde(default)]
    pub session: String,
    /// How many frames of it were received.
    #[serde(default)]
    pub received: u32,
    /// How many milliseconds it outlives a cut.
    #[serde(default)]
    pub resume_timeout: u64,
    /// Whether it is to be gone on with.
    #[serde(default)]
    pub resume: bool,
    /// The limit.
    pub max_message: u64,
}

/// A value nested so deep that decoding it recursively would overflow any stack.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0x91; depth];
    bytes.push(0xc0);
    bytes
}

/// Metadata that give these objects.
#[must_use]
pub fn objects(targets: &[u32]) -> Vec<u8> {
    rmp_serde::to_vec(&BTreeMap::from([("objects", targets)])).unwrap_or_default()
}

/// What stands in place of a stream.
#[must_use]
pub fn reference(target: u32) -> Vec<u8> {
    rmp_serde::to_vec(&(target,)).unwrap_or_default()
}

/// `message` in frames that are not too long.
#[must_use]
pub fn fragments(message: &Frame) -> Vec<Frame> {
    let count = message.payload.chunks(65_536).count();
    let frame = |(place, part): (usize, &[u8])| Frame {
        flags: if place == 0 { message.flags } else { 0 } | if place + 1 < count { 2 } else { 0 },
        payload: part.to_vec(),
        ..message.clone()
    };
    message.payload.chunks(65_536).enumerate().map(frame).collect()
}

/// The fields of a failure.
pub type Failure = BTreeMap<String, Option<String>>;

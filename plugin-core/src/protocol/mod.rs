//! The wire protocol: bytes in, messages out, and back. No I/O, no threads, no clock.
//!
//! In reading order: [`frame`] is the 24-byte header and the cutting of a byte stream into frames; [`message`] is what
//! whole messages say; [`outgoing`] and [`incoming`] are the two directions of a session, which cut messages into frames
//! and put them together again, [`batch`] and [`direct`] spare them copies of what is large; [`oneway`] bounds the messages that nothing answers; [`metadata`] is what a request says beside its
//! arguments; [`items`] cuts the items of a stream into frames, and [`flow`] bounds how many bytes of them are under way; [`handshake`] is how the two sides
//! agree before all that; [`pulse`] asks whether the other side lives, [`backoff`] how long to wait before the next try.
//!
//! `docs/protocol.md` describes the same for writers of plugins in other languages.

pub(crate) mod backoff;
pub(crate) mod batch;
pub(crate) mod direct;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod incoming;
pub(crate) mod items;
pub(crate) mod message;
pub(crate) mod metadata;
pub(crate) mod oneway;
pub(crate) mod outgoing;
pub(crate) mod pulse;
#[cfg(test)]
mod session_tests;

/// The protocol versions this crate speaks. Independent of crate versions.
pub(crate) const VERSIONS: &[u16] = &[1];

/// The other side broke the rules; the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame claims {0} bytes, the limit is {limit}", limit = frame::MAX_PAYLOAD)]
    FrameTooLarge(u32),
    #[error("frame kind {0} is unknown or out of place")]
    UnexpectedKind(u8),
    #[error("frame flags {0:#04x} include reserved ones")]
    ReservedFlags(u8),
    #[error("acknowledges {acknowledged} frames of {sent} sent")]
    AckOfUnsent { acknowledged: u32, sent: u32 },
    #[error("the fragments of message {0} do not belong together")]
    MixedFragments(u32),
    #[error("a fragment of {0} bytes is followed by others; all but the last have {limit}", limit = frame::MAX_PAYLOAD)]
    ShortFragment(usize),
    #[error("a message grew beyond the limit of {0} bytes")]
    MessageTooLarge(usize),
    #[error("too many unfinished messages")]
    TooManyFragments,
    #[error("the greeting cannot be read: {0}")]
    BadGreeting(String),
    #[error("sent more oneway messages than were finished with")]
    OnewayOverrun,
    #[error("has finished with {credited} oneway messages of {outstanding}")]
    CreditForUnsent { credited: u32, outstanding: usize },
    #[error("sent more callbacks than call {0} can have under way")]
    CallbackOverrun(u32),
    #[error("declares an interface that cannot be read: {0}")]
    BadDeclaration(String),
    #[error("sent more of stream {0} than was asked for")]
    StreamOverrun(u32),
    #[error("sent something of stream {0} behind its end")]
    BehindEnd(u32),
    #[error("sent items of stream {target} with metadata that cannot be read: {why}")]
    BadMetadata { target: u32, why: String },
    #[error("asks for bytes of {0}, which is no stream")]
    NoStream(u32),
    #[error("asks for {demanded} bytes of a stream of which {owed} are owed")]
    DemandTooLarge { owed: u32, demanded: u32 },
    #[error("declares more than {0} interfaces")]
    TooManyDeclarations(usize),
    #[error("gives more than {0} objects")]
    TooManyObjects(usize),
    #[error("releases {released} references to object {target}, of {held}")]
    ReleaseOfUnheld { target: u32, released: u32, held: u32 },
}

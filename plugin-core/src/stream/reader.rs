//! Where the bytes of a byte stream come from, and how they are sent.

use std::{
    io,
    task::{Context, Poll},
};

use super::{
    channel::Receiver,
    consumer::{Arrival, Upstream, failed},
    ending::Ending,
    late,
    producer::{Produce, Step},
    runtime::Runtime,
    source::Read,
};
use crate::{
    Error, Result, blocking,
    buffer::Buffer,
    deadline,
    protocol::{frame::MAX_PAYLOAD, items::Packer},
};

/// Where the bytes come from, piece by piece.
pub(super) enum Bytes {
    Reader(Box<dyn io::Read + Send>),
    #[cfg(feature = "tokio")]
    AsyncReader(std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>>, Runtime),
    Channel(Receiver<Buffer>),
    Received(Box<dyn Upstream>),
}

impl Bytes {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Reader(_) => "reader",
            #[cfg(feature = "tokio")]
            Self::AsyncReader(..) => "async reader",
            Self::Channel(_) => "channel",
            Self::Received(_) => "received",
        }
    }

    /// Whether they come from elsewhere.
    #[cfg(feature = "tokio")]
    pub(super) fn is_received(&self) -> bool {
        matches!(self, Self::Received(_))
    }

    /// The next piece, waiting for it until the deadline in force on this thread.
    pub(super) fn read(&mut self) -> Read<Buffer> {
        if let Self::Received(upstream) = self {
            return arrived(upstream.receive());
        }
        let waited = blocking::wait(deadline::in_force(), |context| self.poll_read(context));
        waited.unwrap_or_else(|waited| Read::Late(late(waited)))
    }

    /// As [`read`](Self::read), for a task.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read<Buffer>> {
        match self {
            Self::Reader(reader) => Poll::Ready(read_piece(&mut **reader)),
            #[cfg(feature = "tokio")]
            Self::AsyncReader(reader, runtime) => {
                let mut piece = Buffer::with_room(MAX_PAYLOAD);
                let mut space = tokio::io::ReadBuf::new(piece.space(MAX_PAYLOAD));
                let polled = runtime.enter(|| reader.as_mut().poll_read(context, &mut space));
                let count = space.filled().len();
                polled.map(|outcome| piece_of(piece, outcome.map(|()| count)))
            }
            Self::Channel(pieces) => pieces.poll(context),
            Self::Received(upstream) => upstream.poll_receive(context).map(arrived),
        }
    }
}

fn read_piece(reader: &mut dyn io::Read) -> Read<Buffer> {
    let mut piece = Buffer::with_room(MAX_PAYLOAD);
    loop {
        match reader.read(piece.space(MAX_PAYLOAD)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return piece_of(piece, outcome),
        }
    }
}

fn piece_of(mut piece: Buffer, outcome: io::Result<usize>) -> Read<Buffer> {
    match outcome {
        Ok(0) => Read::End,
        Ok(count) => {
            // A reader that claims more than there was room for is told by a panic, as by the standard library.
            assert!(count <= MAX_PAYLOAD, "a reader claims {count} bytes of {MAX_PAYLOAD}");
            piece.grow(count);
            Read::Item(piece)
        }
        Err(error) => Read::Failed(from_io(error)),
    }
}

fn arrived(arrival: Result<Arrival>) -> Read<Buffer> {
    match arrival {
        Ok(Arrival::Items(piece, _)) => Read::Item(piece),
        Ok(Arrival::End(None)) => Read::End,
        Ok(Arrival::End(Some(error))) => Read::Failed(error),
        Err(error) => failed(error),
    }
}

/// Why reading failed: what a stream of this crate said, or else an error with the same message.
fn from_io(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::custom(error),
    }
}

/// Bytes to be sent.
pub(super) struct Pieces {
    /// Comes first, if it is any.
    pub(super) piece: Option<Buffer>,
    pub(super) source: Bytes,
}

impl Produce for Pieces {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if self.piece.is_some() {
            return Poll::Ready(Step::More);
        }
        self.source.poll_read(context).map(|read| match read {
            Read::Item(piece) => {
                self.piece = Some(piece);
                Step::More
            }
            Read::End => Step::End(None),
            Read::Failed(error) | Read::Late(error) => Step::End(Some(Ending::Error(error))),
        })
    }

    fn pack(&mut self, to: &mut Packer, _max_item: usize) -> Result<(), Ending> {
        if let Some(piece) = self.piece.take() {
            to.adopt(piece);
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        matches!(self.source, Bytes::Reader(_))
    }

    fn gathers(&self) -> bool {
        false
    }

    fn runtime(&self) -> Runtime {
        match &self.source {
            #[cfg(feature = "tokio")]
            Bytes::AsyncReader(_, runtime) => runtime.clone(),
            _ => Runtime::default(),
        }
    }
}

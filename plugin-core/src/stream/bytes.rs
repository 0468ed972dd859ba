//! Streams of bytes.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
};

use super::{
    channel::Channel,
    reader::{Bytes, Pieces},
    sender::ByteSender,
    sent,
    source::Read,
};
use crate::{Error, Result, buffer::Buffer, connection::lock};

/// How many pieces of at most 64 KiB wait in a channel at most.
const PIECES: usize = 4;

/// Many bytes, as an argument or a result of a method, or a part of one: a file, a download, an archive.
///
/// What holds for a [`Stream`](crate::Stream) holds here, but that the bytes have no structure: it is read as an [`io::Read`],
/// also by lines as an [`io::BufRead`], and with the feature `tokio` as an `AsyncRead`. It takes 1 MiB of memory, however much flows.
///
/// ```
/// use std::io::Read;
/// use plugin_core::{ByteStream, Result};
///
/// #[plugin_core::plugin_interface]
/// pub trait Shout {
///     fn shout(&self, text: ByteStream) -> Result<ByteStream>;
/// }
///
/// struct Loud(ByteStream);
///
/// impl Read for Loud {
///     fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
///         let count = self.0.read(bytes)?;
///         bytes[..count].make_ascii_uppercase();
///         Ok(count)
///     }
/// }
/// # struct Shouts;
///
/// impl Shout for Shouts {
///     fn shout(&self, text: ByteStream) -> Result<ByteStream> {
///         Ok(ByteStream::read_from(Loud(text)))
///     }
/// }
///
/// let shouts = plugin_core::in_process::<dyn Shout>(Shouts)?;
/// let mut loud = shouts.shout(ByteStream::read_from(&b"good morning"[..]))?;
/// let mut text = String::new();
/// loud.read_to_string(&mut text).unwrap();
/// assert_eq!(text, "GOOD MORNING");
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// # Errors
/// Whatever ends the stream before its time is the source of an [`io::Error`], as a [`plugin_core::Error`](Error), behind all bytes
/// that came before; then the stream has ended. Reading that is not done within the limit of [`within`](crate::within) fails with
/// [`TimedOut`](io::ErrorKind::TimedOut), and can go on.
#[must_use = "a stream is produced as it is read"]
pub struct ByteStream {
    /// A lock, since streams are taken out of what is sent by reference.
    place: Mutex<Place>,
    #[cfg(feature = "tokio")]
    limit: super::limit::Limit,
}

enum Place {
    Here(Here),
    /// The stream has been sent.
    Sent,
    /// It has ended.
    Over,
}

struct Here {
    source: Bytes,
    /// The last piece, and how much of it has been read.
    piece: Buffer,
    at: usize,
}

impl ByteStream {
    /// A stream of what a reader gives. Its first error ends it.
    ///
    /// The reader runs on a thread of its own while the stream is read elsewhere, so it may block. What each reading gives is sent
    /// at once, up to 64 KiB.
    ///
    /// ```
    /// # use std::io::Read;
    /// let mut stream = plugin_core::ByteStream::read_from(std::io::repeat(7).take(1000));
    /// let mut bytes = Vec::new();
    /// stream.read_to_end(&mut bytes)?;
    /// assert_eq!(bytes, [7; 1000]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_from(reader: impl io::Read + Send + 'static) -> Self {
        Self::of(Bytes::Reader(Box::new(reader)))
    }

    /// As [`read_from`](Self::read_from), of tokio's readers, polled in the runtime in which this is called.
    ///
    /// ```
    /// # use std::io::Read;
    /// let mut stream = plugin_core::ByteStream::read_from_async(&b"bytes"[..]);
    /// let mut text = String::new();
    /// stream.read_to_string(&mut text)?;
    /// assert_eq!(text, "bytes");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub fn read_from_async(reader: impl tokio::io::AsyncRead + Send + 'static) -> Self {
        Self::of(Bytes::AsyncReader(Box::pin(reader), super::runtime::Runtime::current()))
    }

    /// A stream, and what bytes are written to for it, from any thread or task.
    ///
    /// ```
    /// use std::io::{BufRead, Write};
    ///
    /// let (mut sender, stream) = plugin_core::ByteStream::channel();
    /// std::thread::spawn(move || (0..3).try_for_each(|n| writeln!(sender, "line {n}")));
    /// let lines: Vec<_> = stream.lines().collect::<Result<_, _>>()?;
    /// assert_eq!(lines, ["line 0", "line 1", "line 2"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn channel() -> (ByteSender, Self) {
        let (sender, receiver) = Channel::open(PIECES);
        (ByteSender::new(sender), Self::of(Bytes::Channel(receiver)))
    }

    pub(super) fn of(source: Bytes) -> Self {
        Self {
            place: Mutex::new(Place::Here(Here { source, piece: Buffer::new(), at: 0 })),
            #[cfg(feature = "tokio")]
            limit: super::limit::Limit::default(),
        }
    }

    /// Takes out what is not read, to be sent; an ended one is empty.
    ///
    /// # Errors
    /// When that has been done.
    pub(super) fn take_source(&self) -> Result<Pieces> {
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Sent) {
            Place::Here(Here { source, piece, at }) => {
                let piece = (at < piece.len()).then(|| if at == 0 { piece } else { piece[at..].into() });
                Ok(Pieces { piece, source })
            }
            Place::Over => Ok(Pieces { piece: None, source: Bytes::Reader(Box::new(io::empty())) }),
            Place::Sent => Err(sent()),
        }
    }

    fn place(&mut self) -> &mut Place {
        self.place.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Where to read, if what is here has been.
    fn empty(&mut self) -> io::Result<Option<&mut Bytes>> {
        match self {
            Self::Here(here) => Ok((here.at == here.piece.len()).then_some(&mut here.source)),
            Self::Over => Ok(None),
            Self::Sent => {
                *self = Self::Over;
                Err(into_io(sent()))
            }
        }
    }

    /// Takes the next piece; behind the last one, the source goes.
    fn settle(&mut self, read: Read<Buffer>) -> io::Result<()> {
        let error = match read {
            Read::Item(piece) => {
                if let Self::Here(here) = self {
                    (here.piece, here.at) = (piece, 0);
                }
                return Ok(());
            }
            Read::Late(error) => return Err(into_io(error)),
            Read::Failed(error) => Some(error),
            Read::End => None,
        };
        *self = Self::Over;
        error.map_or(Ok(()), |error| Err(into_io(error)))
    }

    fn unread(&self) -> &[u8] {
        if let Self::Here(here) = self { &here.piece[here.at..] } else { &[] }
    }

    fn consume(&mut self, count: usize) {
        if let Self::Here(here) = self {
            here.at = (here.at + count).min(here.piece.len());
        }
    }
}

impl io::Read for ByteStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let unread = io::BufRead::fill_buf(self)?;
        let count = unread.len().min(bytes.len());
        bytes[..count].copy_from_slice(&unread[..count]);
        self.place().consume(count);
        Ok(count)
    }
}

impl io::BufRead for ByteStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let place = self.place();
        // A piece may be empty.
        while let Some(source) = place.empty()? {
            let read = source.read();
            place.settle(read)?;
        }
        Ok(place.unread())
    }

    fn consume(&mut self, count: usize) {
        self.place().consume(count);
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncRead for ByteStream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        use std::task::Poll;
        let Self { place, limit } = self.get_mut();
        let place = place.get_mut().unwrap_or_else(PoisonError::into_inner);
        if bytes.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while let Some(source) = place.empty()? {
            let read = match source.poll_read(context) {
                Poll::Ready(read) => read,
                // What comes from elsewhere looks after its limits itself.
                Poll::Pending if source.is_received() => return Poll::Pending,
                Poll::Pending => match limit.is_over(context) {
                    Some(waited) => Read::Late(super::late(waited)),
                    None => return Poll::Pending,
                },
            };
            limit.reset();
            place.settle(read)?;
        }
        let unread = place.unread();
        let count = unread.len().min(bytes.remaining());
        bytes.put_slice(&unread[..count]);
        place.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place.try_lock() {
            Ok(place) => match &*place {
                Place::Here(here) => here.source.name(),
                Place::Sent => "sent",
                Place::Over => "over",
            },
            Err(_) => "busy",
        };
        f.debug_tuple("ByteStream").field(&format_args!("{place}")).finish()
    }
}

/// As an error of the standard library, whose source it is.
pub(super) fn into_io(error: Error) -> io::Error {
    let kind = match error {
        Error::Timeout { .. } => io::ErrorKind::TimedOut,
        Error::Unread => io::ErrorKind::BrokenPipe,
        Error::Died { .. } | Error::Disconnected { .. } | Error::Protocol { .. } | Error::Stopped { .. } => {
            io::ErrorKind::ConnectionAborted
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

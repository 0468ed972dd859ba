//! What adds to a stream by and by.

use std::{fmt, io, thread};

use super::{
    HERE_PRODUCER,
    bytes::into_io,
    channel::{Channel, Unsent},
    limit::Limit,
};
use crate::{Error, Result, buffer::Buffer, deadline, error::HERE, protocol::frame::MAX_PAYLOAD, signal::Place};

/// Adds items to a [`Stream`](crate::Stream), see [`Stream::channel`](crate::Stream::channel). Dropping it ends the stream.
///
/// At most 32 items wait to be encoded or read; a reader elsewhere is at most 1 MiB behind. Where a thread that holds a sender
/// panics, the reader is told so.
///
/// ```
/// # use plugin_core::{Error, Stream};
/// let (sender, stream) = Stream::channel();
/// sender.send("one")?;
/// sender.fail(Error::custom("out of numbers"));
/// let items: Vec<_> = stream.into_iter().collect();
/// assert_eq!(*items[0].as_ref().unwrap(), "one");
/// assert_eq!(items[1].as_ref().unwrap_err().to_string(), "out of numbers");
/// # Ok::<(), Error>(())
/// ```
pub struct StreamSender<T>(Channel<T>);

impl<T> StreamSender<T> {
    pub(super) fn new(channel: Channel<T>) -> Self {
        Self(channel)
    }

    /// Adds an item, and waits where too many have not been read.
    ///
    /// ```
    /// # use plugin_core::{Error, Stream};
    /// let (sender, stream) = Stream::channel();
    /// sender.send(1)?;
    /// drop(stream);
    /// assert!(matches!(sender.send(2), Err(Error::Unread)));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unread`] if nobody reads the stream any more; [`Error::Timeout`] if there was no room for the item within the
    /// limit of [`within`](crate::within), or of the call that this thread answers. The item is lost then.
    pub fn send(&self, item: T) -> Result<()> {
        self.0.send(item, deadline::in_force()).map_err(unsent)
    }

    /// As [`send`](Self::send), for a task. An item whose future is dropped before its end is not added.
    ///
    /// # Errors
    /// As [`send`](Self::send); the limit is that of [`within_async`](crate::within_async).
    pub async fn send_async(&self, item: T) -> Result<()> {
        self.0.send_async(item).await.map_err(unsent)
    }

    /// Ends the stream with an error, behind all that was added.
    pub fn fail(self, error: Error) {
        self.0.end(Some(error));
    }

    /// Whether nobody reads the stream any more, so that there is no use in producing items for it.
    ///
    /// ```
    /// let (sender, stream) = plugin_core::Stream::<u8>::channel();
    /// assert!(!sender.is_unread());
    /// drop(stream);
    /// assert!(sender.is_unread());
    /// ```
    pub fn is_unread(&self) -> bool {
        !self.0.is_read()
    }
}

impl<T> Drop for StreamSender<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(Some(unwound()));
        }
    }
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("is_unread", &self.is_unread()).finish_non_exhaustive()
    }
}

/// Adds bytes to a [`ByteStream`](crate::ByteStream), see [`ByteStream::channel`](crate::ByteStream::channel). Dropping it ends
/// the stream.
///
/// What is written is sent as it is: wrap it into an [`io::BufWriter`] where pieces are small. At most 4 pieces, of at most 64 KiB
/// each, wait to be sent or read. With the feature `tokio` it is an `AsyncWrite`, too. Where a thread that holds one panics, the
/// reader is told so.
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut sender, mut stream) = plugin_core::ByteStream::channel();
/// std::thread::spawn(move || write!(sender, "hello, {}", "world"));
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "hello, world");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Writing fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) if nobody reads any more, and with
/// [`TimedOut`](io::ErrorKind::TimedOut) if there was no room within the limit of [`within`](crate::within), or of the call that
/// this thread answers. The source of either is a [`plugin_core::Error`](Error).
pub struct ByteSender {
    channel: Channel<Buffer>,
    /// That of the task that waits for room.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "no task writes"))]
    place: Place,
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "no task writes"))]
    limit: Limit,
}

impl ByteSender {
    pub(super) fn new(channel: Channel<Buffer>) -> Self {
        Self { channel, place: Place::default(), limit: Limit::default() }
    }

    /// Ends the stream with an error, behind all that was written.
    pub fn fail(self, error: Error) {
        self.channel.end(Some(error));
    }

    /// Whether nobody reads the stream any more.
    pub fn is_unread(&self) -> bool {
        !self.channel.is_read()
    }
}

impl io::Write for ByteSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(MAX_PAYLOAD)];
        if piece.is_empty() {
            return Ok(0);
        }
        self.channel.send(piece.into(), deadline::in_force()).map_err(|why| into_io(unsent(why)))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use super::{ByteSender, MAX_PAYLOAD, Unsent, into_io, unsent};

    impl tokio::io::AsyncWrite for ByteSender {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let Self { channel, place, limit } = self.get_mut();
            let piece = &bytes[..bytes.len().min(MAX_PAYLOAD)];
            if piece.is_empty() {
                return Poll::Ready(Ok(0));
            }
            // Only copied once there is room.
            let sent = match channel.poll_send(context, place, || Some(piece.into())) {
                Poll::Ready(sent) => Poll::Ready(sent),
                Poll::Pending => {
                    limit.is_over(context).map_or(Poll::Pending, |waited| Poll::Ready(Err(Unsent::Late(waited))))
                }
            };
            if sent.is_ready() {
                limit.reset();
            }
            sent.map(|sent| sent.map(|()| piece.len()).map_err(|why| into_io(unsent(why))))
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.channel.end(None);
            Poll::Ready(Ok(()))
        }
    }
}

impl Drop for ByteSender {
    fn drop(&mut self) {
        self.channel.forget(&mut self.place);
        if thread::panicking() {
            self.channel.end(Some(unwound()));
        }
    }
}

impl fmt::Debug for ByteSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteSender").field("is_unread", &self.is_unread()).finish_non_exhaustive()
    }
}

fn unsent(why: Unsent) -> Error {
    match why {
        Unsent::Unread => Error::Unread,
        Unsent::Late(after) => super::timeout(HERE, "StreamSender::send", after),
    }
}

/// What the reader is told whose sender was dropped by a panic.
fn unwound() -> Error {
    let message = "it panicked while it held the stream's sender".into();
    Error::Panicked { plugin: HERE.into(), method: HERE_PRODUCER.into(), message, location: None }
}

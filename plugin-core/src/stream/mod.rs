//! Many values, or many bytes, one after the other, as one argument or result.

// Inside: a stream holds a `source`: an iterator, a stream of futures, the reading end of a `channel`, or what arrives from the
// other side of a connection, which a `consumer` puts together. When it is sent, its source goes to a `producer`, which encodes
// items, and to a `pump`, which runs that while the other side asks for more.

mod bytes;
mod channel;
mod consumer;
mod ending;
mod flusher;
mod iter;
mod limit;
mod producer;
mod pump;
mod reader;
mod receiving;
mod runtime;
mod sender;
mod sending;
mod source;
#[cfg(test)]
mod tests;

pub use bytes::ByteStream;
pub use iter::{IntoIter, Iter};
pub use sender::{ByteSender, StreamSender};

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    Error, Result,
    client::bad_answer,
    connection::lock,
    error::{HERE, READ},
};
use channel::Channel;
use limit::Limit;
use runtime::Runtime;
use source::{Read, Source};

/// Many values, one after the other: an argument or a result of a method, or a part of one.
///
/// A method that takes or returns a `Stream<T>`, alone or inside a struct, an option, a vector, has its items flow while the call
/// runs and after it has ended, either way. The side that made the stream produces them, as the other reads; so a stream may be
/// longer than memory, or have no end.
///
/// A stream is made from an iterator ([`iter`](Self::iter)), from an async stream ([`wrap`](Self::wrap)), or as the end of a
/// channel ([`channel`](Self::channel)). It is read once: by a `for` loop, which blocks, or as a [`futures_core::Stream`],
/// whichever way it was made, and whichever executor there is. One that has never left its process works the same.
///
/// ```
/// # use plugin_core::{Result, Stream};
/// #[plugin_core::plugin_interface]
/// pub trait Words {
///     /// The lengths of what comes, as it comes.
///     fn lengths(&self, words: Stream<String>) -> Result<Stream<usize>>;
/// }
///
/// struct Counts;
///
/// impl Words for Counts {
///     fn lengths(&self, words: Stream<String>) -> Result<Stream<usize>> {
///         Ok(Stream::iter(words.into_iter().map(|word| Ok(word?.len()))))
///     }
/// }
///
/// let words = plugin_core::in_process::<dyn Words>(Counts)?;
/// let lengths = words.lengths(Stream::iter(["a", "stream", "of", "words"].map(|word| Ok(word.into()))))?;
/// assert_eq!(lengths.into_iter().collect::<Result<Vec<_>>>()?, [1, 6, 2, 5]);
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// # What to rely on
///
/// - **Nothing is produced before the first item is read for**, and from then on no more than 1 MiB ahead of the reader (and one item, however long, up to
///   `max_message`). Items are sent together while they come quickly, and at the latest 2 ms after they have been produced.
/// - **Dropping a stream stops its producer**: its iterator or async stream is dropped, a [`StreamSender`] learns of it. An
///   iterator that is busy is dropped when it gives its next item; if it reads a stream itself, that fails with
///   [`Error::Unread`] from then on. One that may be busy for long without an item is better a thread that looks at
///   [`StreamSender::is_unread`].
/// - **An error is the last item.** If an iterator gives an `Err`, or panics, that arrives behind all that it gave before, as
///   [`Error::Remote`] and [`Error::Panicked`]; then the stream has ended. So it is where the other side's process
///   or connection ends: all that has arrived is read first.
/// - **A lost connection loses nothing**: while both processes live and meet again, every item arrives exactly once, in order.
/// - **A stream outlives its call**, and its deadline. Reading waits as long as the other side lives, but inside of
///   [`within`](crate::within), or in a method called with a deadline, only until then: that reading fails with
///   [`Error::Timeout`], nothing is lost, and the stream can be read on.
/// - A stream that was received can be sent on, to any plugin; it is then relayed.
///
/// # Limits
///
/// A stream is sent once; sending it again, as repeating an idempotent call would, is an error. 4,096 streams may be open on a
/// connection in each direction. Items are encoded as a method's results are. Byte strings are sent as bytes where the item is
/// a `Vec<u8>`, and else as arrays of numbers, unless `serde_bytes` says otherwise: for bulk there is [`ByteStream`]. A stream of an iterator occupies a thread of the
/// process that made it while it is read faster than the iterator gives items; polled in a task, it blocks that.
#[must_use = "a stream is produced as it is read"]
pub struct Stream<T> {
    /// A lock, since streams are taken out of what is sent by reference.
    place: Mutex<Place<T>>,
    limit: Limit,
}

/// Where the items come from.
enum Place<T> {
    Here(Source<T>),
    /// The stream has been sent.
    Sent,
    /// It has ended.
    Over,
}

impl<T: Send + 'static> From<Vec<T>> for Stream<T> {
    /// A stream of what there is.
    ///
    /// ```
    /// # use plugin_core::{Result, Stream};
    /// let items: Result<Vec<_>> = Stream::from(vec![1, 2, 3]).into_iter().collect();
    /// assert_eq!(items?, [1, 2, 3]);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    fn from(items: Vec<T>) -> Self {
        Self::iter(items.into_iter().map(Ok))
    }
}

impl<T> Stream<T> {
    /// A stream of what an iterator gives. Its first error is its last item.
    ///
    /// The iterator runs on a thread of its own while the stream is read elsewhere, so it may block; read in the same process, it
    /// runs where it is read.
    ///
    /// ```
    /// # use plugin_core::{Result, Stream};
    /// let squares = Stream::iter((1..).map(|n: u64| Ok(n * n)));
    /// assert_eq!(squares.into_iter().take(3).collect::<Result<Vec<_>>>()?, [1, 4, 9]);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item = Result<T>>,
        I::IntoIter: Send + 'static,
    {
        Self::of(Source::Iter(Box::new(items.into_iter())))
    }

    /// A stream of what an async stream gives. Its first error is its last item.
    ///
    /// It is polled on the tokio runtime in which this is called, if there is one (with the feature `tokio`), and else on a thread
    /// of this crate.
    ///
    /// ```
    /// # use std::{pin::Pin, task::{Context, Poll}};
    /// # use plugin_core::{Result, Stream};
    /// struct Countdown(u32);
    ///
    /// impl futures_core::Stream for Countdown {
    ///     type Item = Result<u32>;
    ///
    ///     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<u32>>> {
    ///         self.0 = self.0.saturating_sub(1);
    ///         Poll::Ready((self.0 > 0).then_some(Ok(self.0)))
    ///     }
    /// }
    ///
    /// let items: Result<Vec<_>> = Stream::wrap(Countdown(4)).into_iter().collect();
    /// assert_eq!(items?, [3, 2, 1]);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn wrap(items: impl futures_core::Stream<Item = Result<T>> + Send + 'static) -> Self {
        Self::of(Source::Polled(Box::pin(items), Runtime::current()))
    }

    /// A stream, and what adds items to it, from any thread or task, as they come to be.
    ///
    /// ```
    /// # use plugin_core::{Result, Stream};
    /// let (sender, stream) = Stream::channel();
    /// std::thread::spawn(move || (0..1000).try_for_each(|n| sender.send(n)));
    /// let sum: Result<u32> = stream.into_iter().sum();
    /// assert_eq!(sum?, 499_500);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn channel() -> (StreamSender<T>, Self) {
        let (sender, receiver) = Channel::open(channel::ITEMS);
        (StreamSender::new(sender), Self::of(Source::Channel(receiver)))
    }

    fn of(source: Source<T>) -> Self {
        Self { place: Mutex::new(Place::Here(source)), limit: Limit::default() }
    }

    /// Takes the source out, to be sent; an ended one is empty.
    ///
    /// # Errors
    /// When that has been done.
    pub(crate) fn take_source(&self) -> Result<Source<T>>
    where
        T: Send + 'static,
    {
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Sent) {
            Place::Here(source) => Ok(source),
            Place::Over => Ok(Source::Iter(Box::new(std::iter::empty()))),
            Place::Sent => Err(sent()),
        }
    }

    fn place(&mut self) -> &mut Place<T> {
        self.place.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item, waiting for it; `None` behind the last. What a `for` loop does, one item at a time.
    ///
    /// To look up from a stream now and then, read it inside of [`within`](crate::within): what it is late with is not lost.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plugin_core::{Error, Stream, within};
    ///
    /// let (sender, mut stream) = Stream::channel();
    /// let late = within(Duration::from_millis(10), || stream.read());
    /// assert!(matches!(late, Some(Err(Error::Timeout { .. }))));
    /// sender.send(7)?;
    /// drop(sender);
    /// assert_eq!(stream.read().transpose()?, Some(7));
    /// assert!(stream.read().is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn read(&mut self) -> Option<Result<T>> {
        if pump::is_for_nobody() {
            return Some(Err(Error::Unread));
        }
        let place = self.place();
        let read = match place {
            Place::Here(source) => source.read(),
            Place::Sent => Read::Failed(sent()),
            Place::Over => Read::End,
        };
        place.settle(read)
    }

    /// As [`read`](Self::read), for a task. Dropping the future loses nothing.
    ///
    /// ```
    /// # use plugin_core::{Result, Stream};
    /// async fn sum(mut numbers: Stream<u64>) -> Result<u64> {
    ///     let mut sum = 0;
    ///     while let Some(number) = numbers.read_async().await {
    ///         sum += number?;
    ///     }
    ///     Ok(sum)
    /// }
    /// ```
    pub async fn read_async(&mut self) -> Option<Result<T>> {
        std::future::poll_fn(|context| self.poll_read(context)).await
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let read = match place {
            Place::Here(source) => match source.poll_read(context) {
                Poll::Ready(read) => read,
                // What comes from elsewhere looks after its limits itself.
                Poll::Pending if source.is_received() => return Poll::Pending,
                Poll::Pending => match self.limit.is_over(context) {
                    Some(waited) => Read::Late(late(waited)),
                    None => return Poll::Pending,
                },
            },
            Place::Sent => Read::Failed(sent()),
            Place::Over => Read::End,
        };
        self.limit.reset();
        Poll::Ready(place.settle(read))
    }
}

impl<T> Place<T> {
    /// What to tell the reader; behind the last item, the source goes.
    fn settle(&mut self, read: Read<T>) -> Option<Result<T>> {
        let last = match read {
            Read::Item(item) => return Some(Ok(item)),
            Read::Late(error) => return Some(Err(error)),
            Read::Failed(error) => Some(Err(error)),
            Read::End => None,
        };
        *self = Self::Over;
        last
    }
}

/// What errors call the making of a stream's items.
const HERE_PRODUCER: &str = "Stream::producer";

/// What came late by the deadline of this side.
fn timeout(peer: &str, what: &str, after: Duration) -> Error {
    Error::Timeout { plugin: peer.into(), method: what.into(), after, may_have_run: false, silent_for: None }
}

/// What came late of a stream that has never left this process.
fn late(after: Duration) -> Error {
    timeout(HERE, READ, after)
}

/// What has arrived is no item.
fn unreadable(peer: &str, why: &dyn fmt::Display) -> Error {
    bad_answer(peer, READ, why)
}

/// What whoever reads a stream or sends it is told that has been sent.
fn sent() -> Error {
    Error::custom("this stream has been sent already: a stream is sent once, and read by whoever has received it")
}

impl<T> futures_core::Stream for Stream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_read(context)
    }
}

impl<T> Unpin for Stream<T> {}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place.try_lock() {
            Ok(place) => match &*place {
                Place::Here(source) => source.name(),
                Place::Sent => "sent",
                Place::Over => "over",
            },
            Err(_) => "busy",
        };
        f.debug_tuple("Stream").field(&format_args!("{place}")).finish()
    }
}

//! A plugin of streams, either way.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use plugin_core::{ByteStream, Error, Remote, Result, Stream, StreamSender, plugin_interface, within_async};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// How a stream is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Make {
    /// From an iterator.
    Iter,
    /// From an async stream that is always ready.
    Ready,
    /// From one that never is at once.
    Hesitant,
    /// From a thread that sends.
    Channel,
}

impl Make {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Iter, Self::Ready, Self::Hesitant, Self::Channel];
}

/// Streams inside of structures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Section {
    /// A name.
    pub name: String,
    /// Its lines.
    pub lines: Stream<String>,
    /// Bytes, perhaps.
    pub attachment: Option<ByteStream>,
    /// Sections of sections.
    pub parts: Vec<Section>,
}

/// Something to be called, inside of streams.
#[plugin_interface]
pub trait Cell {
    /// What it holds.
    fn get(&self) -> Result<u64>;
}

/// Produces and consumes streams.
#[plugin_interface]
pub trait Streamer {
    /// The numbers from 0 on.
    fn count(&self, count: u64, make: Make) -> Result<Stream<u64>>;

    /// The same.
    async fn count_async(&self, count: u64, make: Make) -> Result<Stream<u64>>;

    /// Their sum.
    fn sum(&self, numbers: Stream<u64>) -> Result<u64>;

    /// The same.
    async fn sum_async(&self, numbers: Stream<u64>) -> Result<u64>;

    /// The first, if it comes in time, and then whether that was late.
    async fn first_within(&self, numbers: Stream<u64>, milliseconds: u64) -> Result<(u64, bool)>;

    /// Each number twice as large.
    fn double(&self, numbers: Stream<u64>) -> Result<Stream<u64>>;

    /// The same stream.
    fn relay(&self, numbers: Stream<u64>) -> Result<Stream<u64>>;

    /// Keeps a stream; gives how many are kept.
    fn keep(&self, numbers: Stream<u64>) -> Result<usize>;

    /// Drops what is kept.
    fn forget(&self) -> Result<()>;

    /// The same sections, all lines longer by a mark.
    fn mark(&self, sections: Vec<Section>) -> Result<Vec<Section>>;

    /// Items of so many bytes, without an end; what is produced is counted.
    fn flood(&self, length: usize, make: Make) -> Result<Stream<ByteBuf>>;

    /// How many items have been produced, and how many of their streams are there.
    fn produced(&self) -> Result<(u64, u64)>;

    /// So many numbers, then an error, if `message` is none, and else a panic.
    fn fail_after(&self, count: u64, message: &str, panics: bool, make: Make) -> Result<Stream<u64>>;

    /// What `say` says from now on.
    fn listen(&self) -> Result<Stream<String>>;

    /// Says something to all that listen; gives how many do.
    fn say(&self, text: &str) -> Result<usize>;

    /// So many streams of one number.
    fn open(&self, count: u64) -> Result<Vec<Stream<u64>>>;

    /// A stream of streams.
    fn rows(&self, rows: u64, columns: u64) -> Result<Stream<Stream<u64>>>;

    /// A stream of objects.
    fn cells(&self, count: u64) -> Result<Stream<Remote<dyn Cell>>>;

    /// The sum of what objects hold.
    fn add_up(&self, cells: Stream<Remote<dyn Cell>>) -> Result<u64>;

    /// So many bytes.
    fn read(&self, length: u64) -> Result<ByteStream>;

    /// How many bytes there are, and a sum that depends on their order.
    fn digest(&self, bytes: ByteStream) -> Result<(u64, u64)>;

    /// The same bytes, in capitals.
    fn shout(&self, bytes: ByteStream) -> Result<ByteStream>;

    /// The first of the stream, in an idempotent method.
    #[method(idempotent)]
    fn first_and_exit(&self, journal: &str, numbers: Stream<u64>, reads: bool) -> Result<u64>;

    /// How many kilobytes of memory the process has taken at most.
    fn peak_kilobytes(&self) -> Result<u64>;
}

/// The plugin.
#[derive(Default)]
pub struct Real {
    kept: Mutex<Vec<Stream<u64>>>,
    listeners: Mutex<Vec<StreamSender<String>>>,
    produced: Arc<AtomicU64>,
    alive: Arc<AtomicU64>,
}

/// A stream of what an iterator gives, made in that way.
pub fn made<T: Send + 'static>(
    make: Make,
    items: impl Iterator<Item = Result<T>> + Send + Unpin + 'static,
) -> Stream<T> {
    match make {
        Make::Iter => Stream::iter(items),
        Make::Ready => Stream::wrap(Polled { items, hesitates: false, is_ready: true }),
        Make::Hesitant => Stream::wrap(Polled { items, hesitates: true, is_ready: false }),
        Make::Channel => {
            let (sender, stream) = Stream::channel();
            thread::spawn(move || {
                for item in items {
                    let sent = match item {
                        Ok(item) => sender.send(item),
                        Err(error) => return sender.fail(error),
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            });
            stream
        }
    }
}

struct Polled<I> {
    items: I,
    hesitates: bool,
    is_ready: bool,
}

impl<I: Iterator + Unpin> futures_core::Stream for Polled<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<I::Item>> {
        if self.hesitates {
            self.is_ready = !self.is_ready;
            if !self.is_ready {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(self.items.next())
    }
}

/// The next item of a stream, for a task.
pub async fn next<T>(stream: &mut Stream<T>) -> Option<Result<T>> {
    std::future::poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut *stream), context)).await
}

/// Bytes that can be told apart.
pub struct Pattern {
    place: u64,
    length: u64,
}

impl Pattern {
    /// So many of them.
    pub fn new(length: u64) -> Self {
        Self { place: 0, length }
    }
}

impl Read for Pattern {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.place).unwrap_or(usize::MAX);
        let count = left.min(bytes.len());
        // By 8, as the digest takes them.
        let words = bytes[..count].chunks_mut(8);
        for (word, number) in words.zip(self.place / 8..) {
            word.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..word.len()]);
        }
        self.place += count as u64;
        Ok(count)
    }
}

/// How many bytes there are, and a sum that depends on their order.
///
/// # Errors
/// When reading fails.
pub fn digest(mut bytes: impl Read) -> io::Result<(u64, u64)> {
    let (mut length, mut sum, mut buffer) = (0, 0_u64, vec![0; 256 * 1024]);
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match bytes.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        for word in buffer[..filled].chunks(8) {
            let mut number = [0; 8];
            number[..word.len()].copy_from_slice(word);
            sum = sum.rotate_left(5) ^ u64::from_le_bytes(number);
        }
        length += filled as u64;
        if filled < buffer.len() {
            return Ok((length, sum));
        }
    }
}

struct Counted<I> {
    items: I,
    produced: Arc<AtomicU64>,
    alive: Arc<AtomicU64>,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.produced.fetch_add(1, Ordering::SeqCst);
        self.items.next()
    }
}

impl<I> Drop for Counted<I> {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes letters capitals.
struct Loud(ByteStream);

impl Read for Loud {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(bytes)?;
        bytes[..count].make_ascii_uppercase();
        Ok(count)
    }
}

/// A number to be asked for.
pub struct Number(pub u64);

impl Cell for Number {
    fn get(&self) -> Result<u64> {
        Ok(self.0)
    }
}

#[plugin_interface]
impl Streamer for Real {
    fn count(&self, count: u64, make: Make) -> Result<Stream<u64>> {
        Ok(made(make, (0..count).map(Ok)))
    }

    async fn count_async(&self, count: u64, make: Make) -> Result<Stream<u64>> {
        self.count(count, make)
    }

    fn sum(&self, numbers: Stream<u64>) -> Result<u64> {
        numbers.into_iter().sum()
    }

    async fn sum_async(&self, mut numbers: Stream<u64>) -> Result<u64> {
        let mut sum = 0;
        while let Some(number) = next(&mut numbers).await {
            sum += number?;
        }
        Ok(sum)
    }

    async fn first_within(&self, mut numbers: Stream<u64>, milliseconds: u64) -> Result<(u64, bool)> {
        let limit = Duration::from_millis(milliseconds);
        match within_async(limit, next(&mut numbers)).await {
            Some(Err(Error::Timeout { .. })) => match next(&mut numbers).await {
                Some(first) => Ok((first?, true)),
                None => Err(Error::custom("there is none")),
            },
            Some(first) => Ok((first?, false)),
            None => Err(Error::custom("there is none")),
        }
    }

    fn double(&self, numbers: Stream<u64>) -> Result<Stream<u64>> {
        Ok(Stream::iter(numbers.into_iter().map(|number| Ok(2 * number?))))
    }

    fn relay(&self, numbers: Stream<u64>) -> Result<Stream<u64>> {
        Ok(numbers)
    }

    fn keep(&self, numbers: Stream<u64>) -> Result<usize> {
        let mut kept = self.kept.lock().map_err(Error::custom)?;
        kept.push(numbers);
        Ok(kept.len())
    }

    fn forget(&self) -> Result<()> {
        self.kept.lock().map_err(Error::custom)?.clear();
        Ok(())
    }

    fn mark(&self, sections: Vec<Section>) -> Result<Vec<Section>> {
        let mark = |section: Section| {
            Ok(Section {
                name: section.name,
                lines: Stream::iter(section.lines.into_iter().map(|line| Ok(line? + "!"))),
                attachment: section.attachment,
                parts: self.mark(section.parts)?,
            })
        };
        sections.into_iter().map(mark).collect()
    }

    fn flood(&self, length: usize, make: Make) -> Result<Stream<ByteBuf>> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let items = std::iter::repeat_with(move || Ok(ByteBuf::from(vec![7; length])));
        Ok(made(make, Counted { items, produced: Arc::clone(&self.produced), alive: Arc::clone(&self.alive) }))
    }

    fn produced(&self) -> Result<(u64, u64)> {
        Ok((self.produced.load(Ordering::SeqCst), self.alive.load(Ordering::SeqCst)))
    }

    fn fail_after(&self, count: u64, message: &str, panics: bool, make: Make) -> Result<Stream<u64>> {
        let message = message.to_owned();
        let items = (0..=count).map(move |number| match number {
            number if number < count => Ok(number),
            _ if panics => panic!("{message}"),
            _ => Err(Error::custom(&message)),
        });
        Ok(made(make, items))
    }

    fn listen(&self) -> Result<Stream<String>> {
        let (sender, stream) = Stream::channel();
        self.listeners.lock().map_err(Error::custom)?.push(sender);
        Ok(stream)
    }

    fn say(&self, text: &str) -> Result<usize> {
        let mut listeners = self.listeners.lock().map_err(Error::custom)?;
        listeners.retain(|listener| listener.send(text.to_owned()).is_ok());
        Ok(listeners.len())
    }

    fn open(&self, count: u64) -> Result<Vec<Stream<u64>>> {
        Ok((0..count).map(|number| Stream::iter([Ok(number)])).collect())
    }

    fn rows(&self, rows: u64, columns: u64) -> Result<Stream<Stream<u64>>> {
        Ok(Stream::iter(
            (0..rows).map(move |row| Ok(Stream::iter((0..columns).map(move |column| Ok(row * columns + column))))),
        ))
    }

    fn cells(&self, count: u64) -> Result<Stream<Remote<dyn Cell>>> {
        Ok(Stream::iter((0..count).map(|number| Ok(Remote::new(Number(number))))))
    }

    fn add_up(&self, cells: Stream<Remote<dyn Cell>>) -> Result<u64> {
        cells.into_iter().map(|cell| cell?.get()).sum()
    }

    fn read(&self, length: u64) -> Result<ByteStream> {
        Ok(ByteStream::read_from(Pattern::new(length)))
    }

    fn digest(&self, bytes: ByteStream) -> Result<(u64, u64)> {
        digest(bytes).map_err(Error::custom)
    }

    fn shout(&self, bytes: ByteStream) -> Result<ByteStream> {
        Ok(ByteStream::read_from(Loud(bytes)))
    }

    fn first_and_exit(&self, journal: &str, numbers: Stream<u64>, reads: bool) -> Result<u64> {
        let runs = std::fs::read_to_string(journal).unwrap_or_default() + "x";
        std::fs::write(journal, &runs).map_err(Error::custom)?;
        if !reads && runs.len() == 1 {
            std::process::abort();
        }
        let first = numbers.into_iter().next().ok_or_else(|| Error::custom("there is none"))?;
        if runs.len() == 1 {
            std::process::abort();
        }
        first
    }

    fn peak_kilobytes(&self) -> Result<u64> {
        Ok(peak_kilobytes())
    }
}

/// How many kilobytes of memory this process has taken at most; 0 where the system does not tell.
pub fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

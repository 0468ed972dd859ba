//! Streams between two ends in memory, that count as both sides of a connection do.

mod bytes;
mod items;

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    ByteStream, Stream,
    consumer::{Arrival, Consumer, Upstream},
    ending::Ending,
    producer::{Items, Produce},
    pump::{Outlet, Pump, Unsendable},
    reader::Bytes,
    runtime::Pool,
    source::Source,
};
use crate::{
    Error, Result, blocking,
    buffer::Buffer,
    connection::lock,
    deadline,
    protocol::{
        flow::{Demand, WINDOW},
        items::Cut,
    },
    within,
};

const PEER: &str = "peer";
const MAX_ITEM: usize = 4 << 20;

/// What is under way from one end to the other.
#[derive(Default)]
struct Wire {
    state: Mutex<Wired>,
    pump: OnceLock<Arc<Pump>>,
    frames: AtomicUsize,
}

#[derive(Default)]
struct Wired {
    arrivals: VecDeque<Arrival>,
    demand: Demand,
    reader: Option<Waker>,
    /// Nobody takes anything any more.
    is_cut: bool,
    /// There is no room, as far as those are concerned that do not wait.
    is_full: bool,
}

impl Wire {
    fn add(&self, arrival: Arrival) -> bool {
        let mut state = lock(&self.state);
        if let Arrival::Items(frame, _) = &arrival {
            assert!(state.demand.received(frame.len()), "more than was asked for");
            self.frames.fetch_add(1, Ordering::Relaxed);
        }
        state.arrivals.push_back(arrival);
        let reader = state.reader.take();
        let is_taken = !state.is_cut;
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        is_taken
    }
}

struct ToReader(Arc<Wire>);

impl Outlet for ToReader {
    fn send(&self, items: Cut) -> Result<(), Unsendable> {
        let is_taken = self.0.add(Arrival::Items(items.bytes, None));
        if is_taken { Ok(()) } else { Err(Unsendable::Unread) }
    }

    fn try_send(&self, items: Buffer) -> Result<(), Buffer> {
        if lock(&self.0.state).is_full {
            return Err(items);
        }
        self.0.add(Arrival::Items(items, None));
        Ok(())
    }

    fn send_async(&self, items: Cut) -> Pin<Box<dyn Future<Output = Result<(), Unsendable>> + Send + '_>> {
        Box::pin(async move { self.send(items) })
    }

    fn max_item(&self) -> usize {
        MAX_ITEM
    }

    fn end(&self, why: Vec<u8>) {
        self.0.add(Arrival::End(Ending::read(&why, PEER, MAX_ITEM)));
    }
}

struct FromProducer(Arc<Wire>);

impl FromProducer {
    fn demand(&self, bytes: Option<u32>) {
        if let (Some(bytes), Some(pump)) = (bytes, self.0.pump.get()) {
            pump.demanded(bytes).unwrap();
        }
    }
}

impl Upstream for FromProducer {
    fn receive(&mut self) -> Result<Arrival> {
        let waited = blocking::wait(deadline::in_force(), |context| self.poll_receive(context));
        waited.unwrap_or_else(|waited| Err(super::timeout(PEER, crate::error::READ, waited)))
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrival>> {
        let begin = lock(&self.0.state).demand.begin();
        self.demand(begin);
        let mut state = lock(&self.0.state);
        let Some(arrival) = state.arrivals.pop_front() else {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        let more = if let Arrival::Items(frame, _) = &arrival { state.demand.read(frame.len()) } else { None };
        drop(state);
        self.demand(more);
        Poll::Ready(Ok(arrival))
    }

    fn peer(&self) -> &str {
        PEER
    }

    fn max_item(&self) -> usize {
        MAX_ITEM
    }
}

impl Drop for FromProducer {
    fn drop(&mut self) {
        if let Some(pump) = self.0.pump.get() {
            pump.release();
        }
    }
}

/// A thread for each job.
struct Threads;

impl Pool for Threads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        thread::spawn(job);
    }
}

/// One that has ended.
struct NoThreads;

impl Pool for NoThreads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        drop(job);
    }
}

fn wire(produce: Box<dyn Produce>, pool: Arc<dyn Pool>) -> Arc<Wire> {
    let wire = Arc::<Wire>::default();
    let pump = Pump::new(produce, Box::new(ToReader(Arc::clone(&wire))), pool);
    assert!(wire.pump.set(pump).is_ok());
    wire
}

fn sent_by<T>(stream: &Stream<T>, pool: Arc<dyn Pool>) -> (Arc<Wire>, Stream<T>)
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let wire = wire(Box::new(Items::new(stream.take_source().unwrap())), pool);
    let received = Consumer::new(Box::new(FromProducer(Arc::clone(&wire))));
    (wire, Stream::of(Source::Received(received)))
}

/// The stream as it arrives elsewhere.
fn sent<T: Serialize + DeserializeOwned + Send + 'static>(stream: &Stream<T>) -> Stream<T> {
    sent_by(stream, Arc::new(Threads)).1
}

fn sent_bytes(stream: &ByteStream) -> ByteStream {
    let wire = wire(Box::new(stream.take_source().unwrap()), Arc::new(Threads));
    ByteStream::of(Bytes::Received(Box::new(FromProducer(wire))))
}

/// Runs `test` with an end to its patience.
fn promptly<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || sender.send(test()));
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
    }
}

/// Waits until `condition` holds.
fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not happen");
        thread::yield_now();
    }
}

/// Tells when it is dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A stream of futures that is pending before each item.
struct Hesitant<I>(I, bool);

impl<I: Iterator + Unpin> futures_core::Stream for Hesitant<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<I::Item>> {
        self.1 = !self.1;
        if self.1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.next())
    }
}

fn hesitant<T: 'static>(items: impl Iterator<Item = Result<T>> + Send + Unpin + 'static) -> Stream<T> {
    Stream::wrap(Hesitant(items, false))
}

/// All items, polled.
fn polled<T>(mut stream: Stream<T>) -> Vec<Result<T>> {
    let mut items = Vec::new();
    while let Some(item) = blocking::wait(None, |context| stream.poll_read(context)).unwrap() {
        items.push(item);
    }
    items
}

/// The same stream in all the ways to make one.
fn all(count: u32) -> Vec<Stream<u32>> {
    let (sender, channel) = Stream::channel();
    let (sender_async, channel_async) = Stream::channel();
    thread::spawn(move || (0..count).try_for_each(|item| sender.send(item)));
    thread::spawn(move || {
        let mut sending = Box::pin(async move {
            for item in 0..count {
                sender_async.send_async(item).await?;
            }
            Ok::<_, Error>(())
        });
        blocking::wait(None, |context| sending.as_mut().poll(context))
    });
    vec![Stream::iter((0..count).map(Ok)), hesitant((0..count).map(Ok)), channel, channel_async]
}

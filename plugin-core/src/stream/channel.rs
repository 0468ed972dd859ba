//! A channel between whoever adds items to a stream and whoever reads it, in one process.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{limit::Limit, source::Read};
use crate::{
    Error,
    connection::lock,
    signal::{Place, Signal, wake},
};

/// How many items wait in a channel at most.
pub(super) const ITEMS: usize = 32;

/// What sender and receiver share.
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Signalled when there is room again, or nobody reads any more.
    room: Signal,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    tail: Tail,
    is_read: bool,
    /// To be woken when there is an item, or the end.
    reader: Option<Waker>,
    /// Somebody waits for room, as far as is known.
    has_waiting: bool,
}

/// What comes behind the items.
enum Tail {
    /// More items.
    Open,
    Failed(Error),
    Ended,
}

/// Why an item was not taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unsent {
    /// Nobody reads.
    Unread,
    /// There was no room for so long, until the deadline.
    Late(Duration),
}

/// The end that adds items; its drop ends the stream.
pub(super) struct Channel<T>(Arc<Shared<T>>);

/// The end that reads.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Channel<T> {
    /// Both ends of a channel in which `capacity` items may wait.
    pub(super) fn open(capacity: usize) -> (Self, Receiver<T>) {
        let state = State { items: VecDeque::new(), tail: Tail::Open, is_read: true, reader: None, has_waiting: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), room: Signal::default(), capacity });
        (Self(Arc::clone(&shared)), Receiver(shared))
    }

    /// Adds an item, waiting for room until `deadline`.
    pub(super) fn send(&self, item: T, deadline: Option<Instant>) -> Result<(), Unsent> {
        let mut began = None;
        let mut state = lock(&self.0.state);
        while state.is_read && state.items.len() >= self.0.capacity {
            state.has_waiting = true;
            state = match deadline {
                None => self.0.room.wait(state),
                Some(deadline) => {
                    let now = Instant::now();
                    let began = *began.get_or_insert(now);
                    if deadline <= now {
                        return Err(Unsent::Late(now - began));
                    }
                    self.0.room.wait_timeout(state, deadline - now)
                }
            };
        }
        let added = state.add(item);
        drop(state);
        told(added)
    }

    /// As [`send`](Self::send), for a task. An item whose future is dropped is not added.
    pub(super) async fn send_async(&self, item: T) -> Result<(), Unsent> {
        let mut waiting = Waiting { shared: &self.0, place: Place::default() };
        let (mut item, mut limit) = (Some(item), Limit::default());
        poll_fn(|context| {
            let sent = self.poll_send(context, &mut waiting.place, || item.take());
            if sent.is_pending() {
                if let Some(waited) = limit.is_over(context) {
                    return Poll::Ready(Err(Unsent::Late(waited)));
                }
            }
            sent
        })
        .await
    }

    /// Adds what `item` gives once there is room; `place` is the task's among those that wait.
    pub(super) fn poll_send(
        &self,
        context: &Context<'_>,
        place: &mut Place,
        item: impl FnOnce() -> Option<T>,
    ) -> Poll<Result<(), Unsent>> {
        // Before there is a lock: a waker is code of somebody else's.
        let waker = context.waker().clone();
        let mut state = lock(&self.0.state);
        if state.is_read && state.items.len() >= self.0.capacity {
            state.has_waiting = true;
            let last = self.0.room.register(place, waker);
            drop(state);
            drop(last); // Without the lock: a waker is code of somebody else's.
            return Poll::Pending;
        }
        let Some(item) = item() else { return Poll::Ready(Ok(())) };
        let added = state.add(item);
        drop(state);
        self.0.room.forget(place);
        Poll::Ready(told(added))
    }

    /// Forgets a task that waits no more.
    pub(super) fn forget(&self, place: &mut Place) {
        self.0.room.forget(place);
    }

    /// Whether anybody reads.
    pub(super) fn is_read(&self) -> bool {
        lock(&self.0.state).is_read
    }

    /// Ends the stream behind what has been added, because of `error` if there is one. The first end is the one that counts.
    pub(super) fn end(&self, error: Option<Error>) {
        let mut state = lock(&self.0.state);
        if let (Tail::Open, true) = (&state.tail, state.is_read) {
            state.tail = error.map_or(Tail::Ended, Tail::Failed);
        }
        let reader = state.reader.take();
        drop(state);
        wake_reader(reader);
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl<T> State<T> {
    /// Adds an item; gives whom to wake for it, or the item that nobody reads: either without the lock.
    fn add(&mut self, item: T) -> Result<Option<Waker>, T> {
        if !self.is_read {
            return Err(item);
        }
        self.items.push_back(item);
        Ok(self.reader.take())
    }
}

impl<T> Receiver<T> {
    /// The next item.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Read<T>> {
        let mut waker = None;
        let (mut state, item) = loop {
            let mut state = lock(&self.0.state);
            if let Some(item) = state.items.pop_front() {
                break (state, item);
            }
            match std::mem::replace(&mut state.tail, Tail::Ended) {
                Tail::Failed(error) => return Poll::Ready(Read::Failed(error)),
                Tail::Ended => return Poll::Ready(Read::End),
                Tail::Open => state.tail = Tail::Open,
            }
            if state.reader.as_ref().is_some_and(|reader| reader.will_wake(context.waker())) {
                return Poll::Pending;
            }
            if let Some(waker) = waker.take() {
                let last = state.reader.replace(waker);
                drop(state);
                drop(last); // Without the lock, as it was cloned: a waker is code of somebody else's.
                return Poll::Pending;
            }
            drop(state);
            waker = Some(context.waker().clone());
        };
        // Only when there is room for several, or sender and reader would take turns for each item.
        let has_waiting = state.has_waiting && state.items.len() <= self.0.capacity / 2;
        state.has_waiting &= !has_waiting;
        drop(state);
        if has_waiting {
            self.0.room.notify_all();
        }
        Poll::Ready(Read::Item(item))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unread = {
            let mut state = lock(&self.0.state);
            state.is_read = false;
            let tail = std::mem::replace(&mut state.tail, Tail::Ended);
            (std::mem::take(&mut state.items), tail, state.reader.take())
        };
        drop(unread); // Without the lock: it is somebody else's code.
        self.0.room.notify_all();
    }
}

/// What whoever adds an item is told, when the reader has been; without the lock, since an item's drop is somebody else's code.
fn told<T>(added: Result<Option<Waker>, T>) -> Result<(), Unsent> {
    added.map(wake_reader).map_err(|_| Unsent::Unread)
}

/// Tells the reader; without the lock.
fn wake_reader(reader: Option<Waker>) {
    if let Some(reader) = reader {
        wake(reader);
    }
}

/// A task that waits for room, and is forgotten when dropped.
struct Waiting<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.shared.room.forget(&mut self.place);
    }
}

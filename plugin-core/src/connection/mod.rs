//! A session over a transport: the only place where the protocol meets bytes, threads and waiting.
//!
//! A [`Connection`] is shared by everybody who calls or answers. Two threads belong to it: the reader ([`reader`]) turns
//! bytes into messages and hands each to whom it concerns, and never blocks on anything else; the writer ([`outbox`])
//! writes what could not be written at once. A caller ([`calls`]) only ever waits for its own answer, within its deadline:
//! it tries to write without blocking and leaves the rest to the writer. So no side ever waits to write while nobody reads.

mod calls;
pub(crate) mod greeting;
mod outbox;
mod reader;

pub(crate) use calls::CallFailure;

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    codec,
    protocol::{
        Violation,
        frame::{Deframer, Kind},
        message::{Failure, Message},
    },
    transport::Link,
};
use calls::Calls;
use outbox::Outbox;

/// What a side does with what the other one starts. None of it may block: the reader runs it.
pub(crate) trait Handler: Send + Sync {
    /// A method is to be called.
    fn request(&self, connection: &Arc<Connection>, request: Message);

    /// The other side says goodbye.
    fn goodbye(&self) {}

    /// The connection has ended.
    fn closed(&self, end: &End);
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) cause: Cause,
    pub(crate) at: Instant,
}

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Cause {
    /// The other side did what no side may.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// The other side is gone, or the connection with it.
    #[error("{0}")]
    Lost(String),
    /// This side wanted it so.
    #[error("{0}")]
    Local(&'static str),
}

/// One side of a session.
pub(crate) struct Connection {
    link: Box<dyn Link>,
    outbox: Mutex<Outbox>,
    /// Signalled when the writer has something to do.
    work: Condvar,
    /// Signalled when the outbox has room again, or is closed.
    room: Condvar,
    calls: Mutex<Calls>,
    /// Counted frames received; written by the reader, sent along with every frame.
    received: AtomicU32,
    handler: Arc<dyn Handler>,
    max_message: usize,
    threads: Mutex<usize>,
    ended: Condvar,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("max_message", &self.max_message).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a link whose greeting is done; `deframer` holds what was received behind it.
    pub(crate) fn start(
        link: Box<dyn Link>,
        deframer: Deframer,
        handler: Arc<dyn Handler>,
        max_message: usize,
    ) -> std::io::Result<Arc<Self>> {
        let connection = Arc::new(Self {
            link,
            outbox: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            calls: Mutex::default(),
            received: AtomicU32::new(0),
            handler,
            max_message,
            threads: Mutex::new(0),
            ended: Condvar::new(),
        });
        let started = connection
            .spawn("plugin-core writer", Self::write_until_closed)
            .and_then(|()| connection.spawn("plugin-core reader", |reader| reader.read_until_closed(deframer)));
        if let Err(error) = started {
            connection.close(Cause::Local("no thread could be started"));
            return Err(error);
        }
        Ok(connection)
    }

    fn spawn(self: &Arc<Self>, name: &str, run: impl FnOnce(&Arc<Self>) + Send + 'static) -> std::io::Result<()> {
        let connection = Arc::clone(self);
        *lock(&self.threads) += 1;
        let spawned = thread::Builder::new().name(name.into()).spawn(move || {
            run(&connection);
            connection.thread_ended();
        });
        if spawned.is_err() {
            self.thread_ended();
        }
        spawned.map(drop)
    }

    fn thread_ended(&self) {
        *lock(&self.threads) -= 1;
        self.ended.notify_all();
    }

    /// The most bytes that a message may have.
    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    /// Ends the connection. Callers fail, threads end; the first cause given is the one they tell.
    pub(crate) fn close(&self, cause: Cause) {
        let end = End { cause, at: Instant::now() };
        let Some(waiting) = self.close_outbox_and_calls(&end) else { return };
        self.link.close();
        self.work.notify_all();
        self.room.notify_all();
        for waiter in waiting {
            waiter.connection_closed();
        }
        self.handler.closed(&end);
    }

    /// Tells the other side goodbye, behind everything sent so far.
    pub(crate) fn say_goodbye(&self) {
        // Nobody is left to tell where the connection has ended already.
        let _ = self.send(Message::control(Kind::Goodbye, 0), None);
    }

    /// Waits until the reader and the writer have ended, but not past `deadline`.
    pub(crate) fn wait_ended(&self, deadline: Instant) -> bool {
        let threads = lock(&self.threads);
        let left = deadline.saturating_duration_since(Instant::now());
        let (threads, _) = self
            .ended
            .wait_timeout_while(threads, left, |threads| *threads > 0)
            .unwrap_or_else(PoisonError::into_inner);
        *threads == 0
    }

    /// Waits until everything sent has been written, but not past `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let outbox = lock(&self.outbox);
        // The time is up or the connection closed: either way there is nothing more to wait for.
        let _ = self.room.wait_timeout_while(outbox, limit, |outbox| outbox.is_busy());
    }

    /// Answers a request that this side cannot run. Never blocks.
    pub(crate) fn refuse(&self, call: u32, failure: &Failure) {
        // Three strings and a variant: their encoding cannot fail.
        let payload = codec::to_vec(failure).unwrap_or_default();
        self.send_or_drop(Message::answer(Kind::Failure, call, payload));
    }

    fn received(&self) -> u32 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Locks, whatever a panicking thread left behind: every lock of this crate guards data that is whole at each unlock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

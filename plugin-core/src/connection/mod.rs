//! A session over a transport: the only place where the protocol meets bytes, threads and waiting.
//!
//! A [`Connection`] is shared by everybody who calls or answers. It outlives its links: when one is cut, what was sent and
//! not received waits, and goes out on the next ([`resume`]), which one side dials and the other waits for ([`cut`]). Whoever
//! needs an answer reads the link, for everybody, while nobody else does ([`baton`], [`read`]): bytes become messages, and each
//! goes to whom it concerns. Whoever sends writes, for everybody, without blocking ([`outbox`]). A caller ([`calls`]) only ever
//! waits for its own answer, within its deadline, and runs what the other side asks of it meanwhile ([`asked`], [`callbacks`]): a
//! thread one after the other, a task ([`lending`]) some beside each other ([`running`]). While nobody calls, the [`Handler`]
//! sees to it that somebody reads. So no side ever waits to write while nobody reads.

mod asked;
mod baton;
mod callbacks;
mod calls;
mod cut;
mod declarations;
mod exports;
#[cfg(test)]
mod fault_tests;
pub(crate) mod greeting;
mod imports;
mod lending;
mod liveness;
mod numbered;
mod oneway;
mod outbox;
mod prompt;
mod read;
mod resume;
mod running;
mod streams;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod wait;
mod waiter;
#[cfg(any(unix, test))]
mod watched;

pub(crate) use asked::{Cancel, Turn};
pub(crate) use baton::Reading;
#[cfg(any(unix, test))]
pub(crate) use baton::{Attendance, Presence};
pub(crate) use callbacks::{Lender, NOTICE_BYTES, NOTICES, call_ended};
pub(crate) use calls::CallFailure;
pub(crate) use cut::{Cut, Failed};
pub(crate) use exports::{Export, MAX_STREAMS, TooMany};
pub(crate) use imports::{Brought, Import};
pub(crate) use lending::{Begun, Callback, TaskLender};
pub(crate) use outbox::{Sent, Unsent, yield_once};
pub(crate) use prompt::Prompt;
pub(crate) use read::{Progress, Recalled};
pub(crate) use streams::Inward;

use std::{any::Any, io, time::Duration};

use crate::{
    codec, deadline,
    protocol::{
        Violation,
        frame::{Deframer, Kind},
        message::{Failure, Message},
        pulse::Pulse,
    },
    signal::Signal,
    sync::{
        Arc, Condvar, Instant, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    },
    transport::Link,
};
use calls::Calls;
use declarations::Declarations;
use exports::Exports;
use imports::Imports;
use outbox::{LeftBehind, Outbox};
use resume::Inbox;
use streams::Inlets;

/// What a side does with what the other one starts. None of it may block: the reader runs it.
pub(crate) trait Handler: Send + Sync {
    /// Whether this side sees to it that somebody reads a link while no caller does. If not, a thread does nothing else, and
    /// callers leave it alone; so it is with links that only one thread can read anyway.
    fn reads(&self) -> bool {
        false
    }

    /// There is a new link, which callers read in turn.
    fn linked(&self, _connection: &Arc<Connection>) -> io::Result<()> {
        Ok(())
    }

    /// A caller has stopped reading, and no other has gone on.
    fn unread(&self, _connection: &Arc<Connection>) {}

    /// Tasks wait for answers, and nobody reads: from now on somebody is to come whenever there is something to read, until
    /// somebody else takes the reading.
    fn awaited(&self, _connection: &Arc<Connection>) {}

    /// Whether the task that asks has an executor which this side can have wait for the link.
    fn could_drive(&self) -> bool {
        false
    }

    /// Whether the driver may have an executor that runs only while a thread blocks on it, and not for the task that asks. If that
    /// is the only task that waits, it drives no more.
    fn driver_stands_still(&self, _is_alone: bool) -> bool {
        false
    }

    /// Somebody has waited for long, or waits for the link's end, and perhaps nobody has taken the reading.
    fn neglected(&self, _connection: &Arc<Connection>) {}

    /// No task has called for a while.
    fn untasked(&self, _connection: &Arc<Connection>) {}

    /// [`Connection::look_after_tasks`] is to be called with that time, when it has come; whether it will be.
    fn look_at(&self, _connection: &Arc<Connection>, _when: Instant) -> bool {
        true
    }

    /// The other side has given no sign of life although it was asked for one, and somebody waits for it.
    fn unresponsive(&self) {}

    /// It has given one again.
    fn responsive(&self) {}

    /// The socket is full, and whoever sent last does not see to the rest.
    fn stalled(&self, _connection: &Arc<Connection>) {}

    /// A method is to be called.
    fn request(&self, connection: &Arc<Connection>, request: Message);

    /// Methods of the greeting's interfaces are to be called, whose requests have come together. Leaves none.
    fn requests(&self, connection: &Arc<Connection>, requests: &mut Vec<Message>) {
        requests.drain(..).for_each(|request| self.request(connection, request));
    }

    /// A method is to be called on this thread: it waits in the call from which the request is made.
    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        self.request(connection, request);
    }

    /// Gives the reading that this thread has lent while it runs a handler, if nobody has taken it.
    fn take_back(&self, _connection: &Arc<Connection>) -> Option<Box<Reading>> {
        None
    }

    /// A caller has no use for the reading any more, or not for a while.
    fn put_down(&self, connection: &Arc<Connection>, reading: Box<Reading>) {
        connection.leave(reading);
    }

    /// A caller reads, and will not run what this side has noted for whoever reads.
    fn read_by_caller(&self, _connection: &Arc<Connection>) {}

    /// A method is to be called, and nothing answers. Whoever is finished with it says [`Connection::oneway_finished`].
    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        tracing::debug!(target = call.target, method = call.method, "a oneway call that nobody here runs");
        // The thread that reads writes what that gives to write.
        let _ = connection.oneway_finished();
    }

    /// The other side holds these no more, and they are to be dropped: not here, where code of others must not run.
    fn discard(&self, exports: Vec<Arc<dyn Export>>) {
        drop(exports);
    }

    /// Runs what may block, on another thread. Drops it where there is none any more.
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        drop(job);
    }

    /// What errors call the other side.
    fn peer(&self) -> Arc<str> {
        "the other side".into()
    }

    /// What is to be held by whoever holds an object of the other side, so that there is somebody to call.
    fn keeper(&self, _connection: &Arc<Connection>) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// Nobody waits for the answer to `call` any more.
    fn cancel(&self, _call: u32) {}

    /// The other side says goodbye.
    fn goodbye(&self) {}

    /// There is no link any more, or not the one there was. The connection is locked: whatever comes of it is told later.
    fn unlinked(&self) {}

    /// The link was cut, for the reason given. Unless the connection is closed, it waits for [`Connection::resume`].
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        connection.close(Cause::Lost(reason));
    }

    /// A new link has taken the place of one that was cut. The connection is locked.
    fn resumed(&self) {}

    /// The connection has ended for good.
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
///
/// Locks are taken in the order of the fields, and none is held over user code or anything that blocks.
pub(crate) struct Connection {
    inbox: Mutex<Inbox>,
    declarations: Mutex<Declarations>,
    outbox: Mutex<Outbox>,
    calls: Mutex<Calls>,
    /// What the other side holds of this one's, and this one of the other's.
    exports: Mutex<Exports>,
    imports: Mutex<Imports>,
    /// The other side's streams that are read here.
    inlets: Mutex<Inlets>,
    /// Signalled when the writer has something to do.
    work: Condvar,
    /// Signalled when the outbox has room again, when a link comes or goes, and at the end.
    changed: Signal,
    handler: Arc<dyn Handler>,
    /// Callers read the present link in turn.
    is_shared: AtomicBool,
    /// The outbox says that the connection has ended.
    has_ended: AtomicBool,
    /// How often something has been received: a sign of life.
    heard: AtomicU64,
    pulse: Mutex<Pulse>,
    /// What the pulse says, to be looked at without a lock.
    is_unresponsive: AtomicBool,
    options: Options,
}

/// What a connection is set to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// The most bytes that a message may have.
    pub(crate) max_message: usize,
    /// Whether threads that wait may yield the processor for a while before they sleep.
    pub(crate) yields: bool,
    /// Whether threads that wait look around now and then.
    pub(crate) ticks: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a link whose greeting is done; `deframer` holds what was received behind it.
    pub(crate) fn start(
        link: Box<dyn Link>,
        deframer: Deframer,
        handler: Arc<dyn Handler>,
        options: Options,
    ) -> io::Result<Arc<Self>> {
        let connection = Self::open(handler, options);
        let first = connection.begin_resume();
        if let Err(error) = connection.resume(first, link, deframer, 0) {
            connection.close(Cause::Local("no thread could be started"));
            return Err(io::Error::other(error));
        }
        Ok(connection)
    }

    /// A side of a session that has no link yet: its first is brought as every other, by [`begin_resume`](Self::begin_resume)
    /// and [`resume`](Self::resume).
    pub(crate) fn open(handler: Arc<dyn Handler>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::new(Inbox::new(options.max_message)),
            outbox: Mutex::default(),
            calls: Mutex::default(),
            exports: Mutex::default(),
            imports: Mutex::default(),
            inlets: Mutex::default(),
            declarations: Mutex::default(),
            work: Condvar::new(),
            changed: Signal::default(),
            handler,
            is_shared: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            pulse: Mutex::default(),
            is_unresponsive: AtomicBool::new(false),
            options,
        })
    }

    fn spawn(self: &Arc<Self>, name: &str, run: impl FnOnce(&Arc<Self>) + Send + 'static) -> io::Result<()> {
        let connection = Arc::clone(self);
        thread::Builder::new().name(name.into()).spawn(move || run(&connection)).map(drop)
    }

    /// Whether threads read in turn.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    /// Whether the connection has ended for good; as [`end`](Self::end), without a lock.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Runs what may block, on another thread. Drops it where there is none any more.
    pub(crate) fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.handler.run(job);
    }

    /// What errors call the other side.
    pub(crate) fn peer(&self) -> Arc<str> {
        self.handler.peer()
    }

    /// What is to be held by whoever holds an object of the other side.
    pub(crate) fn keeper(self: &Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        self.handler.keeper(self)
    }

    /// The most bytes that a message may have.
    pub(crate) fn max_message(&self) -> usize {
        self.options.max_message
    }

    /// Ends the connection for good. Callers fail, threads end; the first cause given is the one they tell.
    pub(crate) fn close(&self, cause: Cause) {
        self.close_where(cause, |_| true);
    }

    /// As [`close`](Self::close), but not if there is a link again.
    pub(crate) fn close_if_lost(&self, cause: Cause) {
        self.close_where(cause, |outbox| !outbox.is_linked());
    }

    fn close_where(&self, cause: Cause, condition: impl Fn(&Outbox) -> bool) {
        let end = End { cause, at: Instant::now() };
        let Some(LeftBehind { link, waiting, unsent }) = self.close_outbox_and_calls(&end, condition) else { return };
        // First, so that the reason is known before anybody can see the consequences.
        self.handler.closed(&end);
        if let Some(link) = link {
            link.close();
        }
        self.work.notify_all();
        self.changed.notify_all();
        for waiter in waiting {
            waiter.wake();
        }
        let held = self.take_exports();
        if !held.is_empty() {
            self.handler.discard(held);
        }
        drop(unsent);
    }

    /// Tells the other side goodbye, behind everything sent so far.
    pub(crate) fn say_goodbye(self: &Arc<Self>) {
        self.send_control(Message::control(Kind::Goodbye, 0));
    }

    /// Waits until the link is gone, and with it all that the other side has sent has been read, but not past `deadline`.
    pub(crate) fn wait_lost(self: &Arc<Self>, deadline: Instant) {
        // Whoever watches for callers that read would look at it in its own time only.
        self.handler.neglected(self);
        self.wait_while(deadline, Outbox::is_linked);
    }

    /// Waits until everything sent has been written, but not past `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let deadline = deadline::after(Instant::now(), limit);
        while self.write_now() {
            let Some(link) = lock(&self.outbox).present().cloned() else { return };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || link.pollable().is_none_or(|link| link.wait(false, true, left).is_err()) {
                return;
            }
        }
        self.wait_while(deadline, Outbox::is_busy);
    }

    /// Whether there is a link, as far as is known.
    pub(crate) fn is_linked(&self) -> bool {
        lock(&self.outbox).is_linked()
    }

    /// Waits as long as `condition` holds and the connection has not ended, but not past `deadline`.
    fn wait_while(&self, deadline: Instant, condition: impl Fn(&Outbox) -> bool) -> bool {
        self.wait_until(lock(&self.outbox), Some(deadline), |outbox| !condition(outbox)).1
    }

    /// Answers a request that this side cannot run. Never blocks.
    pub(crate) fn refuse(self: &Arc<Self>, call: u32, failure: &Failure) {
        // Three strings and a variant: their encoding cannot fail.
        let payload = codec::encode(failure).unwrap_or_default();
        self.send_control(Message::answer(Kind::Failure, call, payload));
    }
}

/// Locks, whatever a panicking thread left behind: every lock of this crate guards data that is whole at each unlock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A session over a transport: the only place where the protocol meets bytes, threads and waiting.
//!
//! A [`Connection`] is shared by everybody who calls or answers. It outlives its links: when one is cut, what was sent and
//! not received waits, and goes out on the next ([`resume`]). A reader thread per link ([`reader`]) turns bytes into messages
//! and hands each to whom it concerns, and never blocks on anything else; a writer thread ([`outbox`]) writes what could not
//! be written at once. A caller ([`calls`]) only ever waits for its own answer, within its deadline: it tries to write
//! without blocking and leaves the rest to the writer. So no side ever waits to write while nobody reads.

mod calls;
pub(crate) mod greeting;
mod outbox;
mod reader;
mod resume;
#[cfg(test)]
mod tests;

pub(crate) use calls::CallFailure;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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
use outbox::{LeftBehind, Outbox};
use resume::Inbox;

/// What a side does with what the other one starts. None of it may block: the reader runs it.
pub(crate) trait Handler: Send + Sync {
    /// A method is to be called.
    fn request(&self, connection: &Arc<Connection>, request: Message);

    /// Nobody waits for the answer to `call` any more.
    fn cancel(&self, _call: u32) {}

    /// The other side says goodbye.
    fn goodbye(&self) {}

    /// The link was cut, for the reason given. Unless the connection is closed, it waits for [`Connection::resume`].
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        connection.close(Cause::Lost(reason));
    }

    /// A new link has taken the place of one that was cut.
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
    outbox: Mutex<Outbox>,
    calls: Mutex<Calls>,
    /// Signalled when the writer has something to do.
    work: Condvar,
    /// Signalled when the outbox has room again, when a link comes or goes, and at the end.
    changed: Condvar,
    handler: Arc<dyn Handler>,
    max_message: usize,
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
            inbox: Mutex::new(Inbox::new(max_message)),
            outbox: Mutex::default(),
            calls: Mutex::default(),
            work: Condvar::new(),
            changed: Condvar::new(),
            handler,
            max_message,
        });
        let first = connection.begin_resume();
        let started = connection
            .spawn("plugin-core writer", Self::write_until_closed)
            .and_then(|()| connection.resume(first, link, deframer, 0));
        if let Err(error) = started {
            connection.close(Cause::Local("no thread could be started"));
            return Err(error);
        }
        Ok(connection)
    }

    fn spawn(self: &Arc<Self>, name: &str, run: impl FnOnce(&Arc<Self>) + Send + 'static) -> std::io::Result<()> {
        let connection = Arc::clone(self);
        thread::Builder::new().name(name.into()).spawn(move || run(&connection)).map(drop)
    }

    /// The most bytes that a message may have.
    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    /// Ends the connection for good. Callers fail, threads end; the first cause given is the one they tell.
    pub(crate) fn close(&self, cause: Cause) {
        self.close_where(cause, |_| true);
    }

    /// As [`close`](Self::close), but not if there is a link again.
    pub(crate) fn close_if_lost(&self, cause: Cause) {
        self.close_where(cause, |outbox| !outbox.is_linked());
    }

    fn close_where(&self, cause: Cause, condition: fn(&Outbox) -> bool) {
        let end = End { cause, at: Instant::now() };
        let Some(LeftBehind { link, waiting }) = self.close_outbox_and_calls(&end, condition) else { return };
        // First, so that the reason is known before anybody can see the consequences.
        self.handler.closed(&end);
        if let Some(link) = link {
            link.close();
        }
        self.work.notify_all();
        self.changed.notify_all();
        for waiter in waiting {
            waiter.connection_closed();
        }
    }

    /// Tells the other side goodbye, behind everything sent so far.
    pub(crate) fn say_goodbye(&self) {
        self.send_control(Message::control(Kind::Goodbye, 0));
    }

    /// Waits until the link is gone, and with it all that the other side has sent has been read, but not past `deadline`.
    pub(crate) fn wait_lost(&self, deadline: Instant) {
        self.wait_while(deadline, Outbox::is_linked);
    }

    /// Waits until everything sent has been written, but not past `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        self.wait_while(Instant::now() + limit, Outbox::is_busy);
    }

    /// Waits until the connection has ended or has a link again, but not past `deadline`; whether it has either.
    pub(crate) fn wait_linked(&self, deadline: Instant) -> bool {
        self.wait_while(deadline, |outbox| !outbox.is_linked() && outbox.end().is_none())
    }

    fn wait_while(&self, deadline: Instant, condition: impl Fn(&Outbox) -> bool) -> bool {
        let mut outbox = lock(&self.outbox);
        while condition(&outbox) {
            match self.wait_for_change(outbox, Some(deadline)) {
                Some(guard) => outbox = guard,
                None => return false,
            }
        }
        true
    }

    /// Answers a request that this side cannot run. Never blocks.
    pub(crate) fn refuse(&self, call: u32, failure: &Failure) {
        // Three strings and a variant: their encoding cannot fail.
        let payload = codec::to_vec(failure).unwrap_or_default();
        self.send_control(Message::answer(Kind::Failure, call, payload));
    }
}

/// Locks, whatever a panicking thread left behind: every lock of this crate guards data that is whole at each unlock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Blocking work on behalf of a task: rare operations, each on a thread of its own; and waiting for a task on a thread.

use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{connection::lock, deadline::Scope, signal::wake};

/// What a thread and a task share.
struct Shared<R> {
    outcome: Option<thread::Result<R>>,
    waker: Option<Waker>,
}

/// Does `work` on a thread of its own, under the deadlines in force here; a panic goes on in the task. If the task is dropped,
/// the work goes on, and what it gives is dropped.
///
/// # Errors
/// When no thread can be started.
pub(crate) async fn unblock<R: Send + 'static>(name: &str, work: impl FnOnce() -> R + Send + 'static) -> io::Result<R> {
    let shared = Arc::new(Mutex::new(Shared { outcome: None, waker: None }));
    let (telling, scope) = (Arc::clone(&shared), Scope::current());
    thread::Builder::new().name(name.into()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| scope.run(work)));
        let waker = {
            let mut shared = lock(&telling);
            shared.outcome = Some(outcome);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    })?;
    let outcome = poll_fn(|context| {
        let waker = context.waker().clone();
        let mut shared = lock(&shared);
        if let Some(outcome) = shared.outcome.take() {
            return Poll::Ready(outcome);
        }
        let last = shared.waker.replace(waker);
        drop(shared);
        drop(last); // Without the lock: a waker is code of somebody else's.
        Poll::Pending
    });
    Ok(outcome.await.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Polls on this thread until that gives something, and sleeps in between; if `deadline` comes first, gives how long it has waited.
pub(crate) fn wait<R>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Result<R, Duration> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    // What is there at once needs no waker.
    if let Poll::Ready(outcome) = poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(outcome);
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut began = None;
    loop {
        if let Poll::Ready(outcome) = poll(&mut context) {
            return Ok(outcome);
        }
        let Some(deadline) = deadline else {
            thread::park();
            continue;
        };
        let now = Instant::now();
        let began = *began.get_or_insert(now);
        if deadline <= now {
            return Err(now - began);
        }
        thread::park_timeout(deadline - now);
    }
}

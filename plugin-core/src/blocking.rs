//! Blocking work on behalf of a task: rare operations, each on a thread of its own.

use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    thread,
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

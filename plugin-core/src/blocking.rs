//! Blocking work on behalf of a task: rare operations, each on a thread of its own; and waiting for a task on a thread.

use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
    struct Unpark {
        thread: Thread,
        is_woken: AtomicBool,
    }
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.is_woken.store(true, Ordering::SeqCst);
            self.thread.unpark();
        }
    }
    // What is there at once needs no waker.
    if let Poll::Ready(outcome) = poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(outcome);
    }
    let unpark = Arc::new(Unpark { thread: thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Arc::clone(&unpark).into();
    let mut context = Context::from_waker(&waker);
    let mut began = None;
    loop {
        if let Poll::Ready(outcome) = poll(&mut context) {
            return Ok(outcome);
        }
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        if let Some(deadline) = deadline {
            let began = *began.get_or_insert_with(Instant::now);
            if left(deadline).is_zero() {
                return Err(began.elapsed());
            }
        }
        // That this thread is unparked is not enough: what is polled may wait on it, too, and be woken in this one's place.
        while !unpark.is_woken.swap(false, Ordering::SeqCst) {
            match deadline.map(left) {
                None => thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    #[test]
    fn who_is_woken_while_it_waits_within_is_polled_again() {
        let (done, over) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut turns = 0;
            let outcome = wait(None, |context| {
                turns += 1;
                if turns > 2 {
                    return Poll::Ready(turns);
                }
                context.waker().wake_by_ref();
                // Takes the token by which this thread is unparked.
                let mut inner = std::pin::pin!(unblock("inner", || ()));
                wait(None, |context| inner.as_mut().poll(context)).unwrap().unwrap();
                thread::park_timeout(Duration::from_millis(1));
                Poll::Pending
            });
            done.send(outcome).unwrap();
        });
        assert_eq!(over.recv_timeout(Duration::from_secs(20)).expect("it is not asleep"), Ok(3));
    }
}

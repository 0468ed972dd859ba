//! Changes that threads and tasks wait for: a condition variable to which wakers can be added.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
    time::Duration,
};

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Wakes a task. Its waker is code of somebody else's: it must be called without a lock, and that it panics is its own affair,
/// for the thread that calls it does so for others, too.
pub(crate) fn wake(task: Waker) {
    if catch_unwind(AssertUnwindSafe(|| task.wake())).is_err() {
        tracing::error!("the waker of a task that calls a plugin has panicked");
    }
}

/// Tells of changes of something that a lock guards.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    threads: Condvar,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    waiting: HashMap<u64, Waker>,
    last: u64,
}

/// A task's place among those that wait for one signal; empty until it first waits. Whoever holds one gives it back with
/// [`Signal::forget`].
#[derive(Debug, Default)]
pub(crate) struct Place(Option<u64>);

impl Signal {
    /// Has everybody look again.
    pub(crate) fn notify_all(&self) {
        self.threads.notify_all();
        let tasks = std::mem::take(&mut self.lock().waiting);
        tasks.into_values().for_each(wake);
    }

    /// Waits for a change, with the lock that guards it released meanwhile.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.threads.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`wait`](Self::wait), at most for `limit`.
    pub(crate) fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
        self.threads.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Has a task look again at the next change. It must hold the lock that guards what it looked at, or it could miss one.
    ///
    /// Takes a waker that was cloned before, and gives one that is of no use any more, to be dropped without that lock: both are
    /// code of somebody else's.
    #[must_use = "it is to be dropped without the lock"]
    pub(crate) fn register(&self, place: &mut Place, waker: Waker) -> Option<Waker> {
        let mut tasks = self.lock();
        let key = *place.0.get_or_insert_with(|| {
            tasks.last += 1;
            tasks.last
        });
        tasks.waiting.insert(key, waker)
    }

    /// Forgets a task that waits no more.
    pub(crate) fn forget(&self, place: &mut Place) {
        let forgotten = place.0.take().and_then(|key| self.lock().waiting.remove(&key));
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_else_asleep() {
        let (signal, count) = (Signal::default(), Arc::<Count>::default());
        let wakers = [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&count)), Waker::from(Arc::new(Panics))];
        let mut places = [(); 3].map(|()| Place::default());
        for (place, waker) in places.iter_mut().zip(&wakers) {
            drop(signal.register(place, waker.clone()));
        }
        signal.notify_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_task_is_woken_once_for_each_time_it_waits_and_not_after_it_has_gone() {
        let (signal, count) = (Signal::default(), Arc::<Count>::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut place = Place::default();
        for _ in 0..3 {
            drop(signal.register(&mut place, waker.clone()));
        }
        signal.notify_all();
        signal.notify_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(signal.register(&mut place, waker));
        signal.forget(&mut place);
        signal.notify_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(signal.lock().waiting.is_empty());
    }
}

//! A mutex and a condition variable as the standard library's. The scheduler's own condition variable never times out, and
//! here that is the point: a wait ends by its time as likely as by a signal.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Arc, LockResult, PoisonError},
    time::Duration,
};

use super::time::{self, Instant};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only for a moment in [`Condvar::wait`].
    guard: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the standard library's")]
    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        Ok(self.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Never poisoned: a panic ends the whole model.
    #[expect(clippy::unnecessary_wraps, reason = "as the standard library's")]
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { mutex: self, guard: Some(guard) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("only `wait` takes it")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("only `wait` takes it")
    }
}

/// One wait of one thread.
#[derive(Debug, Default)]
pub(super) struct Wait {
    outcome: shuttle::sync::Mutex<Option<Outcome>>,
    ended: shuttle::sync::Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Signalled,
    TimedOut,
}

impl Wait {
    /// Ends the wait; whether it had not ended before.
    pub(super) fn end(&self, outcome: Outcome) -> bool {
        let mut present = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = present.is_none();
        *present = present.or(Some(outcome));
        drop(present);
        self.ended.notify_one();
        is_first
    }

    pub(super) fn block(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = *outcome {
                return outcome;
            }
            outcome = self.ended.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar {
    /// No step: whoever waits is among them before it lets go of its lock.
    waiting: std::sync::Mutex<VecDeque<Arc<Wait>>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitTimeoutResult(Outcome);

impl WaitTimeoutResult {
    #[allow(dead_code, reason = "as the standard library's")]
    pub(crate) fn timed_out(self) -> bool {
        self.0 == Outcome::TimedOut
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn next(&self) -> Option<Arc<Wait>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn notify_one(&self) {
        shuttle::thread::sleep(Duration::ZERO); // A step.
        while let Some(wait) = self.next() {
            if wait.end(Outcome::Signalled) {
                return;
            }
        }
    }

    pub(crate) fn notify_all(&self) {
        shuttle::thread::sleep(Duration::ZERO); // A step.
        let all = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for wait in all {
            wait.end(Outcome::Signalled);
        }
    }

    fn wait_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        until: Option<Instant>,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let wait = Arc::<Wait>::default();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::clone(&wait));
        if let Some(until) = until {
            time::wake_at(until, &wait);
        }
        drop(guard.guard.take());
        let outcome = wait.block();
        guard.guard = Some(guard.mutex.0.lock().unwrap_or_else(PoisonError::into_inner));
        (guard, WaitTimeoutResult(outcome))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the standard library's")]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        Ok(self.wait_until(guard, None).0)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the standard library's")]
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok(self.wait_until(guard, Some(Instant::now() + limit)))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the standard library's")]
    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let until = Instant::now() + limit;
        let mut result = WaitTimeoutResult(Outcome::Signalled);
        while condition(&mut guard) {
            if until <= Instant::now() {
                return Ok((guard, WaitTimeoutResult(Outcome::TimedOut)));
            }
            (guard, result) = self.wait_until(guard, Some(until));
        }
        Ok((guard, result))
    }
}

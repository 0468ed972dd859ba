//! The call that a handler is answering: how long it has, and whether anybody still waits.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};

use crate::{
    connection::{Cancel, lock},
    deadline,
    protocol::message::Failure,
    signal::wake,
};

/// How many states without a call each thread keeps: those of requests that came together.
const KEPT: usize = 64;

thread_local! {
    static CURRENT: RefCell<Option<Arc<CallState>>> = const { RefCell::new(None) };
    /// States without a call, for the calls that this thread receives next.
    static IDLE: RefCell<Vec<Arc<CallState>>> = const { RefCell::new(Vec::new()) };
}

/// The call that a method is answering, seen from inside the method.
///
/// A caller whose deadline passes, or whose host is gone, waits no longer; what its method does from then on is for nobody.
/// Methods that take long look now and then:
///
/// ```
/// use plugin_core::Call;
///
/// fn factor(number: u64) -> plugin_core::Result<Option<u64>> {
///     let call = Call::current();
///     for candidate in 2..number {
///         if number % candidate == 0 {
///             return Ok(Some(candidate));
///         }
///         if call.is_cancelled() {
///             return Err(plugin_core::Error::custom("nobody waits any more"));
///         }
///     }
///     Ok(None)
/// }
/// assert_eq!(factor(91)?, Some(7));
/// # Ok::<(), plugin_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Call {
    state: Option<Arc<CallState>>,
}

/// What is known of a call while it is being answered.
#[derive(Debug, Default)]
pub(crate) struct CallState {
    deadline: Option<Instant>,
    /// The caller has said that it no longer waits.
    is_given_up: AtomicBool,
    /// The plugin is stopping.
    is_stopping: AtomicBool,
    /// The plugin has no more time for it.
    is_over: AtomicBool,
    /// Why something that it wanted to tell its caller did not leave, which nobody else was told.
    untold: OnceLock<Box<Failure>>,
    /// The task that answers, if it is one.
    task: Mutex<Option<Waker>>,
}

impl Call {
    /// The call that this thread is answering. Elsewhere, one without a deadline that is never cancelled.
    ///
    /// It may be kept and asked on other threads, for a method that divides its work among several.
    ///
    /// ```
    /// assert!(!plugin_core::Call::current().is_cancelled());
    /// ```
    pub fn current() -> Self {
        // At the end of a thread, the destructors of its other values may still ask.
        Self { state: CURRENT.try_with(|current| current.borrow().clone()).ok().flatten() }
    }

    /// Whether nobody waits for the answer any more: the caller has given up, its deadline has passed, or the plugin is
    /// stopping. A oneway call, for whose answer nobody ever waits, is cancelled by the plugin's stopping alone. See
    /// [`Call`] for an example.
    pub fn is_cancelled(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_cancelled())
    }

    /// How long the caller will wait yet; `None` if it set no limit. Zero once its deadline has passed.
    ///
    /// Calls that the method itself makes, on the same thread, never wait longer than this: they inherit the deadline.
    ///
    /// ```
    /// assert_eq!(plugin_core::Call::current().remaining(), None);
    /// ```
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.state.as_ref()?.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
}

impl CallState {
    pub(crate) fn new(deadline: Option<Instant>) -> Arc<Self> {
        let mut idle = IDLE.with_borrow_mut(Vec::pop).unwrap_or_default();
        match Arc::get_mut(&mut idle) {
            Some(state) => state.renew(deadline),
            None => return Arc::new(Self { deadline, ..Self::default() }),
        }
        idle
    }

    /// Makes it that of another call.
    fn renew(&mut self, with: Option<Instant>) {
        let Self { deadline, is_given_up, is_stopping, is_over, untold, task } = self;
        *deadline = with;
        for is_so in [is_given_up, is_stopping, is_over] {
            *is_so.get_mut() = false;
        }
        untold.take();
        task.get_mut().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// That of the call that this thread is answering.
    pub(crate) fn current() -> Option<Arc<Self>> {
        Call::current().state
    }

    /// Takes note that something that it wanted to tell its caller did not leave, and why: then its answer would not be the whole
    /// of it. The first reason counts.
    pub(crate) fn leave_incomplete(&self, why: Failure) {
        let _ = self.untold.set(Box::new(why));
    }

    pub(super) fn untold(&self) -> Option<&Failure> {
        self.untold.get().map(|why| &**why)
    }

    /// Keeps the state for another call, unless somebody still holds it to ask after this one.
    pub(crate) fn put_back(self: Arc<Self>) {
        // Whoever takes it makes sure of that again.
        if Arc::strong_count(&self) == 1 {
            IDLE.with_borrow_mut(|idle| {
                if idle.len() < KEPT {
                    idle.push(self);
                }
            });
        }
    }

    /// Ends it at its next await, if a task answers.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            wake(task);
        }
    }

    /// Has the task that answers woken when it is to end.
    pub(super) fn wakes(&self, context: &Context<'_>) {
        let waker = context.waker().clone();
        let last = lock(&self.task).replace(waker);
        drop(last); // Without the lock, as it was cloned: a waker is code of somebody else's.
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the plugin is stopping.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Whether the caller has said that it no longer waits. Its deadline does not count: clocks differ a little.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::SeqCst)
    }

    /// Whether the plugin has no more time for it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Whether there is no point in going on.
    pub(super) fn is_cancelled(&self) -> bool {
        self.deadline.map_or_else(|| self.is_cut_short(), |_| self.is_cancelled_at(Instant::now()))
    }

    /// As [`is_cancelled`](Self::is_cancelled), where the time is known.
    pub(super) fn is_cancelled_at(&self, now: Instant) -> bool {
        self.is_cut_short() || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn is_cut_short(&self) -> bool {
        self.is_given_up() || self.is_stopping()
    }

    /// Runs a handler as the answering of this call.
    pub(crate) fn run<R>(self: &Arc<Self>, body: impl FnOnce() -> R) -> R {
        Self::run_in(&mut Some(Arc::clone(self)), body)
    }

    /// As [`run`](Self::run), of the call in `place`, where it is again behind that.
    pub(crate) fn run_in<R>(place: &mut Option<Arc<Self>>, body: impl FnOnce() -> R) -> R {
        /// Puts back what was current before, also where `body` panics: a handler may run one within another.
        struct Restore<'a> {
            place: &'a mut Option<Arc<CallState>>,
            outer: Option<Arc<CallState>>,
        }
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.place = CURRENT.replace(self.outer.take());
            }
        }
        let deadline = place.as_ref().and_then(|call| call.deadline);
        let outer = CURRENT.replace(place.take());
        let _restore = Restore { place, outer };
        deadline::inherit(deadline, body)
    }
}

impl Cancel for CallState {
    fn cancel(&self) {
        self.is_given_up.store(true, Ordering::SeqCst);
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Timeout;

    #[test]
    fn a_call_is_current_while_it_runs_and_cancelled_by_hand_or_by_time() {
        let state = CallState::new(None);
        let call = state.run(|| {
            let call = Call::current();
            assert!(!call.is_cancelled() && call.remaining().is_none());
            state.cancel();
            assert!(call.is_cancelled());
            call
        });
        assert!(call.is_cancelled(), "also asked from outside");
        assert!(!Call::current().is_cancelled());
        CallState::new(Some(Instant::now())).run(|| {
            assert!(Call::current().is_cancelled());
            assert_eq!(Call::current().remaining(), Some(Duration::ZERO));
        });
    }

    #[test]
    fn whoever_still_holds_a_call_is_not_told_of_another() {
        let state = CallState::new(None);
        let held = state.run(Call::current);
        state.put_back();
        let next = CallState::new(None);
        next.cancel();
        assert!(!held.is_cancelled());
        let place = Arc::as_ptr(&next);
        next.put_back();
        let again = CallState::new(None);
        assert!(Arc::as_ptr(&again) == place && !again.is_given_up(), "used again, as good as new");
    }

    #[test]
    fn calls_made_while_answering_inherit_the_deadline() {
        let now = Instant::now();
        let limit = now + Duration::from_secs(5);
        let made = || deadline::for_call(now, Timeout::Unlimited, Duration::from_secs(30));
        assert_eq!(CallState::new(Some(limit)).run(made), Some(limit));
        assert_eq!(CallState::new(None).run(made), None);
        assert_eq!(made(), None, "and only then");
    }
}

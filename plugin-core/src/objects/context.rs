//! The call that this thread is answering: whose other side its arguments may refer to, and calls made meanwhile are made from.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::connection::Connection;

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
    /// Since when the handler of this thread works without waiting for a call of its own, and for how long it did so at most.
    static WORK: Cell<Option<Work>> = const { Cell::new(None) };
}

/// What a handler does between the calls that it waits for.
#[derive(Debug, Clone, Copy)]
struct Work {
    since: Instant,
    longest: Duration,
}

/// What has come of a handler.
pub(crate) struct Timed<R> {
    pub(crate) outcome: R,
    pub(crate) ended: Instant,
    /// For how long it worked at most without waiting for a call of its own: longer than that it never kept its thread from
    /// reading. `None` where that was not looked at.
    pub(crate) longest: Option<Duration>,
}

/// Runs a handler, the last of so many since `began`; where they are none, it is not timed, unless it waits.
pub(crate) fn timed<R>(began: Instant, count: u32, handler: impl FnOnce() -> R) -> Timed<R> {
    let outer = WORK.replace(Some(Work { since: began, longest: Duration::ZERO }));
    let outcome = handler();
    let Work { since, longest } = WORK.replace(outer).unwrap_or(Work { since: began, longest: Duration::ZERO });
    let has_waited = since != began;
    if count == 0 && !has_waited {
        return Timed { outcome, ended: began, longest: None };
    }
    let ended = Instant::now();
    let worked = ended.saturating_duration_since(since);
    let longest = if has_waited { longest.max(worked) } else { worked / count };
    Timed { outcome, ended, longest: Some(longest) }
}

/// Takes note that this thread has waited since `began`.
pub(crate) fn note_wait(began: Instant) {
    if let Some(Work { since, longest }) = WORK.get() {
        let longest = longest.max(began.saturating_duration_since(since));
        WORK.set(Some(Work { since: Instant::now(), longest }));
    }
}

/// A call that is being answered.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) connection: Arc<Connection>,
    /// Its number; 0 where nothing answers it.
    pub(crate) call: u32,
}

impl Context {
    /// That of call number `call` of the other side.
    pub(crate) fn new(connection: &Arc<Connection>, call: u32) -> Self {
        Self { connection: Arc::clone(connection), call }
    }

    /// The call that this thread is answering.
    pub(crate) fn current() -> Option<Self> {
        // At the end of a thread, the destructors of its other values may still call.
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Runs a handler as the answering of this call.
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        body()
    }

    /// What this thread does is the answering of this call, until what this gives is dropped.
    pub(crate) fn enter(self) -> Entered {
        Entered(CURRENT.replace(Some(self)))
    }

    /// As [`run`](Self::run), of the call in `place`, where it is again behind that.
    pub(crate) fn run_in<R>(place: &mut Option<Self>, body: impl FnOnce() -> R) -> R {
        /// Puts back what was current before, also where `body` panics: a handler may run one within another.
        struct Restore<'a> {
            place: &'a mut Option<Context>,
            outer: Option<Context>,
        }
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.place = CURRENT.replace(self.outer.take());
            }
        }
        let outer = CURRENT.replace(place.take());
        let _restore = Restore { place, outer };
        body()
    }
}

/// Puts back what was current before, also where there is a panic: a handler may run one within another.
#[must_use]
pub(crate) struct Entered(Option<Context>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.replace(self.0.take());
    }
}

/// From here on, this thread answers call number `call` of the same connection, in the same [`run`](Context::run).
pub(crate) fn go_on_with(call: u32) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(context) = current {
            context.call = call;
        }
    });
}

/// The number of the call that this thread is answering, if it came by a connection such as this.
pub(crate) fn call_of(is_wanted: impl FnOnce(&Arc<Connection>) -> bool) -> Option<u32> {
    let is_wanted = |context: &Context| context.call != 0 && is_wanted(&context.connection);
    let call = |current: &RefCell<Option<Context>>| {
        let current = current.borrow();
        current.as_ref().filter(|context| is_wanted(context)).map(|context| context.call)
    };
    CURRENT.try_with(call).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_handlers_are_timed_together_but_one_that_waits_alone() {
        let began = Instant::now().checked_sub(Duration::from_millis(80)).unwrap();
        let untimed = timed(began, 0, || ());
        assert!(untimed.longest.is_none() && untimed.ended == began);
        let longest = |count, handler: fn(Instant)| timed(began, count, || handler(began)).longest.unwrap();
        assert!((Duration::from_millis(10)..Duration::from_millis(40)).contains(&longest(8, |_| ())));
        assert!(longest(1, |_| ()) >= Duration::from_millis(80));
        for count in [0, 1, 8] {
            let worked = longest(count, |began| note_wait(began + Duration::from_millis(60)));
            assert!(worked >= Duration::from_millis(60), "before it waited, or behind that: {worked:?}");
        }
    }
}

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
    /// reading.
    pub(crate) longest: Duration,
}

/// Runs a handler, which begins at `began`.
pub(crate) fn timed<R>(began: Instant, handler: impl FnOnce() -> R) -> Timed<R> {
    let outer = WORK.replace(Some(Work { since: began, longest: Duration::ZERO }));
    let outcome = handler();
    let ended = Instant::now();
    let longest = WORK
        .replace(outer)
        .map_or(Duration::ZERO, |Work { since, longest }| longest.max(ended.saturating_duration_since(since)));
    Timed { outcome, ended, longest }
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
    /// What errors call the other side.
    pub(crate) peer: Arc<str>,
}

impl Context {
    /// The call that this thread is answering.
    pub(crate) fn current() -> Option<Self> {
        // At the end of a thread, the destructors of its other values may still call.
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Runs a handler as the answering of this call.
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        /// Puts back what was current before: a handler may run one within another.
        struct Restore(Option<Context>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(self)));
        body()
    }
}

impl Context {
    /// As [`run`](Self::run), and leaves the context where it was for another time.
    pub(crate) fn run_again<R>(place: &mut Option<Self>, body: impl FnOnce() -> R) -> R {
        /// Puts both back, also where `body` panics.
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

/// The number of the call that this thread is answering, if it came by a connection such as this.
pub(crate) fn call_of(is_wanted: impl FnOnce(&Arc<Connection>) -> bool) -> Option<u32> {
    let is_wanted = |context: &Context| context.call != 0 && is_wanted(&context.connection);
    let call = |current: &RefCell<Option<Context>>| {
        let current = current.borrow();
        current.as_ref().filter(|context| is_wanted(context)).map(|context| context.call)
    };
    CURRENT.try_with(call).ok().flatten()
}

//! What is known about whether a plugin still runs, and waiting for it to change.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Instant,
};

use crate::{
    connection::lock,
    report::ExitReport,
    signal::{Place, Signal},
    timer::Alarm,
};

/// The life of one plugin, seen by everybody who has to do with it.
#[derive(Debug, Default)]
pub(super) struct Life {
    state: Mutex<LifeState>,
    changed: Signal,
    /// Either of what `state` says, to be looked at by every call without a lock.
    is_ending: AtomicBool,
}

#[derive(Debug, Default)]
struct LifeState {
    /// This host has asked it to stop.
    is_stopping: bool,
    /// It has ended, and how.
    report: Option<Arc<ExitReport>>,
}

impl Life {
    /// Notes that this host stops the plugin; `false` if it did before.
    pub(super) fn begin_stop(&self) -> bool {
        let mut state = lock(&self.state);
        self.is_ending.store(true, Ordering::Release);
        !std::mem::replace(&mut state.is_stopping, true)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_ending() && lock(&self.state).is_stopping
    }

    /// Whether it has ended, or this host stops it.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    pub(super) fn end(&self, report: Arc<ExitReport>) {
        {
            let mut state = lock(&self.state);
            self.is_ending.store(true, Ordering::Release);
            state.report.get_or_insert(report);
        }
        self.changed.notify_all();
    }

    pub(super) fn report(&self) -> Option<Arc<ExitReport>> {
        lock(&self.state).report.clone()
    }

    /// Waits for the end, but not past `deadline`.
    pub(super) fn wait_end(&self, deadline: Instant) -> Option<Arc<ExitReport>> {
        let mut state = lock(&self.state);
        while state.report.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left);
        }
        state.report.clone()
    }

    /// As [`wait_end`](Self::wait_end), for a task.
    pub(super) async fn wait_end_async(&self, deadline: Instant) {
        let (mut alarm, mut waiting) = (Alarm::default(), Waiting { signal: &self.changed, place: Place::default() });
        poll_fn(|context| {
            let waker = context.waker().clone();
            let state = lock(&self.state);
            if state.report.is_some() {
                return Poll::Ready(());
            }
            let last = self.changed.register(&mut waiting.place, waker);
            drop(state);
            drop(last);
            if alarm.is_over(context, Some(deadline)) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// A task that waits for a signal, until it is dropped.
pub(super) struct Waiting<'a> {
    pub(super) signal: &'a Signal,
    pub(super) place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.signal.forget(&mut self.place);
    }
}

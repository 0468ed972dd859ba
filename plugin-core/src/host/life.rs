//! What is known about whether a plugin still runs, and waiting for it to change.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

use crate::{connection::lock, report::ExitReport};

/// The life of one plugin, seen by everybody who has to do with it.
#[derive(Debug, Default)]
pub(super) struct Life {
    state: Mutex<LifeState>,
    changed: Condvar,
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
        !std::mem::replace(&mut lock(&self.state).is_stopping, true)
    }

    pub(super) fn is_stopping(&self) -> bool {
        lock(&self.state).is_stopping
    }

    pub(super) fn end(&self, report: Arc<ExitReport>) {
        lock(&self.state).report.get_or_insert(report);
        self.changed.notify_all();
    }

    pub(super) fn report(&self) -> Option<Arc<ExitReport>> {
        lock(&self.state).report.clone()
    }

    /// Waits for the end, but not past `deadline`.
    pub(super) fn wait_end(&self, deadline: Instant) -> Option<Arc<ExitReport>> {
        let state = lock(&self.state);
        let left = deadline.saturating_duration_since(Instant::now());
        let (state, _) = self
            .changed
            .wait_timeout_while(state, left, |state| state.report.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.report.clone()
    }
}

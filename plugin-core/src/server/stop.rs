//! Waiting for the reason to stop serving.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::connection::lock;

/// Why serving ends. The first reason counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The host said goodbye.
    Goodbye,
    /// The connection ended without a goodbye.
    Disconnected(String),
    /// The host did what no host may.
    Violation(String),
    /// The host's process is gone.
    HostGone,
}

/// A reason that one thread waits for and others may give.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    reason: Mutex<Option<StopReason>>,
    given: Condvar,
}

impl Stop {
    pub(crate) fn request(&self, reason: StopReason) {
        lock(&self.reason).get_or_insert(reason);
        self.given.notify_all();
    }

    pub(super) fn is_requested(&self) -> bool {
        lock(&self.reason).is_some()
    }

    /// Waits for a reason, at most `limit`; whether there is one.
    pub(super) fn wait_requested(&self, limit: Duration) -> bool {
        let reason = lock(&self.reason);
        let waited = self.given.wait_timeout_while(reason, limit, |reason| reason.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    pub(super) fn wait(&self) -> StopReason {
        let mut reason = lock(&self.reason);
        loop {
            if let Some(reason) = &*reason {
                return reason.clone();
            }
            reason = self.given.wait(reason).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

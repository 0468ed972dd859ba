//! Whether a run is being called, and since when it is not.

use std::{
    borrow::Borrow,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::instance::Instance;
use crate::connection::Connection;

/// How much a run is used. Counted only where being idle has consequences: all callers would share the counter.
#[derive(Debug, Default)]
pub(super) struct Usage {
    calls: AtomicUsize,
    /// When the last of them ended, in microseconds since the run began.
    ended: AtomicU64,
}

/// The right to call one run. While one is held, the run is not stopped for being idle.
pub(crate) struct Lease {
    instance: Arc<Instance>,
}

impl Lease {
    pub(super) fn new(instance: &Arc<Instance>) -> Self {
        if instance.settings.idle_timeout.is_some() {
            instance.usage.calls.fetch_add(1, Ordering::Relaxed);
        }
        Self { instance: Arc::clone(instance) }
    }
}

impl Deref for Lease {
    type Target = Arc<Instance>;

    fn deref(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl Borrow<Arc<Connection>> for Lease {
    fn borrow(&self) -> &Arc<Connection> {
        &self.instance.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.instance.settings.idle_timeout.is_some() {
            let now = u64::try_from(self.instance.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.instance.usage.ended.fetch_max(now, Ordering::Relaxed);
            // Released after the time is noted: whoever finds no call in progress finds when the last one ended, too.
            self.instance.usage.calls.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Instance {
    /// Since when nobody calls it; `None` while somebody does, or while it has not finished with all oneway calls. Who asks must keep others from beginning meanwhile.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        // In this order: a oneway call is under way before its lease ends.
        if self.usage.calls.load(Ordering::Acquire) > 0 || self.connection.has_oneways() {
            return None;
        }
        Some(self.began + Duration::from_micros(self.usage.ended.load(Ordering::Relaxed)))
    }
}

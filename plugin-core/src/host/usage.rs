//! Whether a run is being called, and since when it is not.

use std::{
    borrow::Borrow,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::instance::Instance;
use crate::connection::Connection;

/// How much a run is used. Counted only where being idle has consequences: all callers would share the counter.
#[derive(Debug, Default)]
pub(super) struct Usage {
    calls: AtomicUsize,
    /// When the last of them ended, or the last object was let go of, in microseconds since the run began.
    ended: AtomicU64,
    /// Everybody may call it: its `on_start` is over.
    pub(super) is_let_through: AtomicBool,
    /// Whether it held objects of this host when somebody looked last.
    held_objects: AtomicBool,
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

impl Instance {
    /// The right to call this run, without looking at the state of its plugin.
    ///
    /// One that has been let through is the present one until it ends or is stopped, which it tells itself. Where it is stopped for
    /// being idle, too, a call must take its lease under the lock of that state.
    pub(crate) fn lease_openly(self: Arc<Self>) -> Option<Lease> {
        let is_open = self.usage.is_let_through.load(Ordering::Acquire) && self.settings.idle_timeout.is_none();
        // None is made where it is not taken: it would be given back.
        (is_open && self.is_usable()).then(|| Lease { instance: self })
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
            self.instance.note_use();
            // Released after the time is noted: whoever finds no call in progress finds when the last one ended, too.
            self.instance.usage.calls.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Instance {
    /// Takes note that it has been in use until now.
    pub(super) fn note_use(&self) {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.usage.ended.fetch_max(now, Ordering::Relaxed);
    }

    /// Since when nobody calls it; `None` while somebody does, while it has not finished with
    /// all oneway calls, or while it and this host hold objects of each other. Who asks must keep others from beginning meanwhile.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        // In this order: a oneway call is under way before its lease ends.
        if self.usage.calls.load(Ordering::Acquire) > 0 || self.connection.has_oneways() || self.connection.held() > 0 {
            return None;
        }
        let holds_objects = self.connection.given() > 0;
        if self.usage.held_objects.swap(holds_objects, Ordering::Relaxed) {
            // It may have let go of them a moment ago.
            self.note_use();
        }
        if holds_objects {
            return None;
        }
        Some(self.began + Duration::from_micros(self.usage.ended.load(Ordering::Relaxed)))
    }
}

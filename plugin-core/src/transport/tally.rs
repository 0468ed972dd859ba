//! How many system calls the local sockets of this process have taken: what a call costs, told by a number that no other load
//! on the machine changes. Counted in debug builds alone, so that tests can hold it down and nobody else pays for it.

use std::sync::atomic::{AtomicU64, Ordering};

static SENDS: AtomicU64 = AtomicU64::new(0);
static RECEIVES: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);

/// System calls so far; all 0 in builds without debug assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCalls {
    /// Those that found no room included.
    pub sends: u64,
    /// Those that found nothing included.
    pub receives: u64,
    /// Waits that neither send nor receive.
    pub waits: u64,
}

/// How many there have been in this process.
pub fn system_calls() -> SystemCalls {
    let [sends, receives, waits] = [&SENDS, &RECEIVES, &WAITS].map(|count| count.load(Ordering::Relaxed));
    SystemCalls { sends, receives, waits }
}

pub(super) fn sending() {
    count(&SENDS);
}

pub(super) fn receiving() {
    count(&RECEIVES);
}

pub(super) fn waiting() {
    count(&WAITS);
}

fn count(calls: &AtomicU64) {
    if cfg!(debug_assertions) {
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

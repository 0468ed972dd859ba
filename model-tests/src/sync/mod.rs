//! What `plugin_core::sync` is here: every lock, wait and signal is a step at which another thread may go on.

mod locks;
mod time;

pub(crate) use locks::{Condvar, Mutex, MutexGuard};
pub(crate) use shuttle::{sync::atomic, thread, thread_local};
pub(crate) use std::sync::{Arc, PoisonError, Weak};
pub(crate) use time::{Instant, start_clock, stop_clock};

/// Few threads are many here.
pub(crate) const FOLLOWERS: usize = 1;

//! Locks, threads and time, under one name: `model-tests` compiles [`connection`](crate::connection) and the threads that lead
//! in a plugin against others of the same shape, and so tries out in which order things may happen.

pub(crate) use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, atomic},
    thread, thread_local,
    time::Instant,
};

/// How many threads are woken by one other, where many are woken at once. A model has few.
pub(crate) const FOLLOWERS: usize = 7;

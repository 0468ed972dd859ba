//! Threads that run handlers: as many as there are handlers running, up to a cap; beyond it requests queue.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::panics;
use crate::{buffer, connection::lock, deadline};

/// How many handlers run at once.
pub(super) const MAX_RUNNING: usize = 512;

/// How many requests, and how many bytes of them, wait beyond that before further ones are refused.
const MAX_QUEUED: usize = 65_536;
const MAX_QUEUED_BYTES: usize = 256 << 20;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// One request to be answered, and how many bytes it holds.
pub(super) struct Job {
    pub(super) bytes: usize,
    pub(super) run: Box<dyn FnOnce() + Send>,
}

/// A pool of threads that grows on demand.
pub(super) struct Workers {
    /// How many threads it has at most.
    most: usize,
    state: Mutex<State>,
    /// Signalled when there is a job, or the pool stops.
    work: Condvar,
    /// Signalled when a thread ends.
    done: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    queued_bytes: usize,
    /// Threads that wait for a job; `idle <= threads`.
    idle: usize,
    threads: usize,
    is_stopping: bool,
}

impl State {
    fn is_full(&self, job: &Job) -> bool {
        self.queue.len() >= MAX_QUEUED
            || (!self.queue.is_empty() && self.queued_bytes.saturating_add(job.bytes) > MAX_QUEUED_BYTES)
    }

    fn take(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.queued_bytes -= job.bytes;
        Some(job)
    }
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    Full,
    Stopping,
}

impl Default for Workers {
    fn default() -> Self {
        Self::of(MAX_RUNNING)
    }
}

impl Workers {
    /// A pool of at most so many threads.
    pub(super) fn of(most: usize) -> Self {
        Self { most, state: Mutex::default(), work: Condvar::new(), done: Condvar::new() }
    }

    /// Runs `job` on a thread of the pool, now or when one is free. Never blocks.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> Result<(), Rejected> {
        self.add(job, false).map_err(|(why, _)| why)
    }

    /// As [`submit`](Self::submit), for a part of a job that has begun: it is not refused because many others wait. Where the
    /// pool is at its end, it is dropped.
    pub(super) fn go_on(self: &Arc<Self>, run: Box<dyn FnOnce() + Send>) {
        if let Err((_, rejected)) = self.add(Job { bytes: 0, run }, true) {
            // Not here: what it holds is the user's, and whoever wants it to go on may read, and hold locks meanwhile. Where no
            // thread can be had, there is no other place.
            let _ = thread::Builder::new().name("plugin-core end".into()).spawn(move || drop(rejected));
        }
    }

    /// Queues it; gives it back where it is rejected, since it must not be dropped under the lock.
    fn add(self: &Arc<Self>, job: Job, has_begun: bool) -> Result<(), (Rejected, Job)> {
        let mut state = lock(&self.state);
        if state.is_stopping {
            return Err((Rejected::Stopping, job));
        }
        if !has_begun && state.is_full(&job) {
            return Err((Rejected::Full, job));
        }
        state.queued_bytes += job.bytes;
        state.queue.push_back(job);
        // Compared with the queue, not with zero: an idle thread that was already woken has not taken its job yet.
        if state.idle < state.queue.len() && state.threads < self.most {
            let unserved = self.spawn(&mut state);
            drop(state);
            unserved.map_or(Ok(()), |job| Err((Rejected::Full, job)))
        } else {
            drop(state);
            self.work.notify_one();
            Ok(())
        }
    }

    /// Starts a thread for the job just queued; gives it back if there is none to run it.
    fn spawn(self: &Arc<Self>, state: &mut State) -> Option<Job> {
        let workers = Arc::clone(self);
        let spawned = thread::Builder::new().name("plugin-core handler".into()).spawn(move || workers.work());
        if spawned.is_ok() {
            state.threads += 1;
        }
        // If there are others, one of them will come to it.
        if state.threads > 0 {
            return None;
        }
        let job = state.queue.pop_back()?;
        state.queued_bytes -= job.bytes;
        Some(job)
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.take() {
                drop(state);
                // A panic here is one of a value's `Drop`; it must not take the thread along.
                let _ = panics::catch(job.run);
                state = lock(&self.state);
                continue;
            }
            state.idle += 1;
            let is_idle = |state: &mut State| state.queue.is_empty() && !state.is_stopping;
            let (guard, waited) =
                self.work.wait_timeout_while(state, IDLE, is_idle).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if state.queue.is_empty() && (state.is_stopping || waited.timed_out()) {
                state.threads -= 1;
                // Only `stop` waits, for threads to end.
                self.done.notify_all();
                drop(state);
                // Methods with large messages mostly run here, and none has for a while.
                return buffer::let_go();
            }
        }
    }

    /// Takes no more jobs, drops those queued, and waits for the running ones, but not past `grace`.
    ///
    /// Gives whether all have finished.
    pub(super) fn stop(&self, grace: Duration) -> bool {
        let deadline = deadline::after(Instant::now(), grace);
        let mut state = lock(&self.state);
        state.is_stopping = true;
        let dropped = std::mem::take(&mut state.queue);
        state.queued_bytes = 0;
        drop(state);
        drop(dropped); // Outside the lock: a job may hold the last handle of something.
        self.work.notify_all();
        let state = lock(&self.state);
        let left = deadline.saturating_duration_since(Instant::now());
        let (state, _) = self
            .done
            .wait_timeout_while(state, left, |state| state.threads > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.threads == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);

    fn job(run: impl FnOnce() + Send + 'static) -> Job {
        Job { bytes: 1, run: Box::new(run) }
    }

    #[test]
    fn a_blocked_job_does_not_hold_up_others() {
        let workers = Arc::<Workers>::default();
        let (release, blocked) = mpsc::channel::<()>();
        workers
            .submit(job(move || {
                let _ = blocked.recv();
            }))
            .unwrap();
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            workers.submit(job(move || sender.send(number).unwrap())).unwrap();
        }
        for _ in 0..100 {
            receiver.recv_timeout(LONG).unwrap();
        }
        drop(release);
        assert!(workers.stop(LONG));
    }

    #[test]
    fn no_more_than_the_cap_run_at_once_and_the_rest_wait_their_turn() {
        let workers = Arc::<Workers>::default();
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let (sender, finished) = mpsc::channel();
        for _ in 0..2 * MAX_RUNNING {
            let (blocked, sender) = (Arc::clone(&blocked), sender.clone());
            workers
                .submit(job(move || {
                    let _ = blocked.lock().unwrap().recv();
                    sender.send(()).unwrap();
                }))
                .unwrap();
        }
        assert_eq!(lock(&workers.state).threads, MAX_RUNNING);
        for _ in 0..2 * MAX_RUNNING {
            release.send(()).unwrap();
        }
        for _ in 0..2 * MAX_RUNNING {
            finished.recv_timeout(LONG).unwrap();
        }
        assert!(workers.stop(LONG));
        assert_eq!(workers.submit(job(|| {})), Err(Rejected::Stopping));
    }

    #[test]
    fn the_queue_is_bounded_in_number_and_bytes() {
        let mut state = State { queued_bytes: MAX_QUEUED_BYTES, ..State::default() };
        assert!(!state.is_full(&job(|| {})), "an empty queue takes a job of any size");
        state.queue.push_back(job(|| {}));
        assert!(state.is_full(&job(|| {})));
        state.queued_bytes = 0;
        assert!(!state.is_full(&job(|| {})));
        state.queue.resize_with(MAX_QUEUED, || job(|| {}));
        assert!(state.is_full(&job(|| {})));
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_along() {
        let workers = Arc::<Workers>::default();
        let (begun, begins) = mpsc::channel();
        let run = move || {
            begun.send(()).unwrap();
            panic!("on purpose");
        };
        workers.submit(job(run)).unwrap();
        begins.recv_timeout(LONG).unwrap();
        assert!(workers.stop(LONG), "its thread is still counted");
    }

    #[test]
    fn stopping_does_not_wait_past_its_grace() {
        let workers = Arc::<Workers>::default();
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let run = move || {
            begun.send(()).unwrap();
            let _ = blocked.recv();
        };
        workers.submit(job(run)).unwrap();
        begins.recv_timeout(LONG).unwrap();
        assert!(!workers.stop(Duration::from_millis(20)));
        drop(release);
        assert!(workers.stop(LONG));
    }
}

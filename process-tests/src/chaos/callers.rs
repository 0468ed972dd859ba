//! Threads that call a ledger, and note what they are answered.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use fastrand::Rng;
use plugin_core::{Error, Plugin};

use super::Setup;
use crate::ledger::{Ledger, filling, receipt};

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    /// How many calls have ended.
    pub calls: AtomicU64,
    /// How many connections were cut.
    pub cuts: AtomicU64,
    /// How many processes were killed.
    pub kills: AtomicU64,
    /// Whether a call is lost: the run ends early then, since all others might be and each take its time to fail.
    pub is_spoilt: AtomicBool,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: u64,
    pub(super) outcome: Outcome,
}

/// What a caller was told.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The right answer.
    Right,
    /// Another answer.
    Wrong,
    Failed(Box<Error>),
}

impl Called {
    fn is_lost(&self, may_come: fn(&Error) -> bool) -> bool {
        match &self.outcome {
            Outcome::Right => false,
            Outcome::Wrong => true,
            Outcome::Failed(error) => !may_come(error),
        }
    }
}

/// Has many threads call the plugin that `current` gives, each until `is_over` or a call fails with an error that is none of
/// those that `may_come`; `meanwhile` runs beside them.
pub(super) fn call_from_threads<R>(
    setup: &Setup,
    progress: &Progress,
    may_come: fn(&Error) -> bool,
    current: impl Fn() -> Plugin<dyn Ledger> + Sync,
    is_over: impl Fn() -> bool + Sync,
    meanwhile: impl FnOnce() -> R,
) -> (Vec<Called>, R) {
    let ids = AtomicU64::new(0);
    let mut random = Rng::with_seed(setup.seed);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..setup.threads)
            .map(|_| {
                let mut random = random.fork();
                let (ids, current, is_over) = (&ids, &current, &is_over);
                scope.spawn(move || {
                    let mut called = Vec::new();
                    while !is_over() && !progress.is_spoilt.load(Relaxed) {
                        let call = call(ids.fetch_add(1, Relaxed), &*current(), &mut random);
                        progress.is_spoilt.fetch_or(call.is_lost(may_come), Relaxed);
                        progress.calls.fetch_add(1, Relaxed);
                        called.push(call);
                    }
                    called
                })
            })
            .collect();
        let result = meanwhile();
        let called = callers.into_iter().flat_map(|caller| caller.join().expect("callers do not panic"));
        (called.collect(), result)
    })
}

fn call(id: u64, ledger: &dyn Ledger, random: &mut Rng) -> Called {
    let (bytes, length) = (filling(id, length(random)), length(random));
    let outcome = match ledger.enter(id, &bytes, length) {
        Ok(answer) if answer == receipt(id, &bytes, length) => Outcome::Right,
        Ok(_) => Outcome::Wrong,
        Err(error) => Outcome::Failed(Box::new(error)),
    };
    Called { id, outcome }
}

/// Mostly short; now and then longer than a frame may be, so that cuts fall between and within fragments.
fn length(random: &mut Rng) -> usize {
    match random.u32(0..1000) {
        0..=1 => random.usize(64 * 1024..300_000),
        2..=99 => random.usize(200..5000),
        _ => random.usize(0..200),
    }
}

//! Threads that call a ledger, and note what they are answered.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use plugin_core::{Error, Plugin, Result, within};

use super::{
    Setup,
    verdict::{Faults, Findings, Passed},
};
use crate::ledger::{Accounts, Entries, Ledger, Order, filling, receipt};

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    /// How many calls have ended.
    pub calls: AtomicU64,
    /// How many connections were cut.
    pub cuts: AtomicU64,
    /// How many processes were killed.
    pub kills: AtomicU64,
    /// Whether something is lost or repeated: the run ends early then, since all others might be and each take its time to fail.
    pub is_spoilt: AtomicBool,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: u64,
    pub(super) patience: Patience,
    pub(super) outcome: Outcome,
}

/// For how long a caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as the method says.
    Full,
    /// For a moment, and then it gives up.
    Short,
}

impl Patience {
    /// Whether it may bring the error.
    pub(super) fn brings(self, error: &Error) -> bool {
        let is_late = match error {
            Error::Timeout { .. } => true,
            // The plugin may have noticed first.
            Error::Remote { kind, .. } => matches!(kind.as_str(), "timeout" | "call-ended"),
            _ => false,
        };
        is_late && self == Self::Short
    }
}

/// What a caller was told.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The right answer, as far as the call is concerned.
    Right,
    /// That it is on its way, and no more: it was oneway.
    Sent,
    /// Nothing: it went away before.
    Dropped,
    /// Another answer.
    Wrong,
    Failed(Box<Error>),
}

/// A call by which the plugin called an account of this host's: to be looked at when nobody holds that any more.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) id: u64,
    /// How many numbers were to be posted and noted.
    pub(super) count: u64,
    pub(super) is_answered: bool,
    pub(super) called: Arc<Mutex<Accounts>>,
}

/// What one thread knows, and in the end all of them together.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) called: Vec<Called>,
    pub(super) reported: Vec<Reported>,
    pub(super) findings: Findings,
    pub(super) passed: Passed,
}

impl Notes {
    fn add(mut self, mut other: Self) -> Self {
        self.called.append(&mut other.called);
        self.reported.append(&mut other.reported);
        self.findings.add(other.findings);
        self.passed.add(&other.passed);
        self
    }
}

/// One of the threads.
pub(super) struct Caller<'a> {
    ids: &'a AtomicU64,
    progress: &'a Progress,
    pub(super) faults: Faults,
    pub(super) patience: Patience,
    pub(super) random: Rng,
    /// Held by whatever of this host's the plugin may hold.
    pub(super) guard: Arc<()>,
    pub(super) notes: Notes,
}

/// Has many threads call the plugin that `current` gives, each until `is_over` or something is not as it should be under such
/// `faults`; `meanwhile` runs beside them. What they give to the plugin holds `guard`.
pub(super) fn call_from_threads<R>(
    setup: &Setup,
    progress: &Progress,
    (faults, guard): (Faults, &Arc<()>),
    current: impl Fn() -> Plugin<dyn Ledger> + Sync,
    is_over: impl Fn() -> bool + Sync,
    meanwhile: impl FnOnce() -> R,
) -> (Notes, R) {
    let ids = AtomicU64::new(0);
    let mut random = Rng::with_seed(setup.seed);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..setup.threads)
            .map(|_| {
                let (random, guard, ids) = (random.fork(), Arc::clone(guard), &ids);
                let (patience, notes) = (Patience::Full, Notes::default());
                let mut caller = Caller { ids, progress, faults, patience, random, guard, notes };
                let (current, is_over) = (&current, &is_over);
                scope.spawn(move || {
                    while !is_over() && !progress.is_spoilt.load(Relaxed) {
                        caller.work(&*current());
                    }
                    caller.notes
                })
            })
            .collect();
        let result = meanwhile();
        let notes = callers.into_iter().map(|caller| caller.join().expect("callers do not panic"));
        (notes.fold(Notes::default(), Notes::add), result)
    })
}

impl Caller<'_> {
    /// Makes a call, or some that belong together; now and then without the patience to wait for them.
    fn work(&mut self, ledger: &dyn Ledger) {
        if self.random.u32(0..10) > 0 {
            return self.work_patiently(ledger);
        }
        self.patience = Patience::Short;
        let limit = Duration::from_micros(1 << self.random.u32(0..14));
        within(limit, || self.work_hurriedly(ledger));
        self.patience = Patience::Full;
    }

    fn work_hurriedly(&mut self, ledger: &dyn Ledger) {
        match self.random.u32(0..10) {
            0 => self.read_stream(ledger),
            1 => self.give_stream(ledger),
            2 => self.give_stream_to_nobody(ledger),
            3 => self.pass_stream(ledger),
            4 => self.copy_bytes(ledger),
            5 => self.be_asked(ledger),
            6 => self.be_told(ledger),
            7 => self.hold_account(ledger),
            8 => self.give_account(ledger),
            _ => self.enter(ledger),
        }
    }

    fn work_patiently(&mut self, ledger: &dyn Ledger) {
        match self.random.u32(0..100) {
            0..64 => self.enter(ledger),
            64..70 => self.read_stream(ledger),
            70..76 => self.give_stream(ledger),
            76..79 => self.pass_stream(ledger),
            79..82 => self.copy_bytes(ledger),
            82..86 => self.be_asked(ledger),
            86..90 => self.be_told(ledger),
            90..92 => self.lend_account(ledger),
            92..95 => self.hold_account(ledger),
            95 => self.hold_accounts(ledger),
            96 => self.give_account(ledger),
            97 => self.give_accounts(ledger),
            _ => self.get_account_back(ledger),
        }
    }

    /// An ordinary call.
    pub(super) fn enter(&mut self, ledger: &dyn Ledger) {
        let lengths = [length(&mut self.random), length(&mut self.random)];
        self.call(|id| {
            let bytes = filling(id, lengths[0]);
            let answer = ledger.enter(id, &bytes, lengths[1])?;
            Ok(answer == receipt(id, &bytes, lengths[1]))
        });
    }

    /// A number for a call.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Relaxed)
    }

    /// Makes a call that tells whether its answer is right; whether it was.
    pub(super) fn call(&mut self, call: impl FnOnce(u64) -> Result<bool>) -> bool {
        let id = self.next_id();
        let answer = call(id);
        self.answered(id, answer)
    }

    /// Makes a call whose answer is judged by what follows.
    pub(super) fn begin<R>(&mut self, call: impl FnOnce(u64) -> Result<R>) -> Option<R> {
        let id = self.next_id();
        let (given, answer) = match call(id) {
            Ok(given) => (Some(given), Ok(true)),
            Err(error) => (None, Err(error)),
        };
        self.answered(id, answer);
        given
    }

    /// Makes a oneway call.
    pub(super) fn send(&mut self, call: impl FnOnce(u64) -> Result<()>) {
        let id = self.next_id();
        let outcome = call(id).map_or_else(|error| Outcome::Failed(Box::new(error)), |()| Outcome::Sent);
        self.ended(id, outcome);
    }

    /// Takes note of a call's answer, which may be right or not; whether it was.
    pub(super) fn answered(&mut self, id: u64, answer: Result<bool>) -> bool {
        let is_right = matches!(answer, Ok(true));
        self.ended(
            id,
            match answer {
                Ok(true) => Outcome::Right,
                Ok(false) => Outcome::Wrong,
                Err(error) => Outcome::Failed(Box::new(error)),
            },
        );
        is_right
    }

    pub(super) fn ended(&mut self, id: u64, outcome: Outcome) {
        self.spoil_unless(match &outcome {
            Outcome::Right | Outcome::Sent | Outcome::Dropped => true,
            Outcome::Wrong => false,
            Outcome::Failed(error) => self.faults.bring(error, self.patience),
        });
        self.progress.calls.fetch_add(1, Relaxed);
        self.notes.called.push(Called { id, patience: self.patience, outcome });
    }

    /// Takes note that something is not there, or not as it should be.
    pub(super) fn lost(&mut self, what: String) {
        self.notes.findings.lost.push(what);
        self.spoil_unless(false);
    }

    /// Takes note that something came more than once.
    pub(super) fn repeated(&mut self, what: String) {
        self.notes.findings.repeated.push(what);
        self.spoil_unless(false);
    }

    /// Takes note of what is wrong with what came, of which so much was `expected`.
    pub(super) fn compare(&mut self, what: &str, order: &Order, came: Entries, expected: u64) {
        self.notes.findings.compare(came, expected, || format!("what was to be {what} by {order:?}"));
        self.spoil_unless(self.notes.findings.all().next().is_none());
    }

    fn spoil_unless(&self, is_clean: bool) {
        self.progress.is_spoilt.fetch_or(!is_clean, Relaxed);
    }
}

/// Mostly short; now and then longer than a frame may be, so that cuts fall between and within fragments.
pub(super) fn length(random: &mut Rng) -> usize {
    match random.u32(0..1000) {
        0..=1 => random.usize(64 * 1024..300_000),
        2..=99 => random.usize(200..5000),
        _ => random.usize(0..200),
    }
}

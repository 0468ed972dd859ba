//! Time, which passes when the scheduler lets it: from one instant that somebody waits for to the next, at any step.

use std::{cell::RefCell, collections::BTreeSet, ops::Add, sync::Arc, time::Duration};

use shuttle::rand::Rng;

use super::locks::{Outcome, Wait};

/// Microseconds since the model began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

#[derive(Debug, Default)]
struct Clock {
    now: u64,
    /// The instants at which something may happen, in order.
    agenda: BTreeSet<u64>,
    sleepers: Vec<(u64, Arc<Wait>)>,
    /// The clock's own wait for an agenda.
    idle: Option<Arc<Wait>>,
    is_over: bool,
}

std::thread_local! {
    /// One model runs on one thread of the operating system.
    static CLOCK: RefCell<Clock> = RefCell::default();
}

impl Instant {
    pub(crate) fn now() -> Self {
        CLOCK.with_borrow(|clock| Self(clock.now))
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// Lets time pass until then, at some time.
    pub(crate) fn will_come(self) -> Self {
        plan(|clock| _ = clock.agenda.insert(self.0));
        self
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, limit: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX)))
    }
}

fn plan(change: impl FnOnce(&mut Clock)) {
    let idle = CLOCK.with_borrow_mut(|clock| {
        change(clock);
        clock.idle.take()
    });
    if let Some(idle) = idle {
        idle.end(Outcome::Signalled);
    }
}

/// Ends a wait by its time, should it last so long.
pub(super) fn wake_at(until: Instant, wait: &Arc<Wait>) {
    plan(|clock| {
        clock.agenda.insert(until.0);
        clock.sleepers.push((until.0, Arc::clone(wait)));
    });
}

/// Sets the clock to zero and lets it go, until [`stop_clock`].
pub(crate) fn start_clock() {
    CLOCK.set(Clock::default());
    let tick_on = || {
        while !CLOCK.with_borrow(|clock| clock.is_over) {
            let magnitude = shuttle::rand::thread_rng().gen_range(0..12);
            for _ in 0..shuttle::rand::thread_rng().gen_range(0..=1_u32 << magnitude) {
                shuttle::thread::yield_now();
            }
            tick();
        }
    };
    shuttle::thread::Builder::new().name("clock".into()).spawn(tick_on).expect("the scheduler's are only tasks");
}

/// Lets no more time pass: whoever still waits for it waits in vain.
pub(crate) fn stop_clock() {
    plan(|clock| clock.is_over = true);
}

/// Goes on to the next instant of the agenda; waits for one first where there is none.
fn tick() {
    let Some(next) = CLOCK.with_borrow_mut(|clock| clock.agenda.pop_first()) else {
        let idle = Arc::<Wait>::default();
        if !CLOCK.with_borrow(|clock| clock.is_over) {
            CLOCK.with_borrow_mut(|clock| clock.idle = Some(Arc::clone(&idle)));
            idle.block();
        }
        return;
    };
    let ended = CLOCK.with_borrow_mut(|clock| {
        clock.now = clock.now.max(next);
        let sleepers = std::mem::take(&mut clock.sleepers);
        let (ended, rest): (Vec<_>, _) = sleepers.into_iter().partition(|(until, _)| *until <= clock.now);
        clock.sleepers = rest;
        ended
    });
    for (_, wait) in ended {
        wait.end(Outcome::TimedOut);
    }
}

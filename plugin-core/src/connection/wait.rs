//! Waiting for bytes: by yielding the processor for a moment where that pays, else by blocking.
//!
//! Between two processes that answer each other quickly, most of a round trip is falling asleep and being woken. A thread that
//! yields instead gives the processor to its peer where they share one, and finds the answer without being woken where they
//! do not. But where others want the processor, a thread that yields may get it back only after a whole time slice of theirs;
//! and where the peer is slow, yielding burns what sleeping would save. So a [`Patience`] yields only while it pays, and tries
//! again now and then.

use std::time::Duration;

use crate::sync::Instant;

/// For how long a wait yields before it blocks.
const BUDGET: Duration = Duration::from_micros(50);

/// One yield that takes longer than this has let somebody else run.
const CROWDED: Duration = Duration::from_micros(100);

/// A wait that ended within this time while yielding was worth it: sleeping would have taken longer, and cost as much.
const WORTHWHILE: Duration = Duration::from_micros(20);

/// A wait that blocked no longer than this might have been worthwhile by yielding.
const SHORT: Duration = Duration::from_micros(150);

/// How many short waits in a row make yielding worth a try.
const PROMISING: u32 = 8;

/// How many waits in a row may not be worthwhile before yielding ends. Enough for the other side to try at the same time:
/// neither succeeds alone.
const MISSES: u32 = 16;

/// How many worthwhile waits in a row halve the next pause.
const TRUSTED: u32 = 1000;

/// For how long yielding is not tried again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether to yield, learnt from the waits so far.
#[derive(Debug)]
pub(super) struct Patience {
    is_allowed: bool,
    mode: Mode,
    /// Not before this instant is yielding tried again.
    paused_until: Option<Instant>,
    pause: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// So many short waits in a row have blocked.
    Blocking { short: u32 },
    /// So many more waits may come to nothing; so many in a row have been worthwhile.
    Yielding { misses_left: u32, worthwhile: u32 },
}

impl Patience {
    /// One that has learnt nothing yet; one that never yields where that is not allowed.
    pub(super) fn new(is_allowed: bool) -> Self {
        Self { is_allowed, mode: Mode::Blocking { short: 0 }, paused_until: None, pause: FIRST_PAUSE }
    }

    /// Until when to yield in a wait that begins now; `None` is to block at once.
    pub(super) fn begin(&self, now: Instant) -> Option<Instant> {
        match self.mode {
            Mode::Yielding { .. } => Some(now + BUDGET),
            Mode::Blocking { .. } => None,
        }
    }

    /// Whether waits are to be timed.
    pub(super) fn is_learning(&self) -> bool {
        self.is_allowed
    }

    /// Takes note of a wait that blocked from the start, from `began` to `now`.
    pub(super) fn blocked(&mut self, began: Instant, now: Instant) {
        let Mode::Blocking { short } = &mut self.mode else { return };
        if !self.is_allowed || now.duration_since(began) > SHORT {
            *short = 0;
            return;
        }
        *short += 1;
        if *short >= PROMISING && self.paused_until.is_none_or(|until| until <= now) {
            self.mode = Mode::Yielding { misses_left: MISSES, worthwhile: 0 };
        }
    }

    /// Takes note of a wait that ended while yielding, or for which yielding ended.
    pub(super) fn waited(&mut self, began: Instant, now: Instant) {
        let Mode::Yielding { misses_left, worthwhile } = &mut self.mode else { return };
        if now.duration_since(began) <= WORTHWHILE {
            (*misses_left, *worthwhile) = (MISSES, *worthwhile + 1);
            if *worthwhile == TRUSTED {
                *worthwhile = 0;
                self.pause = (self.pause / 2).max(FIRST_PAUSE);
            }
            return;
        }
        (*misses_left, *worthwhile) = (misses_left.saturating_sub(1), 0);
        if *misses_left == 0 {
            self.pause(now);
        }
    }

    /// Takes note of one yield from `before` to `now`; whether somebody else ran, so that yielding is to end.
    pub(super) fn yielded(&mut self, before: Instant, now: Instant) -> bool {
        let is_crowded = now.duration_since(before) > CROWDED;
        if is_crowded {
            self.pause(now);
        }
        is_crowded
    }

    fn pause(&mut self, now: Instant) {
        self.mode = Mode::Blocking { short: 0 };
        self.paused_until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock for one side, and what it has learnt.
    struct Side {
        now: Instant,
        patience: Patience,
    }

    impl Side {
        fn new() -> Self {
            Self { now: Instant::now(), patience: Patience::new(true) }
        }

        /// One wait that takes so many microseconds if it blocks, or if it yields, each yield taking so long; whether it
        /// yielded.
        fn wait(&mut self, blocking: u64, yielding: u64, one: u64) -> bool {
            let began = self.now;
            let Some(give_up) = self.patience.begin(began) else {
                self.now += Duration::from_micros(blocking);
                self.patience.blocked(began, self.now);
                return false;
            };
            let end = began + Duration::from_micros(yielding);
            loop {
                let before = self.now;
                self.now += Duration::from_micros(one);
                if self.patience.yielded(before, self.now) {
                    return true;
                }
                if self.now >= end || self.now >= give_up {
                    self.patience.waited(began, self.now);
                    return true;
                }
            }
        }

        /// The share of the time spent yielding in a second of such waits, each followed by `pause` microseconds of work.
        fn share(&mut self, blocking: u64, yielding: u64, one: u64, pause: u64) -> f64 {
            let (start, mut spent) = (self.now, Duration::ZERO);
            while self.now < start + Duration::from_secs(1) {
                let began = self.now;
                if self.wait(blocking, yielding, one) {
                    spent += self.now - began;
                }
                self.now += Duration::from_micros(pause);
            }
            spent.as_secs_f64() / (self.now - start).as_secs_f64()
        }
    }

    #[test]
    fn where_answers_come_at_once_it_yields() {
        let mut side = Side::new();
        assert!(side.share(40, 5, 1, 1) > 0.7);
    }

    #[test]
    fn where_the_other_side_is_slow_it_soon_sleeps() {
        let mut side = Side::new();
        assert!(side.share(120, 120, 1, 10) < 0.03);
        assert!(side.share(1000, 1000, 1, 10) < 0.001, "and does not even try where waits are long");
    }

    #[test]
    fn where_others_want_the_processor_it_soon_stops_and_seldom_tries_again() {
        let mut side = Side::new();
        side.share(20, 4, 4000, 5);
        assert!(side.share(20, 4, 4000, 5) < 0.01, "in the second second");
    }

    #[test]
    fn once_they_are_gone_it_yields_again() {
        let mut side = Side::new();
        side.share(20, 4, 4000, 5);
        side.share(40, 5, 1, 1);
        assert!(side.share(40, 5, 1, 1) > 0.7);
    }

    #[test]
    fn where_it_is_not_allowed_it_never_does() {
        let mut side = Side { patience: Patience::new(false), ..Side::new() };
        assert!((0..1000).all(|_| !side.wait(5, 5, 1)));
    }
}

//! Whether, when and how often a plugin that died is started again. No clock: time is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::protocol::backoff::Backoff;

/// The first and the longest wait before a restart; they double while the plugin keeps dying.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Whether a plugin whose process died is started again.
///
/// A restarted plugin is a new process: what the old one knew is gone, and calls that were in flight have failed with
/// [`Error::Died`](crate::Error::Died), but for those of methods marked `#[method(idempotent)]`: they are repeated in the new
/// process, within their deadlines. Waits before restarts grow from 100 ms to 10 s while the plugin keeps dying.
///
/// ```
/// use plugin_core::{Budget, Launcher, Restart};
///
/// let careful = Launcher::new("target/debug/english").restart(Restart::Never);
/// let eager = Launcher::new("target/debug/english").restart(Restart::Always { budget: Budget::default() });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// Never: later calls fail with [`Error::Died`](crate::Error::Died).
    Never,
    /// By the next call, which waits for it, within its deadline.
    OnDemand {
        /// How often at most.
        budget: Budget,
    },
    /// At once.
    Always {
        /// How often at most.
        budget: Budget,
    },
}

impl Default for Restart {
    /// On demand, at most 5 times a minute.
    fn default() -> Self {
        Self::OnDemand { budget: Budget::default() }
    }
}

impl Restart {
    fn budget(self) -> Option<Budget> {
        match self {
            Self::Never => None,
            Self::OnDemand { budget } | Self::Always { budget } => Some(budget),
        }
    }
}

/// How often a plugin is restarted at most; beyond it, calls fail with [`Error::GaveUp`](crate::Error::GaveUp).
///
/// ```
/// use std::time::Duration;
/// use plugin_core::Budget;
///
/// let budget = Budget { restarts: 3, per: Duration::from_secs(10) };
/// assert_eq!(Budget::default(), Budget { restarts: 5, per: Duration::from_secs(60) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So many restarts,
    pub restarts: usize,
    /// within any time of this length.
    pub per: Duration,
}

impl Default for Budget {
    /// 5 a minute.
    fn default() -> Self {
        Self { restarts: 5, per: Duration::from_secs(60) }
    }
}

/// What has been restarted so far.
#[derive(Debug)]
pub(super) struct History {
    policy: Restart,
    /// When, the oldest first, as far back as the budget looks.
    restarts: VecDeque<Instant>,
    backoff: Backoff,
}

/// What to do about a plugin that has died.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Start it after this delay, for the so-manieth time within the budget's time.
    Restart { attempt: usize, delay: Duration },
    /// The policy is never.
    Leave,
    /// The budget is spent.
    GiveUp,
}

impl History {
    pub(super) fn new(policy: Restart) -> Self {
        Self { policy, restarts: VecDeque::new(), backoff: backoff() }
    }

    pub(super) fn is_always(&self) -> bool {
        matches!(self.policy, Restart::Always { .. })
    }

    /// Whether it restarts at all.
    pub(super) fn restarts(&self) -> bool {
        self.policy != Restart::Never
    }

    /// Takes note of how long a run lasted: one that lasted starts the delays anew.
    pub(super) fn ran_for(&mut self, time: Duration) {
        if time > LONGEST_DELAY {
            self.backoff = backoff();
        }
    }

    pub(super) fn decide(&mut self, now: Instant) -> Decision {
        let Some(budget) = self.policy.budget() else { return Decision::Leave };
        while self.restarts.front().is_some_and(|first| now.saturating_duration_since(*first) >= budget.per) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= budget.restarts {
            return Decision::GiveUp;
        }
        self.restarts.push_back(now);
        Decision::Restart { attempt: self.restarts.len(), delay: self.backoff.next_delay() }
    }
}

fn backoff() -> Backoff {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    backoff.next_delay(); // There is no try at once: a plugin that dies at its start would burn the CPU.
    backoff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(decision: &Decision) -> Option<u128> {
        if let Decision::Restart { delay, .. } = decision { Some(delay.as_millis()) } else { None }
    }

    #[test]
    fn the_budget_is_spent_and_comes_back_with_time() {
        let mut history = History::new(Restart::default());
        let now = Instant::now();
        let delays: Vec<_> = (0..6).map(|_| milliseconds(&history.decide(now))).collect();
        assert_eq!(delays, [Some(100), Some(200), Some(400), Some(800), Some(1600), None]);
        assert_eq!(history.decide(now + Duration::from_secs(59)), Decision::GiveUp);
        let later = history.decide(now + Duration::from_secs(60));
        assert_eq!(later, Decision::Restart { attempt: 1, delay: Duration::from_millis(3200) });
    }

    #[test]
    fn a_run_that_lasted_starts_the_delays_anew() {
        let mut history = History::new(Restart::Always { budget: Budget { restarts: 100, per: LONGEST_DELAY } });
        let now = Instant::now();
        let longest = (0..20).map(|_| milliseconds(&history.decide(now))).max();
        assert_eq!(longest, Some(Some(10_000)));
        history.ran_for(Duration::from_secs(1));
        assert_eq!(milliseconds(&history.decide(now)), Some(10_000));
        history.ran_for(Duration::from_secs(11));
        assert_eq!(milliseconds(&history.decide(now)), Some(100));
    }

    #[test]
    fn never_is_never() {
        assert_eq!(History::new(Restart::Never).decide(Instant::now()), Decision::Leave);
    }
}

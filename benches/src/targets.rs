//! What plugin-core is to reach, and whether it did.

use crate::{
    contenders::{PLUGIN_CORE, PLUGIN_CORE_ASYNC, PLUGIN_CORE_BLOCK, RAW},
    results::{Figure, Metric, Results},
    stats::Spread,
    workload::{
        Regime::{self, Busy, Pinned, Unpinned},
        Workload::{self, Bulk, Bytes, Callbacks, Crowd, Items, Neighbour, Paced, Silent, Solo, Start},
    },
};

/// A figure to reach.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    what: What,
    goal: Goal,
    pub(crate) unit: &'static str,
}

#[derive(Debug)]
enum What {
    /// A ratio within a round.
    Ratio(Figure, Figure),
    /// A figure divided by a unit.
    Value(Figure, f64),
}

#[derive(Debug, Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}
use Goal::{AtLeast, AtMost};

/// All of them: medians over the rounds.
pub(crate) const TARGETS: &[Target] = &[
    to_raw("W1 one caller, pinned, p50", Solo, Pinned, Metric::P50, AtMost(1.0)),
    to_raw("W1 one caller, pinned, p99", Solo, Pinned, Metric::P99, AtMost(2.0)),
    to_raw("W1 one caller, unpinned, p50", Solo, Unpinned, Metric::P50, AtMost(0.12)),
    Target {
        name: "W1 one caller, two busy processes per CPU, calls/s",
        what: What::Ratio(ours(Solo, Busy, Metric::Rate), ours(Solo, Busy, Metric::Rate).of(PLUGIN_CORE_BLOCK)),
        goal: AtLeast(0.9),
        unit: "x blocking",
    },
    Target {
        name: "CPU time at 1,000 calls/s from one caller",
        what: What::Ratio(ours(Paced, Unpinned, Metric::Cpu), ours(Paced, Unpinned, Metric::Cpu).of(PLUGIN_CORE_BLOCK)),
        goal: AtMost(1.3),
        unit: "x blocking",
    },
    Target {
        name: "CPU time of an idle connection",
        what: What::Value(ours(Silent, Unpinned, Metric::Cpu), 1e6),
        goal: AtMost(0.1),
        unit: "ms per s",
    },
    Target {
        name: "W2 64 threads, pinned, calls/s",
        what: What::Ratio(ours(Crowd, Pinned, Metric::Rate), ours(Solo, Pinned, Metric::Rate).of(RAW)),
        goal: AtLeast(2.0),
        unit: "x raw ping-pong",
    },
    Target {
        name: "W1 one task, pinned, p50",
        what: What::Ratio(
            ours(Solo, Pinned, Metric::P50).of(PLUGIN_CORE_ASYNC),
            ours(Solo, Pinned, Metric::P50).of(RAW),
        ),
        goal: AtMost(1.5),
        unit: "x raw",
    },
    Target {
        name: "W2 64 tasks, pinned, calls/s",
        what: What::Ratio(
            ours(Crowd, Pinned, Metric::Rate).of(PLUGIN_CORE_ASYNC),
            ours(Solo, Pinned, Metric::Rate).of(RAW),
        ),
        goal: AtLeast(10.0),
        unit: "x raw ping-pong",
    },
    to_raw("W3 1 MiB, pinned, bandwidth", Bulk, Pinned, Metric::Rate, AtLeast(0.85)),
    to_raw("W3 1 MiB, unpinned, bandwidth", Bulk, Unpinned, Metric::Rate, AtLeast(1.3)),
    to_raw("W4 spawn to first reply, pinned", Start, Pinned, Metric::P50, AtMost(1.15)),
    to_raw("W4 spawn to first reply, unpinned", Start, Unpinned, Metric::P50, AtMost(1.15)),
    Target {
        name: "W7 a callback beside a call of W1, pinned",
        what: What::Ratio(ours(Solo, Pinned, Metric::Rate), ours(Callbacks, Pinned, Metric::Rate)),
        goal: AtMost(1.3),
        unit: "x a call",
    },
    Target {
        name: "W8 small items of a stream, pinned",
        what: What::Value(ours(Items, Pinned, Metric::Rate), 1e6),
        goal: AtLeast(1.0),
        unit: "million/s",
    },
    to_raw("W9 a stream of 1 GiB, pinned, bandwidth", Bytes, Pinned, Metric::Rate, AtLeast(0.8)),
    neighbour("Another caller's p99 while a 20 ms handler runs, pinned", Pinned),
    neighbour("Another caller's p99 while a 20 ms handler runs, unpinned", Unpinned),
];

const fn ours(workload: Workload, regime: Regime, metric: Metric) -> Figure {
    Figure::new(workload, regime, PLUGIN_CORE, metric)
}

const fn to_raw(name: &'static str, workload: Workload, regime: Regime, metric: Metric, goal: Goal) -> Target {
    let figure = ours(workload, regime, metric);
    Target { name, what: What::Ratio(figure, figure.of(RAW)), goal, unit: "x raw" }
}

const fn neighbour(name: &'static str, regime: Regime) -> Target {
    Target { name, what: What::Value(ours(Neighbour, regime, Metric::P99), 1e6), goal: AtMost(5.0), unit: "ms" }
}

/// How a target was done by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Met,
    /// By this part of the goal: 0.1 is 10 %.
    Missed(f64),
    NotMeasured,
}

impl Target {
    /// What was measured.
    pub(crate) fn measured(&self, results: &Results) -> Option<Spread> {
        match self.what {
            What::Ratio(of, to) => results.ratio(of, to),
            What::Value(of, unit) => results.spread(of).map(|spread| Spread {
                low: spread.low / unit,
                median: spread.median / unit,
                high: spread.high / unit,
            }),
        }
    }

    pub(crate) fn verdict(&self, results: &Results) -> Verdict {
        self.measured(results).map_or(Verdict::NotMeasured, |spread| self.goal.judge(spread.median))
    }

    /// The goal in words.
    pub(crate) fn goal(&self) -> String {
        match self.goal {
            AtMost(goal) => format!("at most {goal} {}", self.unit),
            AtLeast(goal) => format!("at least {goal} {}", self.unit),
        }
    }
}

impl Goal {
    fn judge(self, value: f64) -> Verdict {
        let missed_by = match self {
            AtMost(goal) => value / goal - 1.0,
            AtLeast(goal) => 1.0 - value / goal,
        };
        if missed_by > 0.0 { Verdict::Missed(missed_by) } else { Verdict::Met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_very_value() {
        assert_eq!(AtMost(1.15).judge(1.15), Verdict::Met);
        assert_eq!(AtLeast(2.0).judge(2.0), Verdict::Met);
    }

    #[test]
    fn a_missed_goal_says_by_how_much() {
        assert_eq!(AtMost(2.0).judge(3.0), Verdict::Missed(0.5));
        assert_eq!(AtLeast(2.0).judge(1.0), Verdict::Missed(0.5));
    }

    #[test]
    fn a_target_is_the_median_of_the_rounds_ratios() {
        let target = &TARGETS[0];
        let mut results = Results::default();
        assert_eq!(target.verdict(&results), Verdict::NotMeasured);
        for (round, (ours_took, raw_took)) in [(9.0, 10.0), (30.0, 20.0), (8.0, 9.0)].into_iter().enumerate() {
            results.add(round, ours(Solo, Pinned, Metric::P50), ours_took);
            results.add(round, ours(Solo, Pinned, Metric::P50).of(RAW), raw_took);
        }
        assert_eq!(target.measured(&results).map(|spread| spread.median), Some(0.9));
        assert_eq!(target.verdict(&results), Verdict::Met);
    }
}

//! All figures of a run.

use std::collections::BTreeMap;

use crate::{
    contenders::RAW,
    stats::{self, Rounds, Spread},
    workload::{Regime, Workload},
};

/// What a figure counts. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// The median time of a call, or of a start.
    P50,
    P99,
    /// Calls per second.
    Rate,
    /// CPU time of both sides: for a call, or in a second without one.
    Cpu,
    /// Bytes of an idle plugin, of both sides.
    Memory,
    /// Threads of an idle plugin, of both sides.
    Threads,
    /// How many idle plugins there were.
    Count,
}

/// What was measured, where, of whom, and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Figure {
    pub(crate) workload: Workload,
    pub(crate) regime: Regime,
    pub(crate) contender: &'static str,
    pub(crate) metric: Metric,
}

impl Figure {
    pub(crate) const fn new(workload: Workload, regime: Regime, contender: &'static str, metric: Metric) -> Self {
        Self { workload, regime, contender, metric }
    }

    /// The same of another contender.
    pub(crate) const fn of(self, contender: &'static str) -> Self {
        Self { contender, ..self }
    }
}

/// The figures, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Results {
    figures: BTreeMap<Figure, Rounds>,
    /// Why figures are missing.
    pub(crate) notes: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, round: usize, figure: Figure, value: f64) {
        self.figures.entry(figure).or_default().insert(round, value);
    }

    /// Notes why a figure is missing, once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        stats::spread(self.figures.get(&figure)?)
    }

    pub(crate) fn median(&self, figure: Figure) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }

    /// The ratios within a round.
    pub(crate) fn ratio(&self, of: Figure, to: Figure) -> Option<Spread> {
        stats::ratio(self.figures.get(&of)?, self.figures.get(&to)?)
    }

    /// The ratio to the same figure of the bare socket.
    pub(crate) fn to_raw(&self, of: Figure) -> Option<f64> {
        self.ratio(of, of.of(RAW)).map(|ratio| ratio.median)
    }
}

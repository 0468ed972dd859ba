//! What is measured, and where.

use std::time::Duration;

use crate::{contenders::Contender, order::Flow};

/// What else the CPUs have to do, and which of them may be used. A ratio without it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Regime {
    /// Host and plugin share one CPU: what the work itself costs.
    Pinned,
    /// They run where the system puts them.
    Unpinned,
    /// So they do, beside two processes for each CPU that do nothing but count.
    Busy,
}

impl Regime {
    pub(crate) const ALL: [Self; 3] = [Self::Pinned, Self::Unpinned, Self::Busy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::Busy => "busy",
        }
    }
}

/// What is asked of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Workload {
    /// W1: one caller, 20 bytes.
    Solo,
    /// W2: 64 callers over one connection.
    Crowd,
    /// W3: 1 MiB there and back.
    Bulk,
    /// W4: from spawn to the first reply.
    Start,
    /// One caller, while the plugin is in a method that sleeps for 20 ms, again and again.
    Neighbour,
    /// One caller, 1,000 calls per second: what they cost.
    Paced,
    /// No call at all: what the connection costs.
    Silent,
    /// W7: callbacks of one call, each with 20 bytes that come back.
    Callbacks,
    /// W8: a stream of small items.
    Items,
    /// W9: a stream of bytes.
    Bytes,
    /// W5: what plugins cost that nobody calls.
    Idle,
    /// W6: so many callers over one connection.
    Callers(usize),
    /// W6: one caller, so many bytes.
    Payload(usize),
}

/// The argument of a small call, in bytes.
pub(crate) const SMALL: usize = 20;
/// That of a large one.
pub(crate) const LARGE: usize = 1 << 20;
/// The callers of [`Workload::Crowd`].
pub(crate) const CROWD: usize = 64;
/// Calls per second of [`Workload::Paced`].
pub(crate) const PACE: u64 = 1000;
/// How long the method of [`Workload::Neighbour`] sleeps, in milliseconds.
pub(crate) const NEIGHBOUR_MILLIS: u64 = 20;

impl Workload {
    /// What `--only` calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Solo => "w1",
            Self::Crowd => "w2",
            Self::Bulk => "w3",
            Self::Start => "w4",
            Self::Callbacks => "w7",
            Self::Items => "w8",
            Self::Bytes => "w9",
            Self::Idle => "w5",
            Self::Callers(_) | Self::Payload(_) => "w6",
            Self::Neighbour => "neighbour",
            Self::Paced => "paced",
            Self::Silent => "silent",
        }
    }

    /// All names there are.
    pub(crate) const NAMES: [&'static str; 12] =
        ["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "neighbour", "paced", "silent"];

    pub(crate) const fn regimes(self) -> &'static [Regime] {
        match self {
            Self::Solo | Self::Crowd | Self::Bulk => &Regime::ALL,
            Self::Start | Self::Neighbour | Self::Callbacks | Self::Items | Self::Bytes => {
                &[Regime::Pinned, Regime::Unpinned]
            }
            Self::Paced | Self::Silent | Self::Idle | Self::Callers(_) | Self::Payload(_) => &[Regime::Unpinned],
        }
    }

    /// Whether `contender` can do it.
    pub(crate) fn suits(self, contender: &Contender) -> bool {
        match self {
            Self::Callbacks => contender.flows.contains(&Flow::Callbacks),
            Self::Items => contender.flows.contains(&Flow::Items),
            Self::Bytes => contender.flows.contains(&Flow::Bytes),
            Self::Crowd | Self::Callers(_) | Self::Neighbour => contender.shared,
            Self::Idle => contender.idle > 0,
            Self::Solo | Self::Bulk | Self::Start | Self::Paced | Self::Silent | Self::Payload(_) => true,
        }
    }

    /// Whether once is enough: it is dear, and its figures are no times.
    pub(crate) const fn once(self) -> bool {
        matches!(self, Self::Idle)
    }
}

/// How much is done.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long calls are made, after a fifth of it that does not count.
    pub(crate) load: Duration,
    /// How often a plugin is started.
    pub(crate) starts: usize,
    /// How long CPU time is counted.
    pub(crate) watch: Duration,
    /// The idle plugins that are started, as a part of [`Contender::idle`].
    pub(crate) idle_part: usize,
    pub(crate) callers: &'static [usize],
    pub(crate) payloads: &'static [usize],
    /// The items of a stream, and a tenth of that callbacks.
    pub(crate) items: u64,
    /// The bytes of a stream.
    pub(crate) bytes: u64,
}

impl Effort {
    /// What the report is made of.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            load: Duration::from_millis(300),
            starts: 15,
            watch: Duration::from_secs(2),
            idle_part: 1,
            callers: &[1, 4, 16, 64, 256, 1024],
            payloads: &[16, 256, 4 << 10, 64 << 10, 1 << 20, 16 << 20],
            items: 1_000_000,
            bytes: 1 << 30,
        }
    }

    /// Whether everything works, and about how well: under a minute.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 1,
            load: Duration::from_millis(50),
            starts: 3,
            watch: Duration::from_millis(250),
            idle_part: 20,
            callers: &[1, 64, 1024],
            payloads: &[16, 64 << 10, 16 << 20],
            items: 100_000,
            bytes: 64 << 20,
        }
    }

    /// All workloads, in the order in which they are measured.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        use Workload::{
            Bulk, Bytes, Callbacks, Callers, Crowd, Idle, Items, Neighbour, Paced, Payload, Silent, Solo, Start,
        };
        let mut all = vec![Solo, Crowd, Bulk, Start, Neighbour, Callbacks, Items, Bytes, Paced, Silent];
        all.extend(self.callers.iter().map(|&count| Callers(count)));
        all.extend(self.payloads.iter().map(|&size| Payload(size)));
        all.push(Idle);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_can_be_named() {
        for workload in Effort::full().workloads() {
            assert!(Workload::NAMES.contains(&workload.name()));
        }
    }
}

//! What the harness and the hosts it starts say to each other: JSON, a line each. The hosts in Go speak it too.

use std::{
    io::{self, BufRead, Write},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Result, contenders::Running};

/// What the harness wants of a host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Order {
    /// End the plugin that runs, if one does; start another, and say how long it took to its first reply.
    Start,
    /// Call the plugin that runs.
    Load(Load),
    /// Start this many more plugins and keep them.
    Keep { count: usize },
}

/// How a plugin is to be called.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Load {
    /// How many threads or tasks call at once, over one connection.
    pub(crate) callers: usize,
    /// The size of the argument, and so of the result, in bytes.
    pub(crate) payload: usize,
    /// For how long. At least one call is made.
    pub(crate) millis: u64,
    /// The most calls per second of each caller; 0 for as many as it can.
    pub(crate) rate: u64,
    /// What one more caller has the plugin sleep, again and again, beside the measured ones; 0 for no such caller.
    pub(crate) neighbour_millis: u64,
    /// What a call is.
    pub(crate) flow: Flow,
    /// How much of it where it is not [`Flow::Echo`]: callbacks, items or bytes.
    pub(crate) count: u64,
}

/// What goes between host and plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    /// Calls that are answered with their argument.
    #[default]
    Echo,
    /// One call, in which the plugin calls back, with an argument that comes back.
    Callbacks,
    /// Small items, from the plugin.
    Items,
    /// Bytes, from the plugin.
    Bytes,
}

/// What a host answers: times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sample {
    /// How many calls were measured.
    pub(crate) calls: u64,
    /// From the first call's beginning to the last one's end, or how long a start took.
    pub(crate) nanos: u64,
    /// The median of the calls' times.
    pub(crate) p50: u64,
    /// Their 99th percentile.
    pub(crate) p99: u64,
    /// Why there are no figures.
    pub(crate) error: Option<String>,
}

impl Sample {
    /// Sums up the times of all calls.
    pub(crate) fn new(mut times: Vec<u64>, elapsed: Duration) -> Self {
        times.sort_unstable();
        let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied();
        Self {
            calls: times.len() as u64,
            nanos: nanos(elapsed),
            p50: at(50).unwrap_or(0),
            p99: at(99).unwrap_or(0),
            error: None,
        }
    }

    /// So many of something in one go.
    pub(crate) fn of(calls: u64, elapsed: Duration) -> Self {
        let each = nanos(elapsed) / calls.max(1);
        Self { calls, nanos: nanos(elapsed), p50: each, p99: each, error: None }
    }

    fn failed(error: &(dyn std::error::Error + Send + Sync)) -> Self {
        Self { error: Some(error.to_string()), ..Self::default() }
    }

    /// Calls per second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 * 1e9 / self.nanos.max(1) as f64
    }
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Does what standard input says, as the host of plugins that `start` starts, until it ends.
pub(crate) fn obey(start: fn() -> Result<Box<dyn Running>>) -> Result<()> {
    let mut host = Host { start, plugin: None, kept: Vec::new() };
    for line in io::stdin().lock().lines() {
        let sample = host.obey(&serde_json::from_str(&line?)?).unwrap_or_else(|error| Sample::failed(&*error));
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &sample)?;
        writeln!(out)?;
    }
    Ok(())
}

struct Host {
    start: fn() -> Result<Box<dyn Running>>,
    plugin: Option<Box<dyn Running>>,
    kept: Vec<Box<dyn Running>>,
}

impl Host {
    fn obey(&mut self, order: &Order) -> Result<Sample> {
        match order {
            Order::Start => {
                self.plugin = None;
                let start = Instant::now();
                self.plugin = Some(self.start()?);
                Ok(Sample::new(Vec::new(), start.elapsed()))
            }
            Order::Load(load) => self.plugin.as_ref().ok_or("no plugin was started")?.load(load),
            Order::Keep { count } => {
                for _ in 0..*count {
                    let plugin = self.start()?;
                    self.kept.push(plugin);
                }
                Ok(Sample::default())
            }
        }
    }

    fn start(&self) -> Result<Box<dyn Running>> {
        let plugin = (self.start)()?;
        plugin.greet()?;
        Ok(plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_median_and_the_99th_percentile() {
        let sample = Sample::new((1..=100).rev().collect(), Duration::from_secs(1));
        assert_eq!((sample.calls, sample.p50, sample.p99), (100, 51, 100));
        assert!((sample.rate() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_sample_of_one_call_is_that_call() {
        let sample = Sample::new(vec![7], Duration::from_nanos(7));
        assert_eq!((sample.p50, sample.p99), (7, 7));
    }

    #[test]
    fn orders_are_lines_that_other_languages_can_write() {
        let load = Load { callers: 1, payload: 20, millis: 300, ..Load::default() };
        let line = serde_json::to_string(&Order::Load(load)).unwrap();
        assert_eq!(line, r#"{"do":"load","callers":1,"payload":20,"millis":300,"rate":0,"neighbour_millis":0}"#);
        assert_eq!(serde_json::to_string(&Order::Start).unwrap(), r#"{"do":"start"}"#);
    }
}

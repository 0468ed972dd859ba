//! What the tests share.
#![allow(dead_code, unused_imports, reason = "not every test uses everything")]

use std::time::Duration;

use plugin_core::{Launcher, Output, Plugin, Process};
pub(crate) use process_tests::{Other, Probe, ProbeError, ProbeMethods, Record, watchdog};

/// The plugin that does what it is told.
pub(crate) const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// The program that does not.
pub(crate) const ROGUE: &str = env!("CARGO_BIN_EXE_rogue");

/// A host to be killed.
pub(crate) const HOST: &str = env!("CARGO_BIN_EXE_host");

pub(crate) fn launcher() -> Launcher {
    Launcher::new(PROBE).output(Output::Discard)
}

pub(crate) fn probe() -> Plugin<dyn Probe> {
    launcher().spawn().and_then(|process| process.interface()).expect("the probe starts")
}

pub(crate) fn rogue(mode: &str) -> Launcher {
    let mut command = std::process::Command::new(ROGUE);
    command.arg(mode);
    Launcher::new(command).output(Output::Discard).stop_timeout(Duration::from_millis(200))
}

pub(crate) fn process(plugin: &Plugin<dyn Probe>) -> &Process {
    Plugin::process(plugin)
}

pub(crate) fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

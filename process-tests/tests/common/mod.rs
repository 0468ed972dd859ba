//! What the tests share.
#![allow(dead_code, reason = "not every test uses everything")]

use std::time::Duration;

use plugin_core::{Launcher, Output, Plugin, Process};
pub use process_tests::{Other, Probe, ProbeError, ProbeMethods, Record, watchdog};

/// The plugin that does what it is told.
pub const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// The program that does not.
pub const ROGUE: &str = env!("CARGO_BIN_EXE_rogue");

/// A host to be killed.
pub const HOST: &str = env!("CARGO_BIN_EXE_host");

pub fn launcher() -> Launcher {
    Launcher::new(PROBE).output(Output::Discard)
}

pub fn probe() -> Plugin<dyn Probe> {
    launcher().spawn().and_then(|process| process.interface()).expect("the probe starts")
}

pub fn rogue(mode: &str) -> Launcher {
    let mut command = std::process::Command::new(ROGUE);
    command.arg(mode);
    Launcher::new(command).output(Output::Discard).stop_timeout(Duration::from_millis(200))
}

pub fn process(plugin: &Plugin<dyn Probe>) -> &Process {
    Plugin::process(plugin)
}

pub fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

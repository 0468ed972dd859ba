//! What the tests share.
#![allow(dead_code, unused_imports, reason = "not every test uses everything")]

use std::{path::Path, process::Command, time::Duration};

use plugin_core::{Launcher, Output, Plugin, Process};
#[cfg(unix)]
use process_tests::cutter;
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
    let mut command = Command::new(ROGUE);
    command.arg(mode);
    Launcher::new(command).output(Output::Discard).stop_timeout(Duration::from_millis(200))
}

/// The probe behind a cutter; the second value is where the number of cuts is found.
#[cfg(unix)]
pub(crate) fn behind_a_cutter(
    seed: u64,
    distance: u64,
    cuts: u64,
    directory: &Path,
) -> (Launcher, impl Fn() -> u64 + use<>) {
    let plan = cutter::Plan { seed, distance, cuts, notes: directory.join("cuts") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutter"));
    command.args(plan.to_arguments()).arg(PROBE);
    let launcher = Launcher::new(command).env("TMPDIR", directory).output(Output::Discard).name("probe");
    (launcher, move || cutter::cuts(&plan.notes))
}

pub(crate) fn process(plugin: &Plugin<dyn Probe>) -> &Process {
    Plugin::process(plugin)
}

pub(crate) fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn connect(launcher: Launcher) -> Plugin<dyn Probe> {
    launcher.spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

//! The connection is cut; nothing may be lost.

use std::sync::atomic::Ordering::Relaxed;

use plugin_core::{Error, Launcher, Output, Plugin, Result};

use super::{Progress, Setup, Verdict, callers::call_from_threads, command};
use crate::{
    cutter::{self, Plan},
    ledger::{self, Ledger},
};

/// How many bytes pass in one direction between cuts, on average: less than a large message has, more than most have.
const DISTANCE: u64 = 28 * 1024;

/// Has the connection cut while many threads call, until there have been so many calls and so many cuts.
///
/// # Errors
/// When the plugin cannot be started, or its journal cannot be read.
pub fn cut_run(setup: &Setup, calls: u64, cuts: u64, progress: &Progress) -> Result<Verdict> {
    let journal = setup.journal("journal of the cut run");
    let notes = setup.journal("cuts");
    let plan = Plan { seed: setup.seed, distance: DISTANCE, cuts: u64::MAX, notes: notes.clone() };
    let mut plugin = command(&setup.cutter);
    plugin.args(plan.to_arguments()).args(&setup.ledger).arg(&journal).env("TMPDIR", &setup.directory);
    let plugin = Launcher::new(plugin).name("ledger").output(Output::Discard).spawn()?.interface::<dyn Ledger>()?;

    let is_over = || {
        let cuts_so_far = cutter::cuts(&notes);
        progress.cuts.store(cuts_so_far, Relaxed);
        progress.calls.load(Relaxed) >= calls && cuts_so_far >= cuts
    };
    let never = |_: &Error| false;
    let (called, ()) = call_from_threads(setup, progress, never, || plugin.clone(), is_over, || {});
    // Whatever still runs must have been written down before the journal is read.
    Plugin::process(&plugin).shutdown()?;
    Ok(Verdict::of(&called, &ledger::read(&journal).map_err(Error::custom)?, never))
}

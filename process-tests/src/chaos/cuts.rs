//! The connection is cut; nothing may be lost.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use plugin_core::{Error, Launcher, Output, Plugin, Result};

use super::{
    Progress, Setup, Verdict,
    callers::call_from_threads,
    command,
    leaks::{look_for_leaks, look_for_leaks_of_host},
    verdict::Faults,
};
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
    let cut_notes = setup.journal("cuts");
    let plan = Plan { seed: setup.seed, distance: DISTANCE, cuts: u64::MAX, notes: cut_notes.clone() };
    let mut plugin = command(&setup.cutter);
    plugin.args(plan.to_arguments()).args(&setup.ledger).arg(&journal).env("TMPDIR", &setup.directory);
    let plugin = Launcher::new(plugin).name("ledger").output(Output::Discard).spawn()?.interface::<dyn Ledger>()?;

    let is_over = || {
        let cuts_so_far = cutter::cuts(&cut_notes);
        progress.cuts.store(cuts_so_far, Relaxed);
        progress.calls.load(Relaxed) >= calls && cuts_so_far >= cuts
    };
    let guard = Arc::default();
    let (mut notes, ()) = call_from_threads(setup, progress, (Faults::Cuts, &guard), || plugin.clone(), is_over, || {});
    look_for_leaks(&plugin, &mut notes.findings);
    // Whatever still runs must have been written down before the journal is read.
    Plugin::process(&plugin).shutdown()?;
    look_for_leaks_of_host(&guard, &mut notes.findings);
    Ok(Verdict::of(notes, &ledger::read(&journal).map_err(Error::custom)?, Faults::Cuts))
}

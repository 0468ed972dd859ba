//! The plugin is killed; whoever called is told the truth.

use std::{
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use plugin_core::{Budget, Error, Event, Events, Launcher, Output, Plugin, Restart, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Progress, Setup, Verdict,
    callers::call_from_threads,
    command,
    leaks::{look_for_leaks, look_for_leaks_of_host},
    verdict::Faults,
};
use crate::ledger::{self, Ledger};

/// How often one plugin is killed before the callers go over to a new one: waits before restarts double, and with ever the
/// same plugin most of the run would be waiting.
const KILLS_OF_ONE: u64 = 3;

/// How long a plugin lives at most before it is killed.
const LONGEST_LIFE: Duration = Duration::from_millis(100);

/// How long a restart may take at most.
const RESTART_LIMIT: Duration = Duration::from_secs(30);

/// Has the plugin killed so many times while many threads call.
///
/// # Errors
/// When the plugin cannot be started, does not start again, or its journal cannot be read.
pub fn kill_run(setup: &Setup, kills: u64, progress: &Progress) -> Result<Verdict> {
    let journal = setup.journal("journal of the kill run");
    let current = RwLock::new(start(setup, &journal, 0)?);
    let is_over = AtomicBool::new(kills == 0);
    let get = || current.read().unwrap_or_else(PoisonError::into_inner).clone();
    let set = |plugin| *current.write().unwrap_or_else(PoisonError::into_inner) = plugin;
    let guard = Arc::default();
    let (mut notes, killed) = call_from_threads(
        setup,
        progress,
        (Faults::Kills, &guard),
        get,
        || is_over.load(Relaxed),
        || {
            let killed = kill(setup, kills, progress, get(), |number| {
                let plugin = start(setup, &journal, number)?;
                set(plugin.clone());
                Ok(plugin)
            });
            is_over.store(true, Relaxed);
            killed
        },
    );
    // The last one may live.
    look_for_leaks(&get(), &mut notes.findings);
    // Whatever still runs must have been written down before the journal is read.
    Plugin::process(&get()).shutdown()?;
    look_for_leaks_of_host(&guard, &mut notes.findings);
    let verdict = Verdict::of(notes, &ledger::read(&journal).map_err(Error::custom)?, Faults::Kills);
    // Where calls are lost, that tells more than why there were no more kills.
    if verdict.is_clean() { killed.map(|()| verdict) } else { Ok(verdict) }
}

/// Kills the plugin so many times, and asks for the `next` now and then.
fn kill(
    setup: &Setup,
    kills: u64,
    progress: &Progress,
    first: Plugin<dyn Ledger>,
    next: impl Fn(u64) -> Result<Plugin<dyn Ledger>>,
) -> Result<()> {
    let mut random = Rng::with_seed(!setup.seed);
    let mut plugin = first;
    let mut events = Plugin::process(&plugin).events();
    for number in 1..=kills {
        if progress.is_spoilt.load(Relaxed) {
            break;
        }
        let pid = wait_started(&events)?;
        thread::sleep(LONGEST_LIFE.mul_f64(random.f64()));
        // Nobody else ends it, so the id is still its own.
        kill_process(pid, Signal::KILL).map_err(Error::custom)?;
        progress.kills.fetch_add(1, Relaxed);
        if number % KILLS_OF_ONE == 0 {
            plugin = next(number)?;
            events = Plugin::process(&plugin).events();
        }
    }
    drop(plugin);
    Ok(())
}

/// Every other plugin is started again by the next call, the others at once.
fn start(setup: &Setup, journal: &Path, number: u64) -> Result<Plugin<dyn Ledger>> {
    let budget = Budget { restarts: 100, per: Duration::from_secs(1) };
    let restart = if number % 2 == 0 { Restart::OnDemand { budget } } else { Restart::Always { budget } };
    let mut plugin = command(&setup.ledger);
    plugin.arg(journal);
    Launcher::new(plugin).name("ledger").output(Output::Discard).restart(restart).spawn()?.interface()
}

fn wait_started(events: &Events) -> Result<Pid> {
    loop {
        match events.next_within(RESTART_LIMIT) {
            Some(Event::Started { pid: Some(pid) }) => {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                return pid.ok_or_else(|| Error::custom("a process without an id"));
            }
            Some(_) => {}
            None => return Err(Error::custom(format!("the plugin did not start again within {RESTART_LIMIT:?}"))),
        }
    }
}

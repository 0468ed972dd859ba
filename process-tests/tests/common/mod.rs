//! What the tests share.
#![allow(dead_code, unused_imports, reason = "not every test uses everything")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

#[cfg(unix)]
pub(crate) mod bare;
pub(crate) mod executors;
pub(crate) mod streaming;

use std::{collections::BTreeSet, path::Path, process::Command, sync::Mutex, thread, time::Duration};

use plugin_core::{Event, Events, Launcher, Output, Plugin, Process};
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
    program_behind_a_cutter(PROBE, seed, distance, cuts, directory)
}

/// Any plugin behind a cutter.
#[cfg(unix)]
pub(crate) fn program_behind_a_cutter(
    program: &str,
    seed: u64,
    distance: u64,
    cuts: u64,
    directory: &Path,
) -> (Launcher, impl Fn() -> u64 + use<>) {
    let plan = cutter::Plan { seed, distance, cuts, notes: directory.join("cuts") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutter"));
    command.args(plan.to_arguments()).arg(program);
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

/// Looks again and again, without blocking a thread for long, until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < LONG, "it does not come true");
        smol::Timer::after(Duration::from_millis(1)).await;
    }
}

/// How long what is sure to come is waited for.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Whether `body` holds in one of a few tries. On a busy machine anything may be late, but what is broken always is.
pub(crate) fn in_one_of_a_few_tries(mut body: impl FnMut() -> bool) -> bool {
    (0..8).any(|_| body())
}

/// Copies a program that is then executed. Another process does it: while this one has a file open to write, so has for a
/// moment whatever process another test starts meanwhile, and such a file cannot be executed.
#[cfg(unix)]
pub(crate) fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    assert!(Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status().unwrap().success());
}

/// The next event, in a word.
pub(crate) fn next(events: &Events) -> String {
    word(&events.next_within(LONG).expect("an event"))
}

pub(crate) fn word(event: &Event) -> String {
    format!("{event:?}").split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned()
}

/// Makes a thousand calls on each of so many threads, all of which must run once.
pub(crate) fn record_from_threads(probe: &Plugin<dyn Probe>, threads: u64) {
    let answers = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for caller in 0..threads {
            let answers = &answers;
            scope.spawn(move || {
                for number in 0..1000 {
                    let place = probe.record(caller * 1_000_000 + number).unwrap();
                    assert!(answers.lock().unwrap().insert(place), "two calls have the same place");
                }
            });
        }
    });
    let recorded = probe.recorded().unwrap();
    let distinct: BTreeSet<u64> = recorded.iter().copied().collect();
    let expected = usize::try_from(threads).unwrap() * 1000;
    assert_eq!((recorded.len(), distinct.len()), (expected, expected), "none is missing, none ran twice");
}

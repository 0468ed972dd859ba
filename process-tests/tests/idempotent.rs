//! Calls of idempotent methods are repeated where the process died during them, and nothing else is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::{LONG, Probe, connect, copy_program, launcher, milliseconds, process, watchdog};
use plugin_core::{Budget, Error, Event, Launcher, Plugin, Restart, within};
use process_tests::system::eventually;

fn budget(restarts: usize) -> Restart {
    Restart::OnDemand { budget: Budget { restarts, per: Duration::from_secs(60) } }
}

/// Runs `body` with the path of a journal; gives how many runs were noted in it.
fn runs(body: impl FnOnce(&str)) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    body(journal.to_str().unwrap());
    noted(&journal)
}

fn restarts(probe: &Plugin<dyn Probe>) -> usize {
    let events = process(probe).events();
    let told = std::iter::from_fn(|| events.next_within(milliseconds(50)));
    told.filter(|event| matches!(event, Event::Restarting { .. })).count()
}

fn noted(journal: impl AsRef<Path>) -> usize {
    fs::read_to_string(journal).map_or(0, |lines| lines.lines().count())
}

#[test]
fn a_call_is_repeated_until_a_process_lives_long_enough_to_answer() {
    watchdog(60, || {
        let probe = connect(launcher());
        let first = process(&probe).pid();
        assert_eq!(runs(|journal| assert_eq!(probe.perform(journal, "exit exit return").unwrap(), 3)), 3);
        assert_ne!(process(&probe).pid(), first);
    });
}

#[test]
fn what_is_not_idempotent_runs_once() {
    watchdog(60, || {
        let probe = connect(launcher());
        let runs = runs(|journal| {
            let error = probe.perform_once(journal, "exit return").unwrap_err();
            assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
        });
        assert_eq!(runs, 1);
    });
}

#[test]
fn what_the_method_itself_did_is_not_repeated() {
    watchdog(60, || {
        let probe = connect(launcher());
        let perform = |script: &str| {
            let mut outcome = None;
            let call = |journal: &str| outcome = Some(within(milliseconds(1500), || probe.perform(journal, script)));
            assert_eq!(runs(call), 1, "{script}");
            outcome.unwrap().unwrap_err()
        };
        assert!(matches!(perform("fail return"), Error::Remote { .. }));
        assert!(matches!(perform("panic return"), Error::Panicked { .. }));
        assert!(matches!(perform("hang return"), Error::Timeout { may_have_run: true, .. }));
    });
}

#[test]
fn many_calls_in_flight_are_each_repeated() {
    watchdog(60, || {
        let probe = connect(launcher());
        let directory = tempfile::tempdir().unwrap();
        let journal = |caller: usize| directory.path().join(caller.to_string());
        thread::scope(|scope| {
            for caller in 0..16 {
                let (probe, journal) = (&probe, journal(caller));
                scope.spawn(move || assert_eq!(probe.perform(journal.to_str().unwrap(), "hang return").unwrap(), 2));
            }
            assert!(eventually(LONG, || (0..16).all(|caller| noted(journal(caller)) == 1)), "not all have begun");
            probe.exit(1, "").unwrap_err();
        });
        assert_eq!(restarts(&probe), 1, "one restart serves them all");
    });
}

#[test]
fn a_spent_budget_says_that_it_may_have_run_and_how_it_died() {
    watchdog(60, || {
        let probe = connect(launcher().restart(budget(2)));
        let runs = runs(|journal| {
            let error = probe.perform(journal, "exit").unwrap_err();
            assert!(matches!(&error, Error::GaveUp { may_have_run: true, .. }), "{error:?}");
            assert!(error.may_have_run());
            let text = error.to_string();
            assert!(text.contains("was not called again (it may have run)"), "{text}");
            assert!(text.contains("run 3 ends here") && text.contains("exit status: 7"), "{text}");
            assert!(!text.contains("it did not run"), "{text}");
        });
        assert_eq!(runs, 3, "once, and once for each restart");
    });
}

#[test]
fn a_policy_of_never_repeats_nothing() {
    watchdog(60, || {
        let probe = connect(launcher().restart(Restart::Never));
        let runs = runs(|journal| {
            let error = probe.perform(journal, "exit return").unwrap_err();
            assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
        });
        assert_eq!(runs, 1);
    });
}

#[test]
fn the_deadline_holds_while_the_plugin_is_restarted() {
    watchdog(60, || {
        let hangs = std::sync::Arc::new(AtomicUsize::new(0));
        let starts = std::sync::Arc::clone(&hangs);
        let probe = connect(launcher().on_start(move |process| {
            if starts.fetch_add(1, Ordering::SeqCst) > 0 {
                let _ = process.interface::<dyn Probe>()?.sleep(20_000);
            }
            Ok(())
        }));
        let runs = runs(|journal| {
            let began = Instant::now();
            let error = within(milliseconds(2000), || probe.perform(journal, "exit return")).unwrap_err();
            let took = began.elapsed();
            assert!((milliseconds(1900)..milliseconds(10_000)).contains(&took), "{took:?}");
            // The time was over before it could be repeated, so what is told is what became of the first try.
            assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
            assert!(error.to_string().contains("run 1 ends here"), "{error}");
        });
        assert_eq!(runs, 1);
        assert_eq!(hangs.load(Ordering::SeqCst), 2, "the restart had begun");
    });
}

#[test]
fn a_second_try_has_what_is_left_of_the_deadline() {
    watchdog(60, || {
        let probe = connect(launcher());
        let runs = runs(|journal| {
            let began = Instant::now();
            let error = within(milliseconds(3000), || probe.perform(journal, "exit hang")).unwrap_err();
            assert!(matches!(&error, Error::Timeout { may_have_run: true, .. }), "{error:?}");
            assert!(began.elapsed() < milliseconds(15_000), "{:?}", began.elapsed());
        });
        assert_eq!(runs, 2);
    });
}

#[test]
fn nothing_is_repeated_once_this_host_stops_the_plugin() {
    watchdog(60, || {
        for stop in [plugin_core::Process::kill, plugin_core::Process::shutdown] {
            let probe = connect(launcher());
            let directory = tempfile::tempdir().unwrap();
            let journal = directory.path().join("journal");
            thread::scope(|scope| {
                let called = scope.spawn(|| probe.perform(journal.to_str().unwrap(), "hang return"));
                assert!(eventually(LONG, || noted(&journal) == 1), "it has not begun");
                stop(process(&probe)).unwrap();
                let error = called.join().unwrap().unwrap_err();
                assert!(matches!(&error, Error::Stopped { may_have_run: true, .. }), "{error:?}");
            });
            assert_eq!(noted(&journal), 1);
        }
    });
}

#[test]
fn stopping_the_plugin_while_a_call_waits_to_be_repeated_says_that_it_may_have_run() {
    watchdog(60, || {
        let (begun, begins) = std::sync::mpsc::channel();
        let starts = AtomicUsize::new(0);
        let probe = connect(launcher().on_start(move |process| {
            if starts.fetch_add(1, Ordering::SeqCst) == 0 {
                return Ok(());
            }
            begun.send(()).map_err(Error::custom)?;
            process.interface::<dyn Probe>()?.hang_forever()
        }));
        let runs = runs(|journal| {
            thread::scope(|scope| {
                let called = scope.spawn(|| probe.perform(journal, "exit return"));
                begins.recv_timeout(LONG).unwrap();
                process(&probe).kill().unwrap();
                let error = called.join().unwrap().unwrap_err();
                assert!(matches!(&error, Error::Stopped { may_have_run: true, .. }), "{error:?}");
            });
        });
        assert_eq!(runs, 1);
    });
}

#[test]
fn a_restart_that_fails_hides_neither_the_crash_nor_that_it_may_have_run() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("probe");
        copy_program(common::PROBE, &program);
        let probe = connect(Launcher::new(&program).output(plugin_core::Output::Discard));
        let journal = directory.path().join("journal");
        fs::remove_file(&program).unwrap();
        let error = probe.perform(journal.to_str().unwrap(), "exit return").unwrap_err();
        assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
        assert_eq!(noted(&journal), 1);
    });
}

#[test]
fn an_idempotent_call_in_on_start_is_not_repeated_but_fails_the_start() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        let path = journal.to_str().unwrap().to_owned();
        let launcher = launcher()
            .on_start(move |process| process.interface::<dyn Probe>()?.perform(&path, "exit return").map(drop));
        let error = launcher.spawn().map(drop).unwrap_err();
        assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
        assert_eq!(noted(&journal), 1);
    });
}

#[test]
fn a_call_is_repeated_where_the_session_could_not_be_resumed() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let launcher = common::rogue("hangs-up-once").env("ROGUE_MARK", mark).resume_timeout(milliseconds(200));
        let probe = connect(launcher);
        assert_eq!(probe.perform("", "").unwrap(), 2, "the second process answered");
    });
}

#[test]
fn a_process_that_lives_on_without_its_session_is_not_waited_for_past_the_deadline() {
    watchdog(60, || {
        let probe = connect(common::rogue("hangs-up").resume_timeout(milliseconds(200)));
        let began = Instant::now();
        let error = within(milliseconds(1000), || probe.perform("", "")).unwrap_err();
        assert!(matches!(&error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
        let took = began.elapsed();
        assert!((milliseconds(900)..milliseconds(10_000)).contains(&took), "{took:?}");
    });
}

#[test]
fn a_call_that_made_the_plugin_break_the_protocol_is_not_repeated() {
    watchdog(60, || {
        let probe = connect(common::rogue("reserved-flag"));
        let error = probe.perform("", "").unwrap_err();
        assert!(matches!(&error, Error::Protocol { may_have_run: true, .. }), "{error:?}");
        assert_eq!(restarts(&probe), 0);
    });
}

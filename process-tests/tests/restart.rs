//! Plugins that die are started again, as far as the policy allows.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    LONG, Probe, connect, copy_program, in_one_of_a_few_tries, launcher, milliseconds, next, process, watchdog,
};
use plugin_core::{Budget, Error, Launcher, Restart, State, within};
use process_tests::system::{children, eventually, is_running};

fn budget(restarts: usize) -> Budget {
    Budget { restarts, per: Duration::from_secs(60) }
}

#[test]
fn the_next_call_after_a_crash_finds_a_new_process() {
    watchdog(60, || {
        let probe = connect(launcher());
        let first = process(&probe).pid();
        let events = process(&probe).events();
        let error = probe.exit(7, "the end").unwrap_err();
        assert!(
            matches!(&error, Error::Died { may_have_run: true, .. }),
            "the call in flight is not repeated: {error:?}"
        );
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        assert_ne!(process(&probe).pid(), first);
        assert_eq!(process(&probe).state(), State::Running);
        process(&probe).shutdown().unwrap();
        let expected = ["Started", "Crashed", "Restarting", "Started", "Stopped"];
        assert_eq!(expected.map(|_| next(&events)), expected);
        let late = process(&probe).events();
        assert_eq!(expected.map(|_| next(&late)), expected, "every subscriber is told everything");
    });
}

#[test]
fn callers_that_come_at_once_wait_for_one_restart() {
    watchdog(60, || {
        let probe = connect(launcher());
        let events = process(&probe).events();
        probe.exit(1, "").unwrap_err();
        thread::scope(|scope| {
            for number in 0..16 {
                let probe = &probe;
                scope.spawn(move || assert_eq!(probe.add(number, 1).unwrap(), number + 1));
            }
        });
        let expected = ["Started", "Crashed", "Restarting", "Started"];
        assert_eq!(expected.map(|_| next(&events)), expected);
        assert!(events.next_within(milliseconds(50)).is_none(), "one restart serves them all");
    });
}

#[test]
fn a_spent_budget_is_an_error_that_names_the_last_exit() {
    watchdog(60, || {
        let probe = connect(launcher().restart(Restart::OnDemand { budget: budget(2) }));
        let events = process(&probe).events();
        for _ in 0..3 {
            assert!(matches!(probe.exit(9, "dying again"), Err(Error::Died { .. })));
        }
        let error = probe.add(1, 2).unwrap_err();
        assert!(matches!(&error, Error::GaveUp { .. }), "{error:?}");
        assert!(error.to_string().contains("exit status: 9") && error.to_string().contains("dying again"), "{error}");
        assert!(!error.may_have_run());
        assert!(matches!(probe.add(1, 2), Err(Error::GaveUp { .. })));
        let names = ["Started", "Crashed", "Restarting"].into_iter().cycle().take(8);
        let expected: Vec<&str> = names.chain(["GaveUp"]).collect();
        let found: Vec<String> = expected.iter().map(|_| next(&events)).collect();
        assert_eq!(found, expected);
        assert!(events.next_within(milliseconds(50)).is_none(), "it is told once");
    });
}

#[test]
fn always_restarts_without_a_call() {
    watchdog(60, || {
        let probe = connect(launcher().restart(Restart::Always { budget: budget(5) }));
        let events = process(&probe).events();
        let first = process(&probe).pid();
        probe.exit(1, "").unwrap_err();
        let expected = ["Started", "Crashed", "Restarting", "Started"];
        assert_eq!(expected.map(|_| next(&events)), expected);
        assert_ne!(process(&probe).pid(), first);
    });
}

#[test]
fn on_start_runs_before_other_calls_after_every_start() {
    watchdog(60, || {
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let probe = connect(launcher().on_start(move |process| {
            counted.fetch_add(1, Ordering::SeqCst);
            let probe = process.interface::<dyn Probe>()?;
            probe.sleep(100)?;
            probe.record(42).map(drop)
        }));
        assert_eq!(probe.recorded().unwrap(), [42]);
        probe.exit(1, "").unwrap_err();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(probe.recorded().unwrap(), [42], "nobody came before it"));
            }
        });
        assert_eq!(starts.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_crash_during_on_start_fails_the_start_and_leaves_nothing_behind() {
    watchdog(60, || {
        let launcher = launcher().on_start(|process| process.interface::<dyn Probe>()?.exit(3, "not today"));
        let error = launcher.spawn().map(drop).unwrap_err();
        assert!(error.to_string().contains("not today"), "{error}");
        assert!(eventually(LONG, || children() == 0), "other tests end theirs");
    });
}

#[test]
fn a_crash_during_on_start_of_a_restart_is_told_to_those_who_wait_and_tried_again_by_the_next() {
    watchdog(60, || {
        let starts = AtomicUsize::new(0);
        let second_crashes = launcher().on_start(move |process| match starts.fetch_add(1, Ordering::SeqCst) {
            1 => process.interface::<dyn Probe>()?.exit(3, "not today"),
            _ => Ok(()),
        });
        let probe = connect(second_crashes);
        let events = process(&probe).events();
        probe.exit(1, "").unwrap_err();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| match probe.add(1, 2) {
                    Ok(sum) => assert_eq!(sum, 3, "it came later, and its own start succeeded"),
                    Err(error) => {
                        assert!(error.to_string().contains("not today"), "{error}");
                        assert!(matches!(&error, Error::OnStart { method, .. } if method == "add"), "{error}");
                        assert!(!error.may_have_run(), "{error}");
                    }
                });
            }
        });
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        let expected = ["Started", "Crashed", "Restarting", "Restarting", "Started"];
        assert_eq!(expected.map(|_| next(&events)), expected);
    });
}

#[test]
fn a_plugin_can_be_killed_while_its_on_start_hangs() {
    watchdog(60, || {
        let (begun, begins) = std::sync::mpsc::channel();
        let starts = AtomicUsize::new(0);
        let launcher = launcher().on_start(move |process| {
            if starts.fetch_add(1, Ordering::SeqCst) == 0 {
                return Ok(());
            }
            begun.send(process.pid()).map_err(Error::custom)?;
            process.interface::<dyn Probe>()?.hang_forever()
        });
        let probe = connect(launcher);
        probe.exit(1, "").unwrap_err();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| probe.add(1, 2));
            let pid = begins.recv_timeout(LONG).unwrap().unwrap();
            process(&probe).kill().unwrap();
            assert!(!is_running(pid));
            assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped { .. })));
        });
        let told: Vec<String> = process(&probe).events().take(4).map(|event| format!("{event:?}")).collect();
        assert!(told[3].starts_with("Stopped"), "{told:?}");
    });
}

#[test]
fn an_on_start_may_start_another_plugin_that_has_one_too() {
    watchdog(60, || {
        let outer = launcher().call_timeout(Duration::from_secs(5)).on_start(|process| {
            let inner = launcher().on_start(|process| process.interface::<dyn Probe>()?.record(1).map(drop));
            let inner = inner.spawn()?.interface::<dyn Probe>()?;
            let found = inner.recorded()?.len() as u64;
            process.interface::<dyn Probe>()?.record(found).map(drop)
        });
        assert_eq!(connect(outer).recorded().unwrap(), [1]);
    });
}

#[test]
fn always_goes_on_trying_where_a_restart_fails() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("probe");
        copy_program(common::PROBE, &program);
        let restart = Restart::Always { budget: budget(50) };
        let probe = connect(Launcher::new(&program).output(plugin_core::Output::Discard).restart(restart));
        let events = process(&probe).events();
        fs::remove_file(&program).unwrap();
        probe.exit(1, "").unwrap_err();
        let expected = ["Started", "Crashed", "Restarting", "Restarting"];
        assert_eq!(expected.map(|_| next(&events)), expected);
        // Under another name first: a program that is being written cannot be executed.
        let copy = directory.path().join("copy");
        copy_program(common::PROBE, &copy);
        fs::rename(copy, &program).unwrap();
        while next(&events) != "Started" {}
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn a_panic_in_on_start_fails_the_start_and_nothing_else() {
    watchdog(60, || {
        let error = launcher().on_start(|_| panic!("on purpose")).spawn().map(drop).unwrap_err();
        assert!(error.to_string().contains("`on_start` panicked"), "{error}");
        let starts = AtomicUsize::new(0);
        let second_fails = launcher().on_start(move |_| match starts.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("on purpose"),
            _ => Ok(()),
        });
        let probe = connect(second_fails);
        probe.exit(1, "").unwrap_err();
        let error = probe.add(1, 2).unwrap_err();
        assert!(error.to_string().contains("`on_start` panicked") && !error.may_have_run(), "{error}");
        assert_eq!(probe.add(1, 2).unwrap(), 3, "the next call tries again");
    });
}

#[test]
fn a_restart_that_fails_is_told_to_those_who_wait_and_tried_again_by_the_next() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("probe");
        copy_program(common::PROBE, &program);
        let probe = connect(Launcher::new(&program).output(plugin_core::Output::Discard));
        fs::remove_file(&program).unwrap();
        probe.exit(1, "").unwrap_err();
        assert!(matches!(probe.add(1, 2), Err(Error::NotFound { .. })));
        copy_program(common::PROBE, &program);
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn waiting_for_a_restart_is_part_of_the_deadline() {
    watchdog(60, || {
        let (go_on, told) = std::sync::mpsc::channel();
        let (told, starts) = (Mutex::new(told), AtomicUsize::new(0));
        let probe = connect(launcher().on_start(move |_| {
            // The second start takes until the call is over.
            if starts.fetch_add(1, Ordering::SeqCst) == 1 {
                told.lock().unwrap().recv_timeout(LONG).map_err(Error::custom)?;
            }
            Ok(())
        }));
        probe.exit(1, "").unwrap_err();
        let error = within(milliseconds(30), || probe.add(1, 2)).unwrap_err();
        assert!(matches!(&error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        go_on.send(()).unwrap();
        assert_eq!(probe.add(1, 2).unwrap(), 3, "the restart goes on meanwhile");
    });
}

#[test]
fn a_stopped_plugin_stays_stopped() {
    watchdog(60, || {
        let probe = connect(launcher().restart(Restart::Always { budget: budget(5) }));
        process(&probe).kill().unwrap();
        assert!(matches!(probe.add(1, 2), Err(Error::Stopped { .. })));
        let probe = connect(launcher());
        probe.exit(1, "").unwrap_err();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| probe.add(1, 2));
            let stopped = process(&probe).shutdown();
            stopped.unwrap();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped { .. }) | Ok(3)));
            assert!(matches!(probe.add(1, 2), Err(Error::Stopped { .. })));
        });
    });
}

#[test]
fn dropping_the_last_handle_ends_a_restart_in_progress() {
    watchdog(60, || {
        for _ in 0..5 {
            let probe = connect(launcher().restart(Restart::Always { budget: budget(5) }));
            probe.exit(1, "").unwrap_err();
            drop(probe);
        }
        assert!(eventually(LONG, || children() == 0), "{} children are left", children());
    });
}

#[test]
fn a_process_that_outlives_its_connection_makes_no_caller_wait_past_its_deadline() {
    watchdog(60, || {
        // A second passes before its exit status is not waited for any more.
        let is_prompt = in_one_of_a_few_tries(|| {
            let probe = connect(common::rogue("hangs-up").resume_timeout(milliseconds(200)));
            let began = Instant::now();
            let first = within(milliseconds(600), || probe.add(1, 2)).unwrap_err();
            let second = within(milliseconds(100), || probe.add(3, 4)).unwrap_err();
            let took = began.elapsed();
            let is_running = is_running(process(&probe).pid().unwrap());
            println!("{took:?}: {first:?}; {second:?}; runs: {is_running}");
            matches!(&first, Error::Disconnected { may_have_run: true, .. })
                && matches!(&second, Error::Timeout { may_have_run: false, .. })
                && took < milliseconds(1100)
                && is_running
        });
        assert!(is_prompt, "its exit status was waited for, or it was killed for want of a caller's time");
    });
}

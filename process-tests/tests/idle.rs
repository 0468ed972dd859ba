//! Plugins that nobody calls are stopped, and started again by the next call, which notices nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{LONG, Probe, connect, copy_program, launcher, milliseconds, next, process, watchdog, word};
use plugin_core::{Budget, Error, Event, Events, Launcher, Output, Restart, State, within};
use process_tests::system::{eventually, is_running};

/// All events until none comes any more.
fn told(events: &Events) -> Vec<String> {
    std::iter::from_fn(|| events.next_within(milliseconds(100))).map(|event| word(&event)).collect()
}

#[test]
fn a_plugin_that_nobody_calls_is_stopped_and_the_next_call_starts_it_again() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let dropped = directory.path().join("dropped");
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let launcher = launcher().idle_timeout(milliseconds(1000)).env("PROBE_DROPPED", &dropped);
        let probe = connect(launcher.on_start(move |process| {
            counted.fetch_add(1, Ordering::SeqCst);
            process.interface::<dyn Probe>()?.record(42).map(drop)
        }));
        let events = process(&probe).events();
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        assert_eq!(process(&probe).state(), State::Running);
        let first = process(&probe).pid();
        assert_eq!(next(&events), "Started");
        match events.next_within(LONG) {
            Some(Event::Idle(report)) => assert!(report.status().unwrap().success(), "{report}"),
            other => panic!("{other:?}"),
        }
        assert!(dropped.exists(), "it ended in an orderly way");
        assert_eq!(process(&probe).state(), State::Idle);
        assert_eq!(process(&probe).pid(), first, "the last run's");
        assert!(!is_running(first.unwrap()));
        assert!(process(&probe).supports("add"), "what it said of itself is remembered");
        assert!(events.next_within(milliseconds(300)).is_none(), "nobody starts it without a call");

        assert_eq!(probe.recorded().unwrap(), [42]);
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        assert_ne!(process(&probe).pid(), first);
        assert_eq!(process(&probe).state(), State::Running);
        assert_eq!([next(&events), next(&events)], ["Started", "Idle"], "there is no restart to tell of");
        process(&probe).ping().unwrap();
        assert_eq!([next(&events), next(&events)], ["Started", "Idle"], "a ping is a call");
    });
}

#[test]
fn without_an_idle_timeout_it_stays() {
    watchdog(60, || {
        let probe = connect(launcher());
        let events = process(&probe).events();
        assert_eq!(told(&events), ["Started"]);
        assert_eq!(process(&probe).state(), State::Running);
    });
}

#[test]
fn starting_it_again_costs_no_budget_and_waits_for_nothing() {
    watchdog(60, || {
        let none = Restart::OnDemand { budget: Budget { restarts: 0, per: Duration::from_secs(60) } };
        for policy in [Restart::Never, none] {
            let probe = connect(launcher().idle_timeout(milliseconds(30)).restart(policy));
            let events = process(&probe).events();
            let (mut fastest, mut fastest_fresh) = (LONG, LONG);
            for _ in 0..8 {
                assert_eq!([next(&events), next(&events)], ["Started", "Idle"]);
                let began = Instant::now();
                assert_eq!(probe.add(1, 2).unwrap(), 3);
                fastest = fastest.min(began.elapsed());
                let began = Instant::now();
                assert_eq!(connect(launcher()).add(1, 2).unwrap(), 3);
                fastest_fresh = fastest_fresh.min(began.elapsed());
            }
            let waits = fastest >= fastest_fresh + milliseconds(90);
            assert!(!waits, "a restart would wait for 100 ms: {fastest:?}, a first start takes {fastest_fresh:?}");
        }
    });
}

#[test]
fn a_call_in_flight_keeps_it() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(milliseconds(500)));
        let events = process(&probe).events();
        let pid = process(&probe).pid();
        probe.sleep(1500).unwrap();
        assert_eq!(process(&probe).pid(), pid);
        assert_eq!(told(&events)[..1], ["Started"]);
        assert!(eventually(LONG, || process(&probe).state() == State::Idle), "but not for ever");
    });
}

#[test]
fn a_oneway_call_that_has_not_run_keeps_it() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(milliseconds(500)));
        let events = process(&probe).events();
        let pid = process(&probe).pid();
        probe.hold(1).unwrap();
        probe.note(2).unwrap();
        assert_eq!(next(&events), "Started");
        assert!(events.next_within(milliseconds(1500)).is_none(), "it has not done what it was told to");
        probe.release().unwrap();
        assert_eq!(probe.recorded_at_last(2).unwrap(), [1, 2]);
        assert_eq!(process(&probe).pid(), pid);
        assert_eq!(next(&events), "Idle", "but not for ever");
    });
}

#[test]
fn calls_that_come_sooner_keep_it() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(milliseconds(1000)));
        let pid = process(&probe).pid();
        let began = Instant::now();
        while began.elapsed() < milliseconds(2500) {
            probe.add(1, 2).unwrap();
            thread::sleep(milliseconds(20));
        }
        assert_eq!(process(&probe).pid(), pid);
        let idle = Instant::now();
        assert!(eventually(LONG, || process(&probe).state() == State::Idle));
        assert!(idle.elapsed() > milliseconds(300), "it counts from the last call: {:?}", idle.elapsed());
    });
}

#[test]
fn no_call_that_races_the_stop_fails_or_is_lost_or_runs_twice() {
    const IDLE: u64 = 20;
    watchdog(120, || {
        let directory = tempfile::tempdir().unwrap();
        let probe = connect(launcher().idle_timeout(milliseconds(IDLE)).restart(Restart::Never));
        let starts = process(&probe).events();
        let starts = thread::spawn(move || starts.filter(|event| matches!(event, Event::Started { .. })).count());
        let (together, failures) = (Barrier::new(8), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for caller in 0..8 {
                let (probe, together) = (&probe, &together);
                let journal = directory.path().join(caller.to_string());
                let failures = &failures;
                scope.spawn(move || {
                    for number in 1..=120 {
                        together.wait();
                        // All around the time at which it is stopped, or a little later, while it is being stopped.
                        let round = fastrand::Rng::with_seed(number as u64).u64(0..4000);
                        thread::sleep(Duration::from_micros(IDLE * 1000 - 1000 + round + fastrand::u64(0..1000)));
                        match probe.perform_once(journal.to_str().unwrap(), "return") {
                            Ok(place) if place == number => {}
                            // Told when all are through: the others wait for this one.
                            other => failures.lock().unwrap().push(format!("call {number}: {other:?}")),
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
        for caller in 0..8 {
            let lines = fs::read_to_string(directory.path().join(caller.to_string())).unwrap().lines().count();
            assert_eq!(lines, 120, "each ran once");
        }
        drop(probe);
        let starts = starts.join().unwrap();
        println!("{starts} starts");
        assert!(starts > 20, "only {starts} starts");
    });
}

#[test]
fn calls_that_wait_for_it_are_not_left_waiting_by_an_idle_timeout_of_nothing() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(Duration::ZERO));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20).for_each(|number| assert_eq!(probe.add(number, 1).unwrap(), number + 1)));
            }
        });
    });
}

/// Takes a second to stop.
fn stubborn() -> Launcher {
    launcher().idle_timeout(milliseconds(100)).env("PROBE_STUBBORN", "1").stop_timeout(Duration::from_secs(2))
}

#[test]
fn a_call_waits_while_it_is_being_stopped_within_its_deadline() {
    watchdog(60, || {
        let probe = connect(stubborn());
        let pid = process(&probe).pid();
        assert!(eventually(LONG, || process(&probe).state() == State::Stopping));
        let error = within(milliseconds(50), || probe.add(1, 2)).unwrap_err();
        assert!(matches!(&error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        assert_eq!(process(&probe).pid(), pid);
        assert!(is_running(pid.unwrap()), "two never run at once");
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        assert!(!is_running(pid.unwrap()));
        assert_ne!(process(&probe).pid(), pid);
    });
}

#[test]
fn what_this_host_stops_while_it_is_idle_or_about_to_be_stays_stopped() {
    watchdog(60, || {
        for delay in [0, 20, 25, 30, 35, 40, 200] {
            let probe = connect(launcher().idle_timeout(milliseconds(30)));
            let events = process(&probe).events();
            thread::sleep(milliseconds(delay));
            process(&probe).shutdown().unwrap();
            assert_eq!(process(&probe).state(), State::Ended);
            assert!(matches!(probe.add(1, 2), Err(Error::Stopped { .. })));
            let told = told(&events);
            assert!(told == ["Started", "Stopped"] || told == ["Started", "Idle", "Stopped"], "{told:?}");
        }
        let probe = connect(stubborn());
        assert!(eventually(LONG, || process(&probe).state() == State::Stopping));
        let pid = process(&probe).pid().unwrap();
        process(&probe).kill().unwrap();
        assert!(!is_running(pid));
        assert_eq!(told(&process(&probe).events()), ["Started", "Stopped"]);
    });
}

#[test]
fn dropping_an_idle_plugin_ends_its_events() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(milliseconds(30)));
        let events = process(&probe).events();
        assert!(eventually(LONG, || process(&probe).state() == State::Idle));
        drop(probe);
        assert_eq!(events.map(|event| word(&event)).collect::<Vec<_>>(), ["Started", "Idle"]);
    });
}

#[test]
fn a_start_that_fails_is_told_and_tried_again_as_the_restart_policy_allows() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("probe");
        copy_program(common::PROBE, &program);
        let probe = connect(Launcher::new(&program).output(Output::Discard).idle_timeout(milliseconds(30)));
        assert!(eventually(LONG, || process(&probe).state() == State::Idle));
        fs::remove_file(&program).unwrap();
        assert!(matches!(probe.add(1, 2), Err(Error::NotFound { .. })));
        copy_program(common::PROBE, &program);
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn a_crash_is_still_a_crash() {
    watchdog(60, || {
        let probe = connect(launcher().idle_timeout(milliseconds(1000)));
        let events = process(&probe).events();
        probe.exit(1, "").unwrap_err();
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        let expected = ["Started", "Crashed", "Restarting", "Started", "Idle"];
        assert_eq!(expected.map(|_| next(&events)), expected);
    });
}

#[test]
fn one_thread_looks_after_all() {
    watchdog(60, || {
        let probes: Vec<_> = (0..5).map(|_| connect(launcher().idle_timeout(Duration::from_secs(3600)))).collect();
        let threads = || fs::read_dir("/proc/self/task").unwrap().flatten();
        let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
        let timers = || threads().filter(|task| name(&task.path()).starts_with("plugin-core tim")).count();
        assert!(eventually(LONG, || timers() == 1), "besides one that other tests have just left without work");
        drop(probes);
    });
}

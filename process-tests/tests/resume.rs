//! Cut connections: no call is lost, and none runs twice.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{LONG, behind_a_cutter, connect, milliseconds, process, record_from_threads, watchdog};
use plugin_core::{Error, State};
use process_tests::system::{eventually, stay_on_one_processor};

#[test]
fn every_call_of_many_threads_runs_exactly_once_whatever_is_cut() {
    watchdog(240, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts) = behind_a_cutter(1, 2000, 300, directory.path());
        let probe = connect(launcher);
        record_from_threads(&probe, 16);
        println!("{} cuts", cuts());
        assert!(cuts() >= 100, "only {} cuts", cuts());
    });
}

#[test]
fn messages_longer_than_the_distance_between_cuts_get_through() {
    watchdog(240, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts) = behind_a_cutter(2, 300_000, 60, directory.path());
        let probe = connect(launcher);
        for length in [1_usize, 70_000, 1 << 20, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect();
            assert!(probe.echo(&bytes).unwrap() == bytes, "{length} bytes came back changed");
        }
        assert!(cuts() >= 10, "only {} cuts", cuts());
        assert_eq!(process(&probe).state(), State::Running);
        assert!(process(&probe).shutdown().unwrap().status().unwrap().success());
    });
}

#[test]
fn a_plugin_that_does_not_come_back_in_time_fails_its_calls() {
    watchdog(60, || {
        let launcher = common::rogue("hangs-up").resume_timeout(milliseconds(200));
        let probe = connect(launcher);
        let error = probe.add(1, 2).unwrap_err();
        assert!(matches!(&error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
        assert!(error.to_string().contains("did not come back within 200ms"), "{error}");
    });
}

#[test]
fn a_stale_session_is_refused() {
    watchdog(60, || {
        let launcher = common::rogue("stale-session");
        let error = launcher.start_timeout(Duration::from_secs(5)).spawn().map(drop).unwrap_err();
        assert!(error.to_string().contains("no such session"), "{error}");
    });
}

#[test]
fn a_session_is_resumed_with_its_token_only_and_a_token_begins_one_session_only() {
    watchdog(60, || {
        let probe = connect(common::rogue("steals-sessions"));
        assert_eq!(probe.add(1, 2).unwrap(), 0, "the host let in who had only half of it");
    });
}

#[test]
fn of_two_connections_dialled_at_once_for_one_session_the_host_takes_one() {
    watchdog(120, || {
        let probe = connect(common::rogue("dials-twice"));
        for number in 1..=100 {
            assert_eq!(probe.add(1, 2).unwrap(), number, "every answer came over both and was taken once");
        }
    });
}

#[test]
fn a_session_can_be_resumed_as_soon_as_its_plugin_knows_it() {
    watchdog(120, || {
        // On one processor a plugin often runs on before the host that has just greeted it does.
        stay_on_one_processor().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..15 {
                        let probe = connect(common::rogue("resumes-at-once"));
                        assert_eq!(probe.add(1, 2).unwrap(), 7);
                    }
                });
            }
        });
    });
}

#[test]
fn a_process_that_dies_while_it_is_cut_off_is_told_at_once() {
    watchdog(60, || {
        let probe = connect(common::rogue("hangs-up-and-dies").resume_timeout(Duration::from_secs(40)));
        let began = Instant::now();
        let error = probe.add(1, 2).unwrap_err();
        assert!(matches!(&error, Error::Died { may_have_run: true, .. }), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "it waited for a dead process to come back");
    });
}

#[test]
fn cuts_are_told_as_events_and_leave_no_threads_behind() {
    watchdog(240, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts) = behind_a_cutter(3, 1000, 200, directory.path());
        let probe = connect(launcher);
        let events = process(&probe).events();
        for number in 0..3000 {
            assert_eq!(probe.add(number, 1).unwrap(), number + 1);
        }
        assert!(cuts() >= 100, "only {} cuts", cuts());
        assert!(eventually(LONG, || process_tests::system::threads() < 60), "threads of old links live");
        let mut told = Vec::new();
        // The last cut may have come with the last answer: then the link comes back a little later.
        while let Some(event) = events.next_within(if told.len() % 2 == 0 { LONG } else { milliseconds(50) }) {
            told.push(format!("{event:?}"));
        }
        assert!(told[0].starts_with("Started"));
        let are_pairs = told[1..].chunks(2).all(|pair| pair == ["Disconnected", "Resumed"]);
        assert!(told.len() > 100 && are_pairs, "{told:?}");
    });
}

//! 64 callers under faults, in small; at full size it is `cargo run --release -p benches --bin chaos`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

use std::{fs, path::Path, sync::atomic::Ordering};

use process_tests::{
    chaos::{Passed, Progress, Setup, Verdict, cut_run, kill_run},
    watchdog,
};

fn setup(directory: &Path) -> Setup {
    Setup {
        seed: 7,
        threads: 64,
        ledger: vec![env!("CARGO_BIN_EXE_ledger").into()],
        cutter: vec![env!("CARGO_BIN_EXE_cutter").into()],
        directory: directory.to_owned(),
    }
}

/// What is not there cannot go wrong.
fn assert_exercised(verdict: &Verdict) {
    let Passed { items, callbacks, objects, .. } = verdict.passed;
    assert!(items.min(callbacks).min(objects) > 50, "{verdict}");
}

#[test]
fn whatever_is_cut_every_call_is_answered_and_runs_once() {
    watchdog(120, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let progress = Progress::default();
        let verdict = cut_run(&setup(directory.path()), 3000, 300, &progress).unwrap();
        println!("{} cuts; {verdict}", progress.cuts.load(Ordering::Relaxed));
        assert!(verdict.is_clean(), "{:#?}", verdict.findings);
        assert_exercised(&verdict);
        let notes = fs::read_to_string(directory.path().join("cuts")).unwrap();
        assert!(
            ['<', '>'].iter().all(|direction| notes.matches(*direction).count() >= 50),
            "cut one way only: {notes}"
        );
    });
}

#[test]
fn whenever_it_is_killed_every_caller_is_told_the_truth() {
    watchdog(120, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let progress = Progress::default();
        let verdict = kill_run(&setup(directory.path()), 20, &progress).unwrap();
        println!("{} kills; {verdict}", progress.kills.load(Ordering::Relaxed));
        assert!(verdict.is_clean(), "{:#?}", verdict.findings);
        assert_exercised(&verdict);
        assert!(verdict.passed.ended_early > 0, "no kill hit a stream");
        assert!(verdict.may_have_run > 0, "no kill hit a call");
    });
}

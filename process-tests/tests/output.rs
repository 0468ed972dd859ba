//! What plugins print.
#![cfg_attr(not(unix), allow(unused_imports, reason = "not all tests are there"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use common::{PROBE, Probe, launcher, milliseconds, probe, process, watchdog};
use plugin_core::{Launcher, Output, OutputStream};

type Lines = Arc<Mutex<Vec<(OutputStream, String)>>>;

fn recorded() -> (Lines, Launcher) {
    let lines = Lines::default();
    let output = Output::lines({
        let lines = Arc::clone(&lines);
        move |line| {
            assert_eq!(line.plugin, "probe");
            lines.lock().unwrap().push((line.stream, line.text.to_owned()));
        }
    });
    (lines, Launcher::new(PROBE).output(output))
}

#[test]
fn lines_are_forwarded_with_their_stream() {
    watchdog(60, || {
        let (lines, launcher) = recorded();
        let probe = launcher.spawn().unwrap().interface::<dyn Probe>().unwrap();
        probe.say("to stdout", "to stderr").unwrap();
        process(&probe).shutdown().unwrap();
        let mut lines = lines.lock().unwrap().clone();
        lines.sort_by_key(|(stream, _)| *stream == OutputStream::Stderr);
        let expected = [(OutputStream::Stdout, "to stdout".into()), (OutputStream::Stderr, "to stderr".into())];
        assert_eq!(*lines, expected, "shutdown waits for the last lines");
    });
}

#[test]
fn a_mebibyte_without_a_newline_disturbs_no_call() {
    watchdog(120, || {
        let (lines, launcher) = recorded();
        let probe = launcher.spawn().unwrap().interface::<dyn Probe>().unwrap();
        thread::scope(|scope| {
            let printing = scope.spawn(|| probe.print(1 << 20));
            for number in 0..500 {
                assert_eq!(probe.add(number, 1).unwrap(), number + 1);
            }
            printing.join().unwrap().unwrap();
        });
        process(&probe).shutdown().unwrap();
        let lines = lines.lock().unwrap();
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let bytes: usize = lines.iter().filter(|line| line.0 == stream).map(|line| line.1.len()).sum();
            assert_eq!(bytes, 1 << 20, "{stream}");
        }
    });
}

#[test]
fn a_taker_that_blocks_blocks_no_plugin() {
    watchdog(120, || {
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        let output = Output::lines(move |_| {
            let _ = blocked.lock().unwrap().recv();
        });
        let probe = Launcher::new(PROBE).output(output).spawn().unwrap().interface::<dyn Probe>().unwrap();
        // More than the pipes and the queue hold together.
        let line = "a long line ".repeat(20);
        for number in 0..3000 {
            probe.say(&line, &line).unwrap();
            assert_eq!(probe.add(number, 1).unwrap(), number + 1);
        }
        drop(release);
    });
}

#[test]
fn the_last_lines_of_stderr_come_with_the_error() {
    watchdog(60, || {
        let probe = probe();
        for number in 0..5000 {
            probe.say("", &format!("line {number}")).unwrap();
        }
        let error = probe.exit(1, "the last one").unwrap_err().to_string();
        assert!(error.contains("line 4999\n  the last one"), "{error}");
        assert!(error.lines().count() < 15, "{error}");
    });
}

/// The last words are here those of a process that the plugin's end does not end, so that they surely come after it. There is
/// a limit of 200 ms to that.
#[cfg(target_os = "linux")]
#[test]
fn a_death_is_told_once_the_output_has_ended() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let mut shell = Command::new("/bin/sh");
        // It opens the pipe, for which the plugin waits to begin, only where the end of the plugin's group does not reach it any more.
        let late = "exec <\"$0\"; while read -r _; do :; done; i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done; echo late >&2";
        let script = format!("mkfifo \"$1\"; setsid sh -c '{late}' \"$1\" & exec \"$0\" 3>\"$1\"");
        shell.arg("-c").arg(script).arg(PROBE).arg(directory.path().join("end"));
        let probe = common::connect(Launcher::new(shell).output(Output::Discard));
        let began = Instant::now();
        let error = probe.exit(1, "early").unwrap_err().to_string();
        let has_waited = began.elapsed() >= milliseconds(200);
        assert!(error.contains("early\n  late") || has_waited, "{error}");
    });
}

#[test]
fn by_default_lines_go_to_the_hosts_stderr_with_the_plugins_name() {
    watchdog(60, || {
        let mut host = Command::new(common::HOST);
        // The rogue, told no mode, panics at its first call, or where it knows no modes ends at once, and says so on its
        // standard error.
        let output = host.arg(common::ROGUE).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("[rogue] "), "{stderr}");
    });
}

#[test]
fn output_can_be_discarded_and_is_still_kept_for_errors() {
    watchdog(60, || {
        let probe = launcher().output(Output::Discard).spawn().unwrap().interface::<dyn Probe>().unwrap();
        let error = probe.exit(1, "kept").unwrap_err();
        assert!(error.to_string().contains("kept"), "{error}");
    });
}

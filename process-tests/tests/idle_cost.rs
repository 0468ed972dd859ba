//! What plugins cost their host that nobody calls. The only test of its process: it counts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex},
};

use common::{LONG, PROBE, Probe, connect, process, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, Restart};
use process_tests::system::{eventually, is_running, open_files, threads};
use rustix::process::{Pid, Signal, kill_process};

/// How many threads all plugins together may cost.
const THREADS: usize = 5;

const PLUGINS: usize = 40;

#[test]
fn plugins_cost_their_host_no_threads() {
    watchdog(120, || {
        let before = threads();
        idle_plugins_have_none(before);
        their_ends_are_noticed_and_leave_none(before);
        what_a_dead_plugin_started_keeps_none(before);
    });
}

fn idle_plugins_have_none(before: usize) {
    let outputs = [Output::Discard, Output::Forward, Output::lines(|_| {})];
    let plugins: Vec<_> = (0..PLUGINS)
        .map(|number| connect(Launcher::new(PROBE).output(outputs[number % outputs.len()].clone())))
        .collect();
    for plugin in &plugins {
        assert_eq!(plugin.add(1, 2).unwrap(), 3);
    }
    assert!(eventually(LONG, || threads() <= before + THREADS), "{} threads, {before} before", threads());
    let files = open_files();
    for plugin in &plugins {
        process(plugin).shutdown().unwrap();
    }
    assert!(eventually(LONG, || threads() <= before + THREADS), "{} threads, {before} before", threads());
    assert!(eventually(LONG, || open_files() + 4 * PLUGINS < files), "{} files of {files}", open_files());
}

fn their_ends_are_noticed_and_leave_none(before: usize) {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let output = Output::lines({
        let lines = Arc::clone(&lines);
        move |line| lines.lock().unwrap().push(line.text.to_owned())
    });
    let launch = || connect(Launcher::new(PROBE).output(output.clone()).restart(Restart::Never));
    let plugins: Vec<Plugin<dyn Probe>> = (0..PLUGINS).map(|_| launch()).collect();
    for (number, plugin) in plugins.iter().enumerate() {
        plugin.say(&format!("last words of {number}"), "").unwrap();
        kill(process(plugin).pid().unwrap());
    }
    for (number, plugin) in plugins.iter().enumerate() {
        let error = plugin.add(1, 2).unwrap_err();
        let Error::Died { report, .. } = &error else { panic!("{error:?}") };
        assert!(report.to_string().contains("SIGKILL"), "{report}");
        let words = format!("last words of {number}");
        assert!(lines.lock().unwrap().contains(&words), "its output is taken before its death is told");
    }
    assert!(eventually(LONG, || threads() <= before + THREADS), "{} threads, {before} before", threads());
}

/// A process in a session of its own is in no group that is ended with the plugin, and holds its output open.
fn what_a_dead_plugin_started_keeps_none(before: usize) {
    let directory = tempfile::tempdir().unwrap();
    let plugins: Vec<_> = (0..PLUGINS / 4)
        .map(|number| {
            let survivor = directory.path().join(number.to_string());
            let mut shell = Command::new("/bin/sh");
            let script = "setsid sleep 60 & echo $! > \"$1\"; exec \"$0\"";
            shell.arg("-c").arg(script).arg(PROBE).arg(&survivor);
            (connect(Launcher::new(shell).output(Output::lines(|_| {}))), survivor)
        })
        .collect();
    let survivors: Vec<u32> = plugins
        .into_iter()
        .map(|(plugin, survivor)| {
            process(&plugin).shutdown().unwrap();
            fs::read_to_string(survivor).unwrap().trim().parse().unwrap()
        })
        .collect();
    let is_settled = eventually(LONG, || threads() <= before + THREADS);
    assert!(survivors.iter().all(|survivor| is_running(*survivor)));
    for survivor in survivors {
        kill(survivor);
    }
    assert!(is_settled, "{} threads, {before} before", threads());
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

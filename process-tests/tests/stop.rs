//! How plugins end: asked to, not listening, orphaned.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{
    HOST, LONG, PROBE, Probe, connect, in_one_of_a_few_tries, launcher, milliseconds, probe, process, watchdog,
};
use plugin_core::{Error, Plugin, Restart, State};
use process_tests::system::{eventually, is_running};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn gone_within(limit: Duration, pid: u32) -> bool {
    eventually(limit, || !is_running(pid))
}

#[test]
fn shutdown_waits_for_an_orderly_end() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("marker");
        let process = launcher().env("PROBE_DROPPED", &marker).spawn().unwrap();
        let pid = process.pid().unwrap();
        let report = process.shutdown().unwrap();
        assert!(report.status().unwrap().success(), "{report}");
        assert!(marker.exists(), "the value was dropped, `main` returned");
        assert!(!is_running(pid) && !Path::new(&format!("/proc/{pid}")).exists(), "and the process is reaped");
        assert_eq!(process.state(), State::Ended);
        assert_eq!(process.shutdown().unwrap().status(), report.status(), "again gives the same");
    });
}

#[test]
fn calls_after_shutdown_say_so_and_start_nothing() {
    watchdog(60, || {
        let probe = probe();
        process(&probe).shutdown().unwrap();
        let error = probe.add(1, 2).unwrap_err();
        assert!(matches!(&error, Error::Stopped { may_have_run: false, .. }), "{error:?}");
        let said = "plugin `probe` was stopped by this host before it ran `add`; connect again";
        assert!(error.to_string().starts_with(said), "{error}");
    });
}

#[test]
fn a_running_handler_gets_its_grace_and_its_caller_an_answer() {
    watchdog(60, || {
        let probe = probe();
        thread::scope(|scope| {
            let call = scope.spawn(|| probe.record_and_sleep(1, 100));
            // It has begun once its number is noted.
            assert!(eventually(LONG, || !probe.recorded().unwrap().is_empty()));
            process(&probe).shutdown().unwrap();
            call.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_handler_that_never_returns_does_not_hold_up_the_end() {
    watchdog(60, || {
        let probe = connect(launcher().stop_timeout(Duration::from_secs(40)));
        thread::scope(|scope| {
            let call = scope.spawn(|| probe.record_and_sleep(1, 600_000));
            // It has begun once its number is noted.
            assert!(eventually(LONG, || !probe.recorded().unwrap().is_empty()));
            let began = Instant::now();
            let report = process(&probe).shutdown().unwrap();
            assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
            assert!(report.status().unwrap().success(), "after its grace `main` returned: {report}");
            let error = call.join().unwrap().unwrap_err();
            assert!(matches!(&error, Error::Stopped { may_have_run: true, .. }), "{error:?}");
            let said =
                "plugin `probe` was stopped by this host during `record_and_sleep` (it may have run); connect again";
            assert!(error.to_string().starts_with(said), "{error}");
        });
    });
}

#[test]
fn a_plugin_that_ignores_goodbye_is_terminated_and_then_killed() {
    watchdog(60, || {
        let process = launcher().env("PROBE_STUBBORN", "1").stop_timeout(milliseconds(600)).spawn().unwrap();
        let began = Instant::now();
        let report = process.shutdown().unwrap();
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
        assert!(report.to_string().contains("SIGTERM"), "{report}");
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("trap '' TERM; PROBE_STUBBORN=1 {PROBE}; sleep 60"));
        let process = plugin_core::Launcher::new(shell).stop_timeout(milliseconds(600)).spawn().unwrap();
        let began = Instant::now();
        let report = process.shutdown().unwrap();
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
        assert!(report.to_string().contains("SIGKILL"), "{report}");
    });
}

#[test]
fn what_the_plugin_started_ends_with_it() {
    watchdog(60, || {
        for kill in [false, true] {
            let probe = probe();
            let grandchild = probe.spawn().unwrap();
            assert!(is_running(grandchild));
            let process = process(&probe);
            let report = if kill { process.kill() } else { process.shutdown() }.unwrap();
            assert_eq!(report.status().unwrap().success(), !kill);
            assert!(gone_within(LONG, grandchild));
        }
    });
}

#[test]
fn dropping_the_last_handle_stops_the_plugin() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("marker");
        let process = launcher().env("PROBE_DROPPED", &marker).spawn().unwrap();
        let probe = process.interface::<dyn Probe>().unwrap();
        let arc = Plugin::into_arc(probe);
        let pid = process.pid().unwrap();
        drop(process);
        assert_eq!(arc.add(1, 2).unwrap(), 3);
        drop(arc);
        assert!(gone_within(LONG, pid));
        assert!(marker.exists(), "gracefully");
    });
}

/// A host process with a plugin and a process that the plugin started.
struct Family {
    host: std::process::Child,
    plugin: u32,
    grandchild: u32,
}

impl Family {
    /// Waits for the host's end, then for that of the others, which surely comes; how long that took.
    fn outlives_its_host_by(&mut self) -> Duration {
        self.host.wait().unwrap();
        let began = Instant::now();
        assert!(gone_within(LONG, self.plugin), "the plugin outlived its host");
        assert!(gone_within(LONG, self.grandchild), "what the plugin started outlived the host");
        began.elapsed()
    }
}

fn family(configure: impl FnOnce(&mut Command)) -> Family {
    let mut command = Command::new(HOST);
    command.arg(PROBE).stdout(Stdio::piped()).stderr(Stdio::null());
    configure(&mut command);
    let mut host = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut ids = line.split_whitespace().map(|id| id.parse().unwrap());
    let (plugin, grandchild) = (ids.next().unwrap(), ids.next().unwrap());
    assert!(is_running(plugin) && is_running(grandchild));
    Family { host, plugin, grandchild }
}

#[test]
fn a_killed_host_takes_its_plugins_along_within_a_second() {
    watchdog(60, || {
        let could_clean_up = in_one_of_a_few_tries(|| {
            let directory = tempfile::tempdir().unwrap();
            let marker = directory.path().join("marker");
            let mut family = family(|host| {
                host.env("PROBE_DROPPED", &marker);
            });
            family.host.kill().unwrap();
            let took = family.outlives_its_host_by();
            println!("{took:?}");
            took < Duration::from_secs(1) && marker.exists()
        });
        assert!(could_clean_up, "it was too slow, or killed");
    });
}

#[test]
fn a_killed_host_takes_even_stubborn_plugins_along() {
    watchdog(60, || {
        let is_prompt = in_one_of_a_few_tries(|| {
            let mut family = family(|host| {
                host.env("PROBE_STUBBORN", "1");
            });
            family.host.kill().unwrap();
            family.outlives_its_host_by() < Duration::from_secs(1)
        });
        assert!(is_prompt);
    });
}

#[test]
fn ctrl_c_reaches_the_host_and_not_its_plugins_which_end_in_order() {
    watchdog(60, || {
        let were_let_go = in_one_of_a_few_tries(|| {
            let directory = tempfile::tempdir().unwrap();
            let marker = directory.path().join("marker");
            let mut family = family(|host| {
                host.process_group(0).env("PROBE_DROPPED", &marker);
            });
            // What a terminal does at Ctrl-C: to every process of the foreground group, which is the host's.
            kill_process_group(pid(family.host.id()), Signal::INT).unwrap();
            family.outlives_its_host_by() < Duration::from_secs(1) && marker.exists()
        });
        assert!(were_let_go, "the plugin was interrupted and not let go");
    });
}

#[test]
fn a_host_that_survives_ctrl_c_keeps_its_plugins() {
    watchdog(60, || {
        let probe = probe();
        let pid_of_plugin = pid(process(&probe).pid().unwrap());
        assert_eq!(rustix::process::getpgid(Some(pid_of_plugin)).unwrap(), pid_of_plugin, "a group of its own");
        assert_ne!(rustix::process::getpgrp(), pid_of_plugin);
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn a_terminated_plugin_is_noticed_without_a_call() {
    watchdog(60, || {
        let probe = launcher().restart(Restart::Never).spawn().unwrap().interface::<dyn Probe>().unwrap();
        kill_process(pid(process(&probe).pid().unwrap()), Signal::TERM).unwrap();
        assert!(eventually(LONG, || process(&probe).state() == State::Ended));
        assert!(matches!(probe.add(1, 2), Err(Error::Died { may_have_run: false, .. })));
    });
}

#[test]
fn sockets_of_killed_hosts_are_swept_at_the_next_start() {
    watchdog(60, || {
        let runtime = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let in_runtime = |host: &mut Command| {
            host.env("XDG_RUNTIME_DIR", runtime.path());
        };
        let entries = || fs::read_dir(runtime.path()).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let mut first = family(in_runtime);
        let left = entries();
        assert_eq!(left.len(), 1);
        first.host.kill().unwrap();
        first.host.wait().unwrap();
        assert_eq!(entries(), left, "a killed host cannot clean up");
        let mut second = family(in_runtime);
        assert!(eventually(Duration::from_secs(5), || entries().len() == 1));
        assert_ne!(entries(), left);
        second.host.kill().unwrap();
        second.host.wait().unwrap();
    });
}

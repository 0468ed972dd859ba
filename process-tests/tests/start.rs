//! Plugins that do not start, each told apart, with nothing left behind.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use common::{LONG, PROBE, Probe, copy_program, launcher, milliseconds, rogue, watchdog};
use plugin_core::{Error, Launcher, Output, Process, StartStage, connect};
use process_tests::system::eventually;
use rustix::process::{Pid, Signal, kill_process};

fn fails(launcher: Launcher) -> Error {
    let outcome = watchdog(60, || launcher.spawn().map(drop));
    let error = outcome.expect_err("it must not start");
    println!("{error}");
    error
}

fn file(name: &str, content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (path, draft) = (directory.path().join(name), directory.path().join("draft"));
    fs::write(&draft, content).unwrap();
    copy_program(&draft, &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (directory, path)
}

#[test]
fn a_missing_program() {
    let error = fails(Launcher::new("no/such/plugin"));
    assert!(matches!(&error, Error::NotFound { program, .. } if program == "no/such/plugin"), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    // Not the path of whoever runs the tests: it may name places where this user may not look.
    let named = Launcher::new("no-such-plugin-in-path").env("PATH", "/usr/bin:/bin");
    assert!(matches!(fails(named), Error::NotFound { .. }));
}

#[test]
fn a_missing_program_where_a_part_of_the_path_may_not_be_searched() {
    let directory = tempfile::tempdir().unwrap();
    let [closed, open] = ["closed", "open"].map(|name| directory.path().join(name));
    // Root may search all directories, but not even root may execute one.
    fs::create_dir_all(open.join("no-such-plugin")).unwrap();
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let path = std::env::join_paths([&closed, &open, Path::new("/usr/bin")]).unwrap();
    let error = fails(Launcher::new("no-such-plugin").env("PATH", path));
    assert!(matches!(&error, Error::NotFound { .. }), "{error:?}");
    let says_where = error.to_string().contains(&format!("this user may not search `{}` (", closed.display()));
    assert_eq!(says_where, !rustix::process::geteuid().is_root(), "{error}");
}

#[test]
fn a_program_that_may_not_be_executed() {
    let (_directory, path) = file("plugin", b"#!/bin/sh\n", 0o644);
    assert!(matches!(fails(Launcher::new(path)), Error::NotExecutable { .. }));
    assert!(matches!(fails(Launcher::new(Path::new("/usr"))), Error::NotExecutable { .. }));
}

#[test]
fn a_program_for_another_machine() {
    let mut elf = fs::read(PROBE).unwrap();
    elf[18] = if elf[18] == 183 { 62 } else { 183 };
    let (_directory, path) = file("plugin", &elf, 0o755);
    let error = fails(Launcher::new(path));
    assert!(matches!(&error, Error::WrongMachine { found, .. } if found.contains("ELF")), "{error:?}");
}

#[test]
fn a_missing_interpreter_is_not_a_missing_program() {
    let (_directory, path) = file("plugin", b"#!/no/such/interpreter\n", 0o755);
    assert!(matches!(fails(Launcher::new(path)), Error::Spawn { .. }));
}

#[test]
fn a_program_that_is_no_plugin_and_ends() {
    let error = fails(Launcher::new("/bin/true"));
    assert!(matches!(&error, Error::NotAPlugin { plugin, .. } if plugin == "true"), "{error:?}");
    assert!(error.to_string().contains("plugin_core::serve"), "{error}");
}

#[test]
fn a_program_that_is_no_plugin_and_waits() {
    let began = Instant::now();
    let error = fails(Launcher::new("/bin/cat").start_timeout(milliseconds(500)));
    assert!(matches!(&error, Error::StartTimeout { stage: StartStage::Spawned, .. }), "{error:?}");
    assert!(error.to_string().contains("may not be a plugin"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(9), "the default is 10 s: {:?}", began.elapsed());
}

#[test]
fn a_program_that_prints_garbage_forever() {
    let error = fails(rogue("garbage").start_timeout(milliseconds(1500)));
    assert!(matches!(&error, Error::StartTimeout { .. }), "{error:?}");
    assert!(error.to_string().contains("####"), "what it printed helps to see what it is: {error}");
}

#[test]
fn a_plugin_that_ends_before_it_is_ready() {
    let error = fails(rogue("exit-with-stderr"));
    assert!(matches!(&error, Error::ExitedAtStart { report, .. } if report.status().unwrap().code() == Some(3)));
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.contains("config file missing: /etc/rogue.toml"), "{text}");
    let text = fails(rogue("exit-silently")).to_string();
    assert!(text.contains("exit status: 3") && !text.contains("stderr"), "{text}");
}

#[test]
fn a_plugin_that_connects_and_stays_silent() {
    let error = fails(rogue("silent").start_timeout(milliseconds(2000)));
    let expected = if cfg!(target_os = "linux") { StartStage::Connected } else { StartStage::Spawned };
    assert!(matches!(&error, Error::StartTimeout { stage, .. } if *stage == expected), "{error:?}");
}

#[test]
fn a_silent_one_holds_up_nobody() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let silent = rogue("silent").start_timeout(Duration::from_secs(50)).env("ROGUE_PID", &file);
        let silent = std::thread::spawn(move || silent.spawn().map(drop));
        let pid = || fs::read_to_string(&file).ok()?.parse().ok().and_then(Pid::from_raw);
        assert!(eventually(LONG, || pid().is_some()));
        for _ in 0..5 {
            launcher().spawn().unwrap().shutdown().unwrap();
        }
        assert!(!silent.is_finished());
        kill_process(pid().unwrap(), Signal::KILL).unwrap();
        silent.join().unwrap().unwrap_err();
    });
}

#[test]
fn a_plugin_that_greets_with_garbage() {
    let error = fails(rogue("garbage-after-dial").start_timeout(milliseconds(500)));
    assert!(matches!(&error, Error::StartTimeout { .. }), "{error:?}");
}

#[test]
fn a_plugin_of_a_newer_protocol() {
    let error = fails(rogue("newer-protocol"));
    assert!(
        matches!(&error, Error::IncompatibleProtocol { ours, theirs, .. } if *ours == [1] && *theirs == [2, 3]),
        "{error:?}"
    );
}

#[test]
fn a_wrong_token() {
    let error = fails(rogue("wrong-token"));
    assert!(matches!(&error, Error::ExitedAtStart { .. }), "{error:?}");
    assert!(error.to_string().contains("wrong token"), "{error}");
}

#[test]
fn a_missing_interface() {
    let error = watchdog(60, || connect::<dyn Probe>(rogue("no-interface")).map(drop)).unwrap_err();
    assert!(matches!(&error, Error::MissingInterface { interface, .. } if interface == "Probe"), "{error:?}");
    assert!(error.to_string().contains("it serves none"), "{error}");
}

#[test]
fn an_older_interface_that_lacks_a_method() {
    let error = watchdog(60, || connect::<dyn Probe>(rogue("old-interface")).map(drop)).unwrap_err();
    assert!(matches!(&error, Error::MissingMethods { methods, .. } if methods.contains(&"echo".into())), "{error:?}");
}

#[test]
fn an_incompatible_version_of_the_interface() {
    let error = watchdog(60, || connect::<dyn Probe>(rogue("next-major")).map(drop)).unwrap_err();
    assert!(
        matches!(&error, Error::IncompatibleInterface { wanted, offered, .. } if wanted == "1.2.0" && offered == "2.0.0")
    );
}

#[test]
fn a_failed_start_leaves_no_process_behind() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        for mode in ["garbage", "silent", "exit-silently", "newer-protocol", "wrong-token"] {
            let file = directory.path().join(mode);
            rogue(mode).start_timeout(milliseconds(1500)).env("ROGUE_PID", &file).spawn().map(drop).unwrap_err();
            let pid: u32 = fs::read_to_string(&file).unwrap().parse().unwrap();
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{mode}: dead and reaped when the error is returned");
        }
    });
}

#[test]
fn a_long_tmpdir_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("d".repeat(200));
    fs::create_dir(&long).unwrap();
    // In a host process of its own: the variable is the host's.
    let mut host = Command::new(common::HOST);
    host.arg(PROBE).env("TMPDIR", &long).env_remove("XDG_RUNTIME_DIR").stdout(std::process::Stdio::piped());
    let mut host = host.spawn().unwrap();
    let line = watchdog(60, || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(host.stdout.take().unwrap()), &mut line).unwrap();
        line
    });
    host.kill().unwrap();
    host.wait().unwrap();
    assert_eq!(line.split_whitespace().count(), 2, "the host said {line:?}");
}

#[test]
fn options_reach_the_plugin() {
    watchdog(60, || {
        let variable = |launcher: Launcher, name: &str| {
            let process: Process = launcher.output(Output::Discard).spawn().unwrap();
            process.interface::<dyn Probe>().unwrap().variable(name).unwrap()
        };
        assert_eq!(variable(launcher().env("PROBE_TEST", "here"), "PROBE_TEST").as_deref(), Some("here"));
        assert_eq!(variable(launcher().env("HOME", "/elsewhere"), "HOME").as_deref(), Some("/elsewhere"));
        assert_eq!(variable(launcher().env_clear(), "PATH"), None);
        let named = launcher().name("first").spawn().unwrap();
        assert_eq!(named.name(), "first");
        assert!(named.interface::<dyn Probe>().unwrap().panic("x").unwrap_err().to_string().contains("plugin `first`"));
    });
}

//! Plugins started by hand.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use common::{PROBE, Probe, process, watchdog};
use plugin_core::{Error, Plugin, State, attach};

struct ByHand(Child);

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listen(socket: &Path) -> ByHand {
    let mut command = Command::new(PROBE);
    let mut child = command.env("PLUGIN_CORE_LISTEN", socket).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for a host to attach at "), "{line}");
    child.stderr = Some(stderr.into_inner());
    ByHand(child)
}

/// An address that is free, and its directory: on Windows the name of a pipe, which is in none.
fn private() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
    #[cfg(unix)]
    let socket = directory.path().join("probe.sock");
    #[cfg(windows)]
    let socket = PathBuf::from(format!("probe-{}", directory.path().file_name().unwrap().to_string_lossy()));
    (directory, socket)
}

#[test]
fn hosts_attach_and_detach_and_the_plugin_goes_on() {
    watchdog(60, || {
        let (_directory, socket) = private();
        let mut plugin = listen(&socket);
        let first = attach::<dyn Probe>(&socket).unwrap();
        let second = attach::<dyn Probe>(&socket).unwrap();
        assert_eq!(first.add(1, 2).unwrap(), 3);
        assert_eq!(process(&first).pid(), None);
        assert_eq!(process(&first).shutdown().unwrap().status(), None);
        assert_eq!(process(&first).state(), State::Ended);
        assert!(matches!(first.add(1, 2), Err(Error::Stopped { .. })));
        assert_eq!(second.add(3, 4).unwrap(), 7, "the other is not concerned");
        Plugin::process(&second).kill().unwrap();
        assert_eq!(attach::<dyn Probe>(&socket).unwrap().add(5, 6).unwrap(), 11);
        assert!(plugin.0.try_wait().unwrap().is_none(), "an attached plugin is nobody's to kill");
    });
}

#[test]
fn an_attached_plugin_that_dies_is_reported_as_lost() {
    watchdog(60, || {
        let (_directory, socket) = private();
        let _plugin = listen(&socket);
        let probe = attach::<dyn Probe>(&socket).unwrap();
        let error = probe.exit(1, "").unwrap_err();
        assert!(matches!(&error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
    });
}

#[cfg(unix)]
#[test]
fn an_address_is_left_to_the_plugin_that_listens_there() {
    watchdog(60, || {
        let (_directory, socket) = private();
        let _plugin = listen(&socket);
        let output = Command::new(PROBE).env("PLUGIN_CORE_LISTEN", &socket).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("another plugin is listening there already"), "{text}");
        assert_eq!(attach::<dyn Probe>(&socket).unwrap().add(1, 2).unwrap(), 3);
    });
}

#[test]
fn an_address_where_nobody_listens_is_told() {
    watchdog(60, || {
        let (_directory, socket) = private();
        let error = attach::<dyn Probe>(&socket).map(drop).unwrap_err();
        assert!(matches!(&error, Error::Attach { .. }), "{error:?}");
        assert!(error.to_string().contains("no plugin listens there"), "{error}");
    });
}

#[cfg(unix)]
#[test]
fn a_socket_left_by_a_killed_plugin_is_replaced() {
    watchdog(60, || {
        let (_directory, socket) = private();
        drop(listen(&socket));
        assert!(socket.exists());
        let error = attach::<dyn Probe>(&socket).map(drop).unwrap_err();
        assert!(matches!(&error, Error::Attach { .. }), "{error:?}");
        assert!(error.to_string().contains("no plugin listens there"), "{error}");
        let _plugin = listen(&socket);
        assert_eq!(attach::<dyn Probe>(&socket).unwrap().add(1, 2).unwrap(), 3);
    });
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    watchdog(60, || {
        let (directory, _) = private();
        let notes = directory.path().join("notes.txt");
        std::fs::write(&notes, "precious").unwrap();
        let output = Command::new(PROBE).env("PLUGIN_CORE_LISTEN", &notes).output().unwrap();
        assert!(!output.status.success());
        assert_eq!(std::fs::read_to_string(&notes).unwrap(), "precious");
    });
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_can_write_is_refused_on_both_sides() {
    use std::{fs, os::unix::fs::PermissionsExt};
    watchdog(60, || {
        let (directory, socket) = private();
        let _plugin = listen(&socket);
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = attach::<dyn Probe>(&socket).map(drop).unwrap_err();
        assert!(error.to_string().contains("can be written by others"), "{error}");
        let other = directory.path().join("other.sock");
        let output = Command::new(PROBE).env("PLUGIN_CORE_LISTEN", other).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("can be written by others"));
    });
}

#[test]
fn a_plugin_started_by_hand_says_what_it_is() {
    watchdog(60, || {
        let output = Command::new(PROBE).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("is a plugin") && text.contains("Probe 1.2.0: add, echo"), "{text}");
        assert!(text.contains("PLUGIN_CORE_LISTEN="), "{text}");
    });
}

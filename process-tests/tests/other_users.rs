//! Other users' processes are let in nowhere, even where a directory is open to them. Only root can play another user:
//! for everybody else these tests pass without trying.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use common::{HOST, PROBE, Probe, watchdog};
use plugin_core::attach;
use rustix::{
    process::{Uid, geteuid},
    thread::set_thread_res_uid,
};

/// Runs `body` on a thread that acts as another user. The other threads stay who they are.
fn as_another_user<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let other = Uid::from_raw(65_534);
    let run = || {
        set_thread_res_uid(None, other, None).unwrap();
        body()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("not tried: it takes root to play another user");
    }
    is_root
}

/// A directory that other users reach, wherever `TMPDIR` is.
fn reachable() -> tempfile::TempDir {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    set_mode(directory.path(), 0o755);
    directory
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Another user dials the socket, which somebody has opened to all, and is hung up on before it has said anything.
fn is_turned_away(socket: &Path) {
    set_mode(socket.parent().unwrap(), 0o755);
    set_mode(socket, 0o777);
    as_another_user(|| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "nothing is said to another user");
    });
}

/// A socket where another user's process waits.
fn foreign(directory: &Path) -> UnixListener {
    set_mode(directory, 0o777);
    let listener = as_another_user(|| UnixListener::bind(directory.join("s")).unwrap());
    set_mode(directory, 0o755);
    listener
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first_line(stream: impl Read) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_host_turns_another_user_away() {
    if !is_root() {
        return;
    }
    watchdog(60, || {
        let directory = reachable();
        let mut host = Command::new(HOST);
        host.arg(PROBE).env("XDG_RUNTIME_DIR", directory.path()).stdout(Stdio::piped());
        let mut host = Killed(host.spawn().unwrap());
        assert!(!first_line(host.0.stdout.take().unwrap()).is_empty());
        let place = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        is_turned_away(&place.join("s"));
    });
}

#[test]
fn a_plugin_that_waits_for_hosts_turns_another_user_away() {
    if !is_root() {
        return;
    }
    watchdog(60, || {
        let directory = reachable();
        let socket = directory.path().join("s");
        let mut plugin = Command::new(PROBE);
        plugin.env("PLUGIN_CORE_LISTEN", &socket).stderr(Stdio::piped());
        let mut plugin = Killed(plugin.spawn().unwrap());
        let mut stderr = BufReader::new(plugin.0.stderr.take().unwrap());
        stderr.read_line(&mut String::new()).unwrap();
        is_turned_away(&socket);
    });
}

#[test]
fn a_host_does_not_attach_to_another_users_plugin() {
    if !is_root() {
        return;
    }
    watchdog(60, || {
        let directory = reachable();
        let _listener = foreign(directory.path());
        let error = attach::<dyn Probe>(directory.path().join("s")).map(drop).unwrap_err();
        assert!(error.to_string().contains("belongs to another user"), "{error}");
    });
}

#[test]
fn a_plugin_does_not_introduce_itself_to_another_users_host() {
    if !is_root() {
        return;
    }
    watchdog(60, || {
        let directory = reachable();
        let _listener = foreign(directory.path());
        let mut plugin = Command::new(PROBE);
        plugin.env("PLUGIN_CORE_SOCKET", directory.path().join("s")).env("PLUGIN_CORE_TOKEN", "5a".repeat(32));
        let mut plugin = Killed(plugin.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        plugin.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("another user"), "{said}");
    });
}

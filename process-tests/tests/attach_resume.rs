//! Plugins started by hand whose connection is cut: the host dials again, and the plugin knows it by its session's name.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{LONG, PROBE, Probe, ProbeMethods, milliseconds, process, record_from_threads, watchdog};
use plugin_core::{Error, Plugin, State, attach};
use process_tests::{
    cutter::{self, Plan, stand_before},
    raw::{self, Frame, Hello, Welcome, kind},
    system::eventually,
};

/// A plugin that waits for hosts, in a directory of its own.
struct ByHand {
    child: Child,
    socket: PathBuf,
    directory: tempfile::TempDir,
}

impl ByHand {
    fn listen() -> Self {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let socket = directory.path().join("probe.sock");
        let mut command = Command::new(PROBE);
        let mut child = command.env("PLUGIN_CORE_LISTEN", &socket).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("waiting for a host to attach at "), "{line}");
        Self { child, socket, directory }
    }

    /// Attaches through a cutter; the second value is where the number of cuts is found.
    fn attach_behind_a_cutter(&self, seed: u64, distance: u64, cuts: u64) -> (Plugin<dyn Probe>, impl Fn() -> u64) {
        let notes = self.directory.path().join("cuts");
        let address = self.directory.path().join("cutter.sock");
        stand_before(self.socket.clone(), &address, Plan { seed, distance, cuts, notes: notes.clone() }).unwrap();
        (attach(address).unwrap(), move || cutter::cuts(&notes))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Dials a plugin as a host does, and answers its introduction.
fn greet(socket: &Path, welcome: &Welcome) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let frame = raw::read(&mut stream).unwrap();
    let hello: Hello = rmp_serde::from_slice(&frame.payload).unwrap();
    assert_eq!((frame.kind, hello.token.as_str(), hello.session.as_str()), (kind::HELLO, "", ""));
    let payload = rmp_serde::to_vec_named(welcome).unwrap();
    raw::write(&mut stream, &Frame::new(kind::WELCOME, 0, payload)).unwrap();
    stream
}

fn session(name: &str, resume_timeout: u64) -> Welcome {
    Welcome { protocol: 1, session: name.into(), resume_timeout, max_message: 1 << 20, ..Welcome::default() }
}

fn request(name: &str, call: u32, arguments: &[u8]) -> Frame {
    let method = ProbeMethods::NAMES.iter().position(|known| *known == name).unwrap();
    Frame { method: u16::try_from(method).unwrap(), ..Frame::new(kind::REQUEST, call, arguments.to_vec()) }
}

#[test]
fn every_call_of_many_threads_runs_exactly_once_whatever_is_cut() {
    watchdog(240, || {
        let plugin = ByHand::listen();
        let (probe, cuts) = plugin.attach_behind_a_cutter(21, 3000, 200);
        record_from_threads(&probe, 8);
        println!("{} cuts", cuts());
        assert!(cuts() >= 50, "only {} cuts", cuts());
        assert_eq!(process(&probe).state(), State::Running);
    });
}

#[test]
fn messages_longer_than_the_distance_between_cuts_get_through() {
    watchdog(240, || {
        let plugin = ByHand::listen();
        let (probe, cuts) = plugin.attach_behind_a_cutter(22, 300_000, 40);
        for length in [1_usize, 70_000, 1 << 20, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect();
            assert!(probe.echo(&bytes).unwrap() == bytes, "{length} bytes came back changed");
        }
        assert!(cuts() >= 10, "only {} cuts", cuts());
    });
}

#[test]
fn cuts_are_told_as_events() {
    watchdog(240, || {
        let plugin = ByHand::listen();
        let (probe, cuts) = plugin.attach_behind_a_cutter(23, 1000, 1000);
        let events = process(&probe).events();
        let mut told = Vec::new();
        // A cut that falls on a greeting is none of its own for the host.
        while told.len() < 21 {
            assert_eq!(probe.add(1, 2).unwrap(), 3);
            told.extend(std::iter::from_fn(|| events.next_within(Duration::ZERO)).map(|event| format!("{event:?}")));
        }
        assert!(told[0].starts_with("Started"));
        assert!(told[1..21].chunks(2).all(|pair| pair == ["Disconnected", "Resumed"]), "{told:?}");
        assert!(cuts() >= 10, "only {} cuts", cuts());
    });
}

#[test]
fn a_plugin_that_is_gone_is_told_at_once() {
    watchdog(60, || {
        let mut plugin = ByHand::listen();
        let probe = attach::<dyn Probe>(&plugin.socket).unwrap();
        let events = process(&probe).events();
        thread::scope(|scope| {
            let call = scope.spawn(|| probe.hang_forever());
            let answer = probe.add(1, 2);
            assert_eq!(answer.unwrap(), 3);
            let began = Instant::now();
            plugin.kill();
            let error = call.join().unwrap().unwrap_err();
            assert!(matches!(&error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
            assert!(error.to_string().contains("nobody listens at"), "{error}");
            assert!(began.elapsed() < Duration::from_secs(9), "it dialled a dead process for {:?}", began.elapsed());
        });
        let told: Vec<String> = (0..2).map(|_| format!("{:?}", events.next_within(LONG))).collect();
        assert!(told[1].contains("Disconnected"), "{told:?}");
    });
}

#[test]
fn another_process_at_the_same_address_is_not_taken_for_the_plugin() {
    watchdog(60, || {
        let mut plugin = ByHand::listen();
        let address = plugin.directory.path().join("cutter.sock");
        let plan = Plan { seed: 24, distance: 1 << 40, cuts: 0, notes: plugin.directory.path().join("cuts") };
        // It answers the host whether or not a plugin listens.
        stand_before(plugin.socket.clone(), &address, plan).unwrap();
        let probe = attach::<dyn Probe>(&address).unwrap();
        plugin.kill();
        let again = Command::new(PROBE).env("PLUGIN_CORE_LISTEN", &plugin.socket).stderr(Stdio::null()).spawn();
        plugin.child = again.unwrap();
        let error = probe.hang_forever().unwrap_err();
        assert!(matches!(&error, Error::Disconnected { .. }), "{error:?}");
        assert!(error.to_string().contains("the plugin has no such session"), "{error}");
    });
}

#[test]
fn a_session_is_resumed_by_who_knows_its_name_and_by_nobody_else() {
    watchdog(60, || {
        let plugin = ByHand::listen();
        let name = "5a".repeat(32);
        let mut host = greet(&plugin.socket, &session(&name, 50_000));
        raw::write(&mut host, &request("add", 1, &[0x92, 3, 4])).unwrap();
        let answer = raw::read(&mut host).unwrap();
        assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 1, vec![7]));
        for wrong in ["", "5a", &"5b".repeat(32)] {
            let mut stranger = greet(&plugin.socket, &Welcome { resume: true, ..session(wrong, 50_000) });
            assert_eq!(raw::read(&mut stranger).unwrap().kind, kind::REFUSED, "{wrong:?}");
        }
        raw::write(&mut host, &request("add", 2, &[0x92, 1, 1])).unwrap();
        assert_eq!(raw::read(&mut host).unwrap().payload, [2], "the session was left alone");

        drop(host);
        let mut host = greet(&plugin.socket, &Welcome { resume: true, received: 1, ..session(&name, 50_000) });
        let answer = raw::read(&mut host).unwrap();
        let hello: Hello = rmp_serde::from_slice(&answer.payload).unwrap();
        assert_eq!((answer.kind, hello.session, hello.received), (kind::HELLO, name, 2));
        let again = raw::read(&mut host).unwrap();
        assert_eq!((again.call, again.payload), (2, vec![2]), "what was not received is sent again, and no more");
        raw::write(&mut host, &Frame { ack: 2, ..request("add", 3, &[0x92, 2, 2]) }).unwrap();
        assert_eq!(raw::read(&mut host).unwrap().payload, [4]);
    });
}

#[test]
fn a_host_that_does_not_come_back_in_time_has_its_calls_cancelled() {
    watchdog(60, || {
        let plugin = ByHand::listen();
        let name = "5a".repeat(32);
        let mut host = greet(&plugin.socket, &session(&name, 400));
        // They work until they are cancelled, then note their numbers.
        raw::write(&mut host, &request("work", 1, &[0x91, 77])).unwrap();
        raw::write(&mut host, &request("add", 2, &[0x92, 3, 4])).unwrap();
        assert_eq!(raw::read(&mut host).unwrap().payload, [7]);
        let cut = Instant::now();
        drop(host);
        let other = attach::<dyn Probe>(&plugin.socket).unwrap();
        assert!(eventually(Duration::from_secs(20), || other.recorded().unwrap() == [77]));
        assert!(cut.elapsed() >= milliseconds(400), "it was given up after {:?}", cut.elapsed());
        let mut late = greet(&plugin.socket, &Welcome { resume: true, ..session(&name, 400) });
        assert_eq!(raw::read(&mut late).unwrap().kind, kind::REFUSED, "it is too late to come back");
    });
}

#[test]
fn a_host_can_come_back_where_no_other_may_come() {
    watchdog(60, || {
        let plugin = ByHand::listen();
        let name = |number: usize| format!("{number:064x}");
        let mut hosts: Vec<UnixStream> =
            (0..64).map(|number| greet(&plugin.socket, &session(&name(number), 50_000))).collect();
        let is_turned_away = || {
            let mut stream = UnixStream::connect(&plugin.socket).unwrap();
            stream.read(&mut [0]).unwrap_or_default() == 0
        };
        assert!(is_turned_away());
        drop(hosts.pop());
        // Until the plugin has noticed the cut, it takes this one for another host.
        assert!(eventually(Duration::from_secs(20), || !is_turned_away()));
        let mut host = greet(&plugin.socket, &Welcome { resume: true, ..session(&name(63), 50_000) });
        assert_eq!(raw::read(&mut host).unwrap().kind, kind::HELLO);
        // It is told that it may go on a moment before it counts as present.
        assert!(eventually(Duration::from_secs(20), is_turned_away), "all are there again");
    });
}

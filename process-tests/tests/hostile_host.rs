//! A host that breaks the protocol: the plugin answers what can be answered, and never crashes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(unix)]

mod common;

use std::{
    io::Read,
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use common::{PROBE, ProbeMethods, watchdog};
use process_tests::raw::{self, Failure, Frame, Hello, Welcome, kind};

/// A plugin whose host is this test.
struct Bare {
    child: Child,
    stream: UnixStream,
    _directory: tempfile::TempDir,
}

impl Bare {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let token = "5a".repeat(32);
        let mut command = Command::new(PROBE);
        command.env("PLUGIN_CORE_SOCKET", &socket).env("PLUGIN_CORE_TOKEN", &token);
        let child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let frame = raw::read(&mut stream).unwrap();
        assert_eq!((frame.kind, frame.flags, frame.ack), (kind::HELLO, 0, 0));
        let hello: Hello = rmp_serde::from_slice(&frame.payload).unwrap();
        assert_eq!((hello.protocols, hello.token), (vec![1], token));
        assert_eq!(hello.interfaces[0].methods, ProbeMethods::NAMES);
        let welcome = Welcome { protocol: 1, max_message: 1 << 20, ..Welcome::default() };
        let frame = Frame::new(kind::WELCOME, 0, rmp_serde::to_vec_named(&welcome).unwrap());
        raw::write(&mut stream, &frame).unwrap();
        Self { child, stream, _directory: directory }
    }

    fn request(&mut self, frame: &Frame) -> Frame {
        raw::write(&mut self.stream, frame).unwrap();
        raw::read(&mut self.stream).unwrap()
    }

    /// The plugin still answers.
    fn still_serves(&mut self) {
        let answer = self.request(&add(9000, &[0x92, 3, 4]));
        assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 9000, vec![7]));
    }

    /// The plugin hangs up by itself, and says with its status that its host is at fault.
    fn gives_up(mut self) {
        let mut rest = Vec::new();
        // Reset rather than ended, where something was still unread.
        let _ = self.stream.read_to_end(&mut rest);
        let status: ExitStatus = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{status}");
    }

    /// The plugin hangs up and ends as it does when its host is gone.
    fn hangs_up(mut self) {
        assert_eq!(self.stream.read(&mut [0; 10]).unwrap(), 0);
        let status: ExitStatus = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn method(name: &str) -> u16 {
    u16::try_from(ProbeMethods::NAMES.iter().position(|known| *known == name).unwrap()).unwrap()
}

fn add(call: u32, arguments: &[u8]) -> Frame {
    Frame { method: method("add"), ..Frame::new(kind::REQUEST, call, arguments.to_vec()) }
}

fn failure(answer: &Frame) -> (String, String) {
    assert_eq!(answer.kind, kind::FAILURE);
    let mut failure: Failure = rmp_serde::from_slice(&answer.payload).unwrap();
    (failure.remove("kind").unwrap().unwrap(), failure.remove("message").unwrap().unwrap())
}

fn fails(request: &Frame, kind: &str, why: &str) {
    watchdog(60, || {
        let mut plugin = Bare::start();
        let (found, message) = failure(&plugin.request(request));
        assert_eq!(found, kind);
        assert!(message.contains(why), "{message}");
        plugin.still_serves();
    });
}

#[test]
fn an_unknown_method_number() {
    fails(&Frame { method: 999, ..add(1, &[0x90]) }, "unknown-method", "no method number 999");
}

#[test]
fn an_unknown_object() {
    fails(&Frame { target: 77, ..add(1, &[0x92, 3, 4]) }, "unknown-method", "no object 77");
}

#[test]
fn arguments_of_the_wrong_shape() {
    fails(&add(1, &[0x92, 3, 0xa1, b'x']), "bad-arguments", "argument `b`");
    fails(&add(1, &[0x91, 3]), "bad-arguments", "expected 2 values, got 1");
    fails(&add(1, &[0x93, 3, 4, 5]), "bad-arguments", "expected 2 values, got 3");
    fails(&add(1, &[0x92, 3, 4, 5]), "bad-arguments", "unexpected bytes");
    fails(&add(1, &[]), "bad-arguments", "expected 2 values");
    fails(&add(1, &[0xc1]), "bad-arguments", "expected 2 values");
}

#[test]
fn arguments_that_end_too_early() {
    fails(&add(1, &[0x92, 3, 0xcf, 1]), "bad-arguments", "ends in the middle");
    fails(&add(1, &[0x92, 3, 0xdd, 0xff, 0xff, 0xff, 0xff]), "bad-arguments", "ends in the middle");
}

#[test]
fn arguments_nested_100_000_deep() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        let arguments = [vec![0x92, 3], raw::nested(100_000)].concat();
        for (place, part) in arguments.chunks(65_536).enumerate() {
            let flags = if place == 0 { 2 } else { 0 };
            raw::write(&mut plugin.stream, &Frame { flags, ..add(1, part) }).unwrap();
        }
        let (kind, message) = failure(&raw::read(&mut plugin.stream).unwrap());
        assert_eq!(kind, "bad-arguments");
        assert!(message.contains("deeper than 128 levels"), "{message}");
        plugin.still_serves();
    });
}

#[test]
fn metadata_is_passed_over() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        let request = Frame { flags: 1, ..add(1, &[0x81, 0xa1, b'x', 0x01, 0x92, 3, 4]) };
        assert_eq!(plugin.request(&request).payload, [7]);
    });
}

#[test]
fn a_frame_claiming_4_gib() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        std::io::Write::write_all(&mut plugin.stream, &raw::header(u32::MAX, &add(1, &[]))).unwrap();
        plugin.gives_up();
    });
}

#[test]
fn a_message_past_the_agreed_limit() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        for _ in 0..17 {
            // The plugin may hang up before the last is written.
            let _ = raw::write(&mut plugin.stream, &Frame { flags: 2, ..add(1, &vec![0; 64 << 10]) });
        }
        plugin.gives_up();
    });
}

#[test]
fn half_a_frame_and_then_the_end() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        let bytes = add(1, &[0x92, 3, 4]).to_bytes();
        std::io::Write::write_all(&mut plugin.stream, &bytes[..bytes.len() - 1]).unwrap();
        plugin.stream.shutdown(std::net::Shutdown::Write).unwrap();
        plugin.hangs_up();
    });
}

#[test]
fn goodbye_ends_the_plugin() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        raw::write(&mut plugin.stream, &Frame::new(kind::GOODBYE, 0, Vec::new())).unwrap();
        plugin.hangs_up();
    });
}

#[test]
fn a_cancellation_reaches_the_method() {
    watchdog(60, || {
        let mut plugin = Bare::start();
        // Without a deadline, so that nothing else ends it.
        let work = Frame { method: method("work"), ..Frame::new(kind::REQUEST, 1, vec![0x91, 3]) };
        raw::write(&mut plugin.stream, &work).unwrap();
        raw::write(&mut plugin.stream, &Frame::new(kind::CANCEL, 1, Vec::new())).unwrap();
        let answer = raw::read(&mut plugin.stream).unwrap();
        assert_eq!((answer.call, failure(&answer).0.as_str()), (1, "cancelled"));
        plugin.still_serves();
    });
}

#[test]
fn more_requests_than_can_wait_are_refused_and_those_that_wait_are_kept() {
    watchdog(120, || {
        let mut plugin = Bare::start();
        // 512 run, 65,536 wait.
        let requests = 512 + 65_536 + 1;
        let mut bytes = Vec::new();
        for call in 1..=requests {
            let hang = Frame { method: method("hang_forever"), ..Frame::new(kind::REQUEST, call, vec![0x90]) };
            bytes.extend(hang.to_bytes());
        }
        std::io::Write::write_all(&mut plugin.stream, &bytes).unwrap();
        let answer = loop {
            let frame = raw::read(&mut plugin.stream).unwrap();
            if frame.kind != kind::ACK {
                break frame;
            }
        };
        let (found, message) = failure(&answer);
        assert_eq!(found, "overloaded");
        assert!(message.contains("too many requests wait"), "{message}");
        assert!(answer.call > 65_536, "call {} of {requests} was refused", answer.call);
    });
}

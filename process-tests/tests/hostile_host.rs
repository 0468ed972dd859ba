//! A host that breaks the protocol: the plugin answers what can be answered, and never crashes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(unix)]

mod common;

use std::os::unix::process::ExitStatusExt as _;

use common::{
    ProbeMethods,
    bare::{Bare, SESSION, welcoming},
    watchdog,
};
use process_tests::raw::{self, Failure, Frame, Welcome, kind};

/// The plugin still answers.
fn still_serves(plugin: &mut Bare) {
    let answer = plugin.request(&add(9000, &[0x92, 3, 4]));
    assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 9000, vec![7]));
}

fn method(name: &str) -> u16 {
    u16::try_from(ProbeMethods::NAMES.iter().position(|known| *known == name).unwrap()).unwrap()
}

/// A call that nothing answers.
fn oneway(name: &str, arguments: &[u8]) -> Frame {
    Frame { method: method(name), ..Frame::new(kind::ONEWAY, 0, arguments.to_vec()) }
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
        let mut plugin = Bare::probe();
        let (found, message) = failure(&plugin.request(request));
        assert_eq!(found, kind);
        assert!(message.contains(why), "{message}");
        still_serves(&mut plugin);
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
        let mut plugin = Bare::probe();
        let arguments = [vec![0x92, 3], raw::nested(100_000)].concat();
        for (place, part) in arguments.chunks(65_536).enumerate() {
            let flags = if place == 0 { 2 } else { 0 };
            raw::write(&mut plugin.stream, &Frame { flags, ..add(1, part) }).unwrap();
        }
        let (kind, message) = failure(&raw::read(&mut plugin.stream).unwrap());
        assert_eq!(kind, "bad-arguments");
        assert!(message.contains("deeper than 128 levels"), "{message}");
        still_serves(&mut plugin);
    });
}

#[test]
fn metadata_is_passed_over() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        let request = Frame { flags: 1, ..add(1, &[0x81, 0xa1, b'x', 0x01, 0x92, 3, 4]) };
        assert_eq!(plugin.request(&request).payload, [7]);
    });
}

#[test]
fn a_frame_claiming_4_gib() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        std::io::Write::write_all(&mut plugin.stream, &raw::header(u32::MAX, &add(1, &[]))).unwrap();
        assert!(plugin.gives_up().contains("the host broke the protocol"));
    });
}

#[test]
fn a_message_past_the_agreed_limit() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        for _ in 0..17 {
            // The plugin may hang up before the last is written.
            let _ = raw::write(&mut plugin.stream, &Frame { flags: 2, ..add(1, &vec![0; 64 << 10]) });
        }
        assert!(plugin.gives_up().contains("the host broke the protocol"));
    });
}

#[test]
fn half_a_frame_and_then_the_end() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        let bytes = add(1, &[0x92, 3, 4]).to_bytes();
        std::io::Write::write_all(&mut plugin.stream, &bytes[..bytes.len() - 1]).unwrap();
        plugin.stream.shutdown(std::net::Shutdown::Write).unwrap();
        plugin.hangs_up();
    });
}

#[test]
fn goodbye_ends_the_plugin() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        raw::write(&mut plugin.stream, &Frame::new(kind::GOODBYE, 0, Vec::new())).unwrap();
        plugin.hangs_up();
    });
}

#[test]
fn a_host_that_is_gone_as_soon_as_it_has_said_goodbye_takes_even_stubborn_plugins_along() {
    watchdog(60, || {
        let mut plugin = Bare::stubborn_probe();
        raw::write(&mut plugin.stream, &Frame::new(kind::GOODBYE, 0, Vec::new())).unwrap();
        assert_eq!(plugin.ends_with_its_host().signal(), Some(9), "it was killed");
    });
}

#[test]
fn a_oneway_call_of_a_method_that_answers_has_no_answer_and_a_request_of_one_that_does_not_has_one() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        raw::write(&mut plugin.stream, &oneway("record", &[0x91, 5])).unwrap();
        raw::write(&mut plugin.stream, &oneway("check", &[0x91, 5])).unwrap();
        raw::write(&mut plugin.stream, &oneway("panic", &[0x91, 0xa1, b'x'])).unwrap();
        raw::write(&mut plugin.stream, &Frame { method: 999, ..oneway("note", &[0x91, 5]) }).unwrap();
        raw::write(&mut plugin.stream, &Frame { target: 77, ..oneway("note", &[0x91, 5]) }).unwrap();
        raw::write(&mut plugin.stream, &oneway("note", &[0x91, 6])).unwrap();
        let at_last = Frame {
            method: method("recorded_at_last"),
            deadline: 30_000,
            ..Frame::new(kind::REQUEST, 1, vec![0x91, 2])
        };
        let answer = plugin.request(&at_last);
        assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 1, vec![0x92, 5, 6]));
        let note = Frame { method: method("note"), ..Frame::new(kind::REQUEST, 2, vec![0x91, 7]) };
        let answer = plugin.request(&note);
        assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 2, vec![0xc0]));
        still_serves(&mut plugin);
    });
}

#[test]
fn half_a_window_of_oneway_calls_is_told_to_be_finished() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        for _ in 0..512 {
            raw::write(&mut plugin.stream, &oneway("note", &[0x91, 1])).unwrap();
        }
        let told = loop {
            let frame = raw::read(&mut plugin.stream).unwrap();
            if frame.kind != kind::ACK {
                break frame;
            }
        };
        assert_eq!((told.kind, told.call, told.payload), (kind::CREDIT, 512, Vec::new()));
    });
}

#[test]
fn more_oneway_calls_than_the_window_takes() {
    watchdog(60, || {
        let window = |count: usize| {
            let mut plugin = Bare::probe();
            let calls = [vec![oneway("hold", &[0x91, 0])], vec![oneway("note", &[0x91, 1]); count - 1]].concat();
            for call in calls {
                raw::write(&mut plugin.stream, &call).unwrap();
            }
            plugin
        };
        window(1025).gives_up();
        let mut plugin = window(1024);
        raw::write(&mut plugin.stream, &add(9, &[0x92, 3, 4])).unwrap();
        let answer = loop {
            let frame = raw::read(&mut plugin.stream).unwrap();
            if frame.kind != kind::ACK {
                break frame;
            }
        };
        assert_eq!((answer.kind, answer.call, answer.payload), (kind::VALUE, 9, vec![7]), "as many as it takes");
    });
}

#[test]
fn more_bytes_of_oneway_calls_than_the_window_takes() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        raw::write(&mut plugin.stream, &oneway("hold", &[0x91, 0])).unwrap();
        for _ in 0..18 {
            // The plugin may hang up before the last is written.
            let _ = raw::write(&mut plugin.stream, &oneway("note", &vec![0; 64 << 10]));
        }
        plugin.gives_up();
    });
}

#[test]
fn fragments_of_oneway_calls_that_are_mixed() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        raw::write(&mut plugin.stream, &Frame { flags: 2, ..oneway("note_with", &vec![0; 64 << 10]) }).unwrap();
        raw::write(&mut plugin.stream, &oneway("note", &[0x91, 1])).unwrap();
        plugin.gives_up();
    });
}

#[test]
fn a_violation_met_while_resuming_ends_the_plugin_at_once_and_is_named() {
    let lasting = Welcome { session: SESSION.into(), resume_timeout: 50_000, ..Welcome::default() };
    let ahead = welcoming(&Welcome { protocol: 1, received: 1000, max_message: 1 << 20, ..lasting.clone() });
    let answers = [
        (ahead, "acknowledges 1000 frames of 0 sent"),
        (Frame::new(99, 0, Vec::new()), "frame kind 99"),
        (Frame::new(kind::WELCOME, 0, vec![0xc1]), "the greeting cannot be read"),
    ];
    for (answer, why) in answers {
        watchdog(30, || {
            let mut plugin = Bare::start_session(&lasting);
            plugin.cut(&answer);
            let said = plugin.gives_up();
            assert!(said.contains("the host broke the protocol") && said.contains(why), "{said}");
        });
    }
}

#[test]
fn a_cancellation_reaches_the_method() {
    watchdog(60, || {
        let mut plugin = Bare::probe();
        // Without a deadline, so that nothing else ends it.
        let work = Frame { method: method("work"), ..Frame::new(kind::REQUEST, 1, vec![0x91, 3]) };
        raw::write(&mut plugin.stream, &work).unwrap();
        raw::write(&mut plugin.stream, &Frame::new(kind::CANCEL, 1, Vec::new())).unwrap();
        let answer = raw::read(&mut plugin.stream).unwrap();
        assert_eq!((answer.call, failure(&answer).0.as_str()), (1, "cancelled"));
        still_serves(&mut plugin);
    });
}

#[test]
fn more_requests_than_can_wait_are_refused_and_those_that_wait_are_kept() {
    watchdog(120, || {
        let mut plugin = Bare::probe();
        // 512 run, one more on the thread that read it before it was known to be slow; 65,536 wait.
        let requests = 512 + 1 + 65_536 + 1;
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

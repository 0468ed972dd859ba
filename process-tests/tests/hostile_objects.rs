//! Plugins and hosts that break the rules of objects and streams: the other side says so and hangs up, or passes over it, and lives.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]
#![cfg(unix)]

mod common;

use std::{process::Command, time::Duration};

use common::{LONG, bare::Bare, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, Result, Stream, within};
use process_tests::{
    eventually,
    raw::{self, Frame, Welcome, kind},
    streams::{Make, Streamer, StreamerMethods},
};

/// A plugin that says it is a streamer.
fn impostor(mode: &str) -> Plugin<dyn Streamer> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_impostor"));
    command.arg(mode);
    let launcher = Launcher::new(command).output(Output::Discard).stop_timeout(Duration::from_millis(200));
    launcher.spawn().and_then(|process| process.interface()).expect("it greets properly")
}

/// Reads the first of the impostor's stream, then has it misbehave; what came of that, and of the rest of the stream.
fn misbehaves(mode: &'static str) -> (Result<(u64, u64)>, Vec<Result<u64>>) {
    watchdog(60, move || {
        let streamer = impostor(mode);
        within(LONG, || {
            let mut numbers = streamer.count(3, Make::Iter).unwrap().into_iter();
            assert_eq!(numbers.next().unwrap().unwrap(), 0, "{mode}");
            let outcome = streamer.produced();
            let rest = if outcome.is_ok() { numbers.collect() } else { Vec::new() };
            (outcome, rest)
        })
    })
}

fn is_violation<T>(mode: &str, outcome: Result<T>, why: &str) {
    let Err(error) = outcome else { panic!("{mode} is let through") };
    let Error::Protocol { violation, .. } = &error else { panic!("{mode}: {error:?}") };
    assert!(violation.contains(why), "{mode}: {error}");
}

#[test]
fn plugins_that_send_what_nobody_asked_for() {
    for (mode, why) in [
        ("sends-too-much", "sent more of stream 70000 than was asked for"),
        ("sends-nothing", "sent more of stream 70000 than was asked for"),
        ("sends-metadata-without-items", "sent more of stream 70000 than was asked for"),
        ("sends-metadata-of-nonsense", "sent items of stream 70000 with metadata that cannot be read"),
        ("ends-twice", "sent something of stream 70000 behind its end"),
        ("goes-on-behind-the-end", "sent something of stream 70000 behind its end"),
        ("releases-what-it-never-had", "releases 1 references to object 70000, of 0"),
    ] {
        is_violation(mode, misbehaves(mode).0, why);
    }
}

#[test]
fn what_is_sent_of_streams_that_nobody_holds_is_passed_over() {
    for mode in ["sends-of-unknown", "sends-odd-metadata"] {
        let (outcome, rest) = misbehaves(mode);
        assert_eq!(outcome.unwrap(), (0, 0), "{mode}");
        assert_eq!(rest.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1], "{mode}");
    }
}

#[test]
fn items_that_cannot_be_read_end_their_stream_only() {
    for (mode, why) in [
        ("claims-a-long-item", "an item claims 4294967295 bytes, the limit is"),
        ("ends-inside-an-item", "the stream ends in the middle of an item"),
        ("ends-with-nonsense", ""),
    ] {
        let (outcome, rest) = misbehaves(mode);
        assert_eq!(outcome.unwrap(), (0, 0), "{mode}");
        let [Err(error)] = &rest[..] else { panic!("{mode}: {rest:?}") };
        assert!(matches!(error, Error::BadAnswer { .. }) && error.to_string().contains(why), "{mode}: {error:?}");
    }
}

#[test]
fn an_answer_in_place_of_items_ends_the_stream() {
    watchdog(60, || {
        let streamer = impostor("answers-the-reader");
        within(LONG, || {
            let mut numbers = streamer.count(3, Make::Iter).unwrap().into_iter();
            let error = numbers.next().unwrap().unwrap_err();
            assert!(error.to_string().contains("an answer of kind Value in place of items"), "{error:?}");
            assert!(numbers.next().is_none());
            drop(numbers);
            assert!(eventually(LONG, || streamer.produced().is_ok()), "the plugin is of use again");
        });
    });
}

#[test]
fn streams_that_are_given_wrongly() {
    let given = |mode| watchdog(60, move || within(LONG, || impostor(mode).count(3, Make::Iter).map(drop)));
    for mode in ["metadata-of-nonsense", "refers-to-another", "brings-nothing"] {
        let error = given(mode).unwrap_err();
        assert!(matches!(error, Error::BadAnswer { .. }), "{mode}: {error:?}");
    }
    given("gives-twice-the-same").unwrap();
    is_violation("gives-too-many", given("gives-too-many"), "gives more than 65536 objects");
}

#[test]
fn plugins_that_take_more_than_they_are_given() {
    let taken = |mode| watchdog(60, move || within(LONG, || impostor(mode).sum(Stream::iter((0..10).map(Ok)))));
    is_violation("demands-without-end", taken("demands-without-end"), "asks for 4294967295 bytes of a stream");
    is_violation("releases-too-much", taken("releases-too-much"), "releases 2 references");
    for mode in ["demands-of-nothing", "releases-nothing"] {
        assert_eq!(taken(mode).unwrap(), 7, "{mode}");
    }
}

/// A streamer whose host is this test.
fn streamer() -> Bare {
    Bare::start(env!("CARGO_BIN_EXE_streamer"), StreamerMethods::NAMES, &Welcome::default())
}

fn call(number: u32, name: &str, arguments: &[u8]) -> Frame {
    let method = StreamerMethods::NAMES.iter().position(|known| *known == name).unwrap();
    Frame { method: u16::try_from(method).unwrap(), ..Frame::new(kind::REQUEST, number, arguments.to_vec()) }
}

/// A call that gives stream 70000.
fn giving(name: &str) -> Frame {
    let payload = [raw::objects(&[STREAM]), vec![0x91], raw::reference(STREAM)].concat();
    Frame { flags: 1, ..call(1, name, &payload) }
}

const STREAM: u32 = 70_000;

fn about(kind: u8, target: u32, number: u32, payload: &[u8]) -> Frame {
    Frame { target, ..Frame::new(kind, number, payload.to_vec()) }
}

/// The next frame of that kind.
fn next(plugin: &mut Bare, kind: u8) -> Frame {
    loop {
        let frame = raw::read(&mut plugin.stream).unwrap();
        if frame.kind == kind {
            return frame;
        }
    }
}

fn still_serves(mut plugin: Bare) {
    raw::write(&mut plugin.stream, &call(9000, "produced", &[0x90])).unwrap();
    assert_eq!(next(&mut plugin, kind::VALUE).call, 9000);
}

#[test]
fn hosts_that_send_what_nobody_asked_for() {
    let end = about(kind::END, STREAM, 0, &[]);
    let items = |payload: &[u8]| about(kind::ITEMS, STREAM, 0, payload);
    for (frames, why) in [
        (vec![items(&[1, 0, 0, 0, 7])], "sent more of stream 70000 than was asked for"),
        (vec![items(&[])], "sent more of stream 70000 than was asked for"),
        (vec![Frame { flags: 1, ..items(&[0xc1, 0]) }], "with metadata that cannot be read"),
        (vec![end.clone(), end.clone()], "sent something of stream 70000 behind its end"),
        (vec![about(kind::RELEASE, STREAM, 1, &[])], "releases 1 references to object 70000, of 0"),
        (vec![about(kind::DECLARE, 0, 1, &[0xc1])], "declares an interface that cannot be read"),
    ] {
        watchdog(60, move || {
            let mut plugin = streamer();
            raw::write(&mut plugin.stream, &giving("keep")).unwrap();
            assert_eq!(next(&mut plugin, kind::VALUE).payload, [1], "it holds the stream, and does not read it");
            for frame in frames {
                raw::write(&mut plugin.stream, &frame).unwrap();
            }
            let said = plugin.gives_up();
            assert!(said.contains("the host broke the protocol") && said.contains(why), "{said}");
        });
    }
}

#[test]
fn hosts_that_take_more_than_they_are_given() {
    for (kind, count, why) in [
        (kind::DEMAND, u32::MAX, "asks for 4294967295 bytes of a stream of which 0 are owed"),
        (kind::RELEASE, 2, "releases 2 references to object"),
    ] {
        watchdog(60, move || {
            let mut plugin = streamer();
            raw::write(&mut plugin.stream, &call(1, "listen", &[0x90])).unwrap();
            let given = next(&mut plugin, kind::VALUE).payload;
            let target = u32::from_be_bytes(*given.last_chunk().unwrap());
            raw::write(&mut plugin.stream, &about(kind, target, count, &[])).unwrap();
            let said = plugin.gives_up();
            assert!(said.contains("the host broke the protocol") && said.contains(why), "{said}");
        });
    }
}

#[test]
fn a_host_that_gives_too_many_objects() {
    watchdog(60, || {
        let mut plugin = streamer();
        let payload = [raw::objects(&vec![7; 65_537]), vec![0x91], raw::reference(7)].concat();
        for frame in raw::fragments(&Frame { flags: 1, ..call(1, "sum", &payload) }) {
            raw::write(&mut plugin.stream, &frame).unwrap();
        }
        assert!(plugin.gives_up().contains("gives more than 65536 objects"));
    });
}

#[test]
fn a_host_that_speaks_of_streams_that_nobody_holds() {
    watchdog(60, || {
        let mut plugin = streamer();
        for kind in [kind::ITEMS, kind::END, kind::DEMAND] {
            raw::write(&mut plugin.stream, &about(kind, STREAM, u32::MAX, &[])).unwrap();
        }
        still_serves(plugin);
    });
}

#[test]
fn a_host_that_answers_where_items_are_waited_for() {
    watchdog(60, || {
        let mut plugin = streamer();
        raw::write(&mut plugin.stream, &giving("sum")).unwrap();
        assert_eq!(next(&mut plugin, kind::DEMAND).target, STREAM);
        // The reader may not wait yet: until it does, nobody takes such an answer.
        plugin.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let answer = loop {
            raw::write(&mut plugin.stream, &Frame::new(kind::VALUE, 1, vec![7])).unwrap();
            match raw::read(&mut plugin.stream) {
                Ok(frame) if frame.kind == kind::ERROR => break frame,
                _ => {}
            }
        };
        plugin.stream.set_read_timeout(Some(LONG)).unwrap();
        let said = String::from_utf8_lossy(&answer.payload).into_owned();
        assert!(said.contains("an answer of kind Value in place of items"), "{said}");
        still_serves(plugin);
    });
}

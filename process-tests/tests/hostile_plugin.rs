//! Plugins that greet properly and then break the protocol: the host fails the call, says why, and lives.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(unix)]

mod common;

use common::{LONG, Probe, rogue, watchdog};
use plugin_core::{Error, Plugin, within};

fn add(mode: &str) -> Result<u64, Error> {
    watchdog(60, || {
        let probe: Plugin<dyn Probe> = rogue(mode).spawn().unwrap().interface().unwrap();
        let outcome = within(LONG, || probe.add(3, 4));
        println!("{mode}: {outcome:?}");
        outcome
    })
}

fn breaks_the_protocol(mode: &str, why: &str) {
    let error = add(mode).unwrap_err();
    let Error::Protocol { violation, may_have_run: true, .. } = &error else { panic!("{error:?}") };
    assert!(violation.contains(why), "{error}");
}

#[test]
fn a_frame_claiming_4_gib() {
    breaks_the_protocol("claims-4-gib", "a frame claims 4294967295 bytes");
}

#[test]
fn an_unknown_kind() {
    breaks_the_protocol("unknown-kind", "frame kind 99");
}

#[test]
fn a_reserved_flag() {
    breaks_the_protocol("reserved-flag", "reserved");
}

#[test]
fn an_acknowledgement_of_what_was_never_sent() {
    breaks_the_protocol("ack-of-unsent", "acknowledges 1000 frames of 1 sent");
}

#[test]
fn an_end_of_oneway_calls_that_were_never_made() {
    breaks_the_protocol("credits-unsent", "has finished with 1 oneway messages of 0");
}

#[test]
fn a_release_of_what_it_does_not_hold() {
    breaks_the_protocol("releases-unheld", "releases 3 references to object 70000, of 0");
}

#[test]
fn a_message_that_refers_to_too_many_objects() {
    breaks_the_protocol("gives-one-too-often", "gives more than 65536 objects");
}

#[test]
fn objects_without_end_whose_releases_are_not_read() {
    assert_eq!(add("gives-and-takes").unwrap(), 7, "some are no offence");
    let error = add("gives-and-does-not-read").unwrap_err();
    assert!(error.to_string().contains("asks without reading the answers"), "{error:?}");
}

#[test]
fn half_a_frame_and_then_the_end() {
    let error = add("half-a-frame").unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{error:?}");
}

#[test]
fn an_answer_nested_100_000_deep() {
    let error = add("nested").unwrap_err();
    assert!(matches!(&error, Error::BadAnswer { message, .. } if message.contains("128 levels")), "{error:?}");
}

#[test]
fn answers_of_the_wrong_shape() {
    for mode in ["wrong-shape", "two-values", "empty"] {
        let error = add(mode).unwrap_err();
        assert!(matches!(&error, Error::BadAnswer { method, .. } if method == "add"), "{mode}: {error:?}");
    }
}

#[test]
fn what_a_newer_version_may_say_is_passed_over() {
    for mode in ["ignorable-kind", "unknown-call", "request-to-host", "oneway-to-host"] {
        assert_eq!(add(mode).unwrap(), 7, "{mode}");
    }
}

//! A plugin that is stopped is told from one that is busy, and goes on when it wakes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod common;

use std::thread;

use common::{LONG, milliseconds, probe, watchdog};
use plugin_core::{Error, Event, Events, Plugin, Process, within};
use rustix::process::{Pid, Signal, kill_process};

fn signal(process: &Process, signal: Signal) {
    let pid = Pid::from_raw(process.pid().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn next(events: &Events) -> Event {
    events.next_within(LONG).expect("an event")
}

#[test]
fn a_stopped_plugin_is_told_to_be_unresponsive_and_answers_when_it_wakes() {
    watchdog(60, || {
        let probe = probe();
        let process = Plugin::process(&probe);
        let events = process.events();
        assert!(matches!(next(&events), Event::Started { .. }));
        signal(process, Signal::STOP);
        thread::scope(|scope| {
            let call = scope.spawn(|| probe.add(1, 2));
            assert!(matches!(next(&events), Event::Unresponsive));
            let late = within(milliseconds(300), || probe.add(3, 4)).unwrap_err();
            assert!(matches!(&late, Error::Timeout { silent_for: Some(_), .. }), "{late:?}");
            assert!(late.to_string().contains("no sign of life"), "{late}");
            assert!(!call.is_finished());
            signal(process, Signal::CONT);
            assert_eq!(call.join().unwrap().unwrap(), 3);
        });
        assert!(matches!(next(&events), Event::Responsive));
        assert_eq!(probe.add(5, 6).unwrap(), 11);
        assert!(events.next_within(milliseconds(10)).is_none(), "once each");
    });
}

#[test]
fn a_plugin_that_is_merely_busy_is_not() {
    watchdog(60, || {
        let probe = probe();
        let events = Plugin::process(&probe).events();
        // Longer than it takes to be taken for unresponsive.
        probe.sleep(3500).unwrap();
        let late = within(milliseconds(100), || probe.sleep(1000)).unwrap_err();
        assert!(matches!(late, Error::Timeout { silent_for: None, .. }), "{late:?}");
        assert!(matches!(next(&events), Event::Started { .. }));
        assert!(events.next_within(milliseconds(10)).is_none());
    });
}

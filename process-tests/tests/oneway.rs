//! Calls that nothing answers: one at a time, in order, as many as the plugin takes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use common::{Probe, ProbeError, connect, launcher, milliseconds, probe, process, watchdog};
use plugin_core::{Error, Output, Plugin, Process, Restart, State, within};

/// How many small calls a plugin takes before it has finished with any.
const WINDOW: u64 = 1024;

/// A call with so many bytes of arguments.
fn note_sized(probe: &dyn Probe, number: u64, length: usize) -> Result<(), ProbeError> {
    probe.note_with(number, &vec![1; length], length)
}

/// Stops the plugin; whether on a busy machine its calls may have run out of the time that they have at the end.
fn shutdown_is_slow(process: &Process) -> bool {
    let began = Instant::now();
    process.shutdown().unwrap();
    began.elapsed() >= milliseconds(500)
}

/// Blocks the plugin's turns, then sends as many calls as it takes: their numbers are 0 to `WINDOW - 1`.
fn fill(probe: &dyn Probe) {
    probe.hold(0).unwrap();
    (1..WINDOW).for_each(|number| probe.note(number).unwrap());
}

/// There is no room for another call, and it does not wait past its deadline.
fn is_full(probe: &dyn Probe) {
    let began = Instant::now();
    let error = within(milliseconds(50), || probe.note(u64::MAX)).unwrap_err();
    assert!(matches!(&error, Error::Timeout { method, may_have_run: false, .. } if method == "note"), "{error:?}");
    assert!(error.to_string().contains("it did not run"), "{error}");
    assert!(began.elapsed() >= milliseconds(50) && began.elapsed() < Duration::from_secs(10));
}

#[test]
fn ten_thousand_calls_of_one_thread_run_in_order_large_ones_among_them() {
    watchdog(120, || {
        let probe = probe();
        for number in 0..10_000 {
            match number % 500 {
                0 => note_sized(&*probe, number, 3 << 20).unwrap(),
                100 => note_sized(&*probe, number, 70_000).unwrap(),
                200..203 => note_sized(&*probe, number, 60_000).unwrap(),
                _ => probe.note(number).unwrap(),
            }
        }
        assert!(probe.recorded_at_last(10_000).unwrap().into_iter().eq(0..10_000));
    });
}

#[test]
fn calls_of_many_threads_each_run_once_and_in_the_order_of_their_thread() {
    watchdog(120, || {
        let probe = probe();
        thread::scope(|scope| {
            for caller in 0..8_u64 {
                let probe = &probe;
                scope.spawn(move || (0..2000).for_each(|number| probe.note(caller << 32 | number).unwrap()));
            }
        });
        let recorded = probe.recorded_at_last(16_000).unwrap();
        for caller in 0..8 {
            let of_caller = recorded.iter().filter(|number| *number >> 32 == caller);
            assert!(of_caller.map(|number| number & 0xffff_ffff).eq(0..2000), "caller {caller}");
        }
    });
}

#[test]
fn calls_with_answers_do_not_wait_for_them() {
    watchdog(60, || {
        let probe = probe();
        probe.hold(1).unwrap();
        note_sized(&*probe, 2, 8 << 20).unwrap();
        for number in 0..100 {
            assert_eq!(probe.add(number, 1).unwrap(), number + 1);
        }
        assert_eq!(probe.echo(&vec![1; 100_000]).unwrap(), vec![1; 100_000]);
        assert!(probe.recorded().unwrap().is_empty(), "they run one at a time");
        probe.release().unwrap();
        assert_eq!(probe.recorded_at_last(2).unwrap(), [1, 2]);
    });
}

#[test]
fn whoever_finds_no_room_waits_within_the_deadline_and_later_calls_run() {
    watchdog(60, || {
        let probe = probe();
        fill(&*probe);
        is_full(&*probe);
        is_full(&*probe);
        assert_eq!(probe.add(1, 2).unwrap(), 3, "a call with an answer waits for no room");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| probe.note(WINDOW));
            probe.release().unwrap();
            waiting.join().unwrap().unwrap();
        });
        (WINDOW + 1..3000).for_each(|number| probe.note(number).unwrap());
        assert!(probe.recorded_at_last(3000).unwrap().into_iter().eq(0..3000), "those that found no room did not run");
    });
}

#[test]
fn room_is_counted_in_bytes_too_and_a_large_call_finds_it_among_many_small_ones() {
    watchdog(120, || {
        let probe = probe();
        probe.hold(0).unwrap();
        note_sized(&*probe, 1, 1 << 20).unwrap();
        is_full(&*probe);
        probe.release().unwrap();
        assert_eq!(probe.recorded_at_last(2).unwrap(), [0, 1]);
        thread::scope(|scope| {
            let large = scope.spawn(|| (0..5).try_for_each(|_| note_sized(&*probe, 2, 40 << 20)));
            while !large.is_finished() {
                probe.note(3).unwrap();
            }
            large.join().unwrap().unwrap();
        });
        let recorded = probe.recorded_at_last(7).unwrap();
        println!("{} small calls beside 5 large ones", recorded.iter().filter(|number| **number == 3).count());
    });
}

#[test]
fn a_deadline_that_has_passed_and_arguments_that_are_too_large_send_nothing() {
    watchdog(60, || {
        let probe = connect(launcher().max_message(1000));
        let error = within(Duration::ZERO, || probe.note(1)).unwrap_err();
        assert!(matches!(error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        assert!(note_sized(&*probe, 2, 1000).unwrap_err().to_string().contains("larger than 1000 bytes"));
        probe.note(3).unwrap();
        assert_eq!(probe.recorded_at_last(1).unwrap(), [3]);
    });
}

#[test]
fn a_call_has_no_deadline_of_its_own_where_it_runs() {
    watchdog(60, || {
        let probe = probe();
        within(Duration::from_secs(5), || probe.note_remaining()).unwrap();
        assert_eq!(probe.recorded_at_last(1).unwrap(), [u64::MAX]);
    });
}

#[test]
fn a_panic_or_an_error_ends_one_call_and_is_told_by_the_plugin() {
    watchdog(60, || {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&lines);
        let probe = connect(launcher().output(Output::lines(move |line| told.lock().unwrap().push(line.text.into()))));
        probe.note(1).unwrap();
        probe.panic_in_turn("no good").unwrap();
        probe.note_with(2, b"error", 1).unwrap();
        probe.note(3).unwrap();
        assert_eq!(probe.recorded_at_last(2).unwrap(), [1, 3]);
        assert_eq!(process(&probe).state(), State::Running);
        process(&probe).shutdown().unwrap();
        assert!(lines.lock().unwrap().iter().any(|line| line.contains("no good")), "{lines:?}");
    });
}

#[test]
fn all_that_was_sent_before_a_shutdown_runs() {
    watchdog(60, || {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&lines);
        let probe = connect(launcher().output(Output::lines(move |line| told.lock().unwrap().push(line.text.into()))));
        let texts: Vec<String> = (0..500).map(|number: u32| format!("line {number}")).collect();
        note_sized(&*probe, 1, 20 << 20).unwrap();
        for text in &texts {
            probe.say_in_turn(text).unwrap();
        }
        let is_slow = shutdown_is_slow(process(&probe));
        assert!(is_slow || *lines.lock().unwrap() == texts, "{lines:?}");
    });
}

#[test]
fn the_end_cancels_the_call_that_runs_and_lets_the_next_have_its_turn() {
    watchdog(60, || {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&lines);
        let probe = connect(launcher().output(Output::lines(move |line| told.lock().unwrap().push(line.text.into()))));
        probe.hold(1).unwrap();
        probe.say_in_turn("after the cancelled").unwrap();
        let is_slow = shutdown_is_slow(process(&probe));
        assert!(is_slow || *lines.lock().unwrap() == ["after the cancelled"], "{lines:?}");
        let error = probe.note(1).unwrap_err();
        assert!(matches!(&error, Error::Stopped { may_have_run: false, .. }), "{error:?}");
    });
}

#[test]
fn a_plugin_that_is_gone_is_told_also_to_those_who_wait_for_room() {
    watchdog(60, || {
        let probe = connect(launcher().restart(Restart::Never));
        fill(&*probe);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| probe.note(WINDOW));
            is_full(&*probe);
            probe.exit(3, "").unwrap_err();
            let error = waiting.join().unwrap().unwrap_err();
            assert!(matches!(&error, Error::Died { may_have_run: false, .. }), "{error:?}");
        });
        let error = probe.note(1).unwrap_err();
        assert!(matches!(&error, Error::Died { may_have_run: false, .. }), "{error:?}");
    });
}

#[test]
fn a_call_that_waits_for_room_goes_to_the_next_process() {
    watchdog(60, || {
        let probe = probe();
        fill(&*probe);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| probe.note(WINDOW));
            is_full(&*probe);
            probe.exit(3, "").unwrap_err();
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(probe.recorded_at_last(1).unwrap(), [WINDOW], "and what the old one had taken does not");
    });
}

#[cfg(unix)]
#[test]
fn a_default_body_runs_in_the_host_for_a_plugin_that_lacks_the_method() {
    watchdog(60, || {
        let older = connect(common::rogue("lacks-describe"));
        older.note_optionally(1).unwrap();
        let probe = probe();
        probe.note_optionally(2).unwrap();
        assert_eq!(probe.recorded_at_last(1).unwrap(), [2]);
    });
}

#[test]
fn in_process_too_all_that_was_sent_before_the_end_runs() {
    #[plugin_core::plugin_interface]
    trait Counter {
        #[method(oneway)]
        fn count(&self, bytes: &[u8]) -> plugin_core::Result<()>;
    }
    struct Real(Arc<Mutex<u64>>);
    impl Counter for Real {
        fn count(&self, _bytes: &[u8]) -> plugin_core::Result<()> {
            *self.0.lock().map_err(Error::custom)? += 1;
            Ok(())
        }
    }
    watchdog(60, || {
        for _ in 0..10 {
            let sum = Arc::default();
            let counter = plugin_core::in_process::<dyn Counter>(Real(Arc::clone(&sum))).unwrap();
            (0..499).for_each(|_| counter.count(&[0; 1000]).unwrap());
            counter.count(&vec![0; 500_000]).unwrap();
            let is_slow = shutdown_is_slow(Plugin::process(&counter));
            assert!(is_slow || *sum.lock().unwrap() == 500, "{sum:?}");
        }
    });
}

/// Makes calls, of which `length` says how many bytes each has, beside others until so many cuts were made; all must have
/// run, once and in order.
#[cfg(target_os = "linux")]
fn survives(seed: u64, distance: u64, cuts: u64, length: impl Fn(u64) -> usize + Sync) {
    watchdog(240, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts_so_far) = common::behind_a_cutter(seed, distance, cuts, directory.path());
        let probe = connect(launcher);
        let mut count = 0;
        thread::scope(|scope| {
            let noting = scope.spawn(|| {
                // Not to the last: two cuts at once may be counted in the wrong order.
                while cuts_so_far() < cuts - 10 {
                    (count..count + 100).for_each(|number| note_sized(&*probe, number, length(number)).unwrap());
                    count += 100;
                }
            });
            while !noting.is_finished() {
                assert_eq!(probe.add(1, 2).unwrap(), 3);
            }
        });
        println!("{count} calls, {} cuts", cuts_so_far());
        assert!(probe.recorded_at_last(usize::try_from(count).unwrap()).unwrap().into_iter().eq(0..count));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_is_cut_every_call_runs_exactly_once_and_in_order() {
    survives(7, 2000, 300, |_| 10);
}

#[cfg(target_os = "linux")]
#[test]
fn calls_larger_than_a_frame_keep_their_place_whatever_is_cut() {
    survives(8, 300_000, 40, |number| if number % 10 == 0 { 200_000 } else { 10 });
}

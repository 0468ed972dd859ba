//! Ordinary calls, large ones, and many at once.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    Other, Probe, ProbeError, ProbeMethods, Record, in_one_of_a_few_tries, launcher, probe, process, watchdog,
};
use plugin_core::{Error, Plugin, State};

#[test]
fn values_of_every_shape_come_back() {
    watchdog(60, || {
        let probe = probe();
        assert_eq!(probe.add(2, 3).unwrap(), 5);
        assert_eq!(probe.echo(b"\0\xff").unwrap(), b"\0\xff");
        assert_eq!(probe.measure(Vec::new()).unwrap(), 0);
        let part = Record { name: "part".into(), values: BTreeMap::from([("x".into(), 0.5)]), parts: Vec::new() };
        let record = Record { name: String::new(), parts: vec![part.clone(), part], ..Record::empty() };
        assert_eq!(probe.check(record.clone()).unwrap(), record);
    });
}

#[test]
fn a_typed_error_arrives_typed_and_an_untyped_one_with_its_message() {
    watchdog(60, || {
        let probe = probe();
        let nameless = Record { parts: vec![Record::empty()], ..Record::empty() };
        assert_eq!(probe.check(nameless).unwrap_err(), ProbeError::Nameless { part: 0 });
        let error = probe.fail("no disk left").unwrap_err();
        assert!(matches!(&error, Error::Remote { kind, .. } if kind == "custom"), "{error:?}");
        assert_eq!(error.to_string(), "no disk left");
    });
}

#[test]
fn one_process_serves_several_interfaces_and_ends_with_its_last_handle() {
    watchdog(60, || {
        let process = launcher().spawn().unwrap();
        let probe: Arc<dyn Probe> = process.interface::<dyn Probe>().unwrap().into();
        let other = process.interface::<dyn Other>().unwrap();
        assert_eq!(probe.add(1, 1).unwrap(), 2);
        assert_eq!(other.other("text").unwrap(), "text");
        assert_eq!(process.info().interfaces.len(), 2);
        assert_eq!(process.info().interfaces[0].methods, ProbeMethods::NAMES);
        assert!(process.supports(ProbeMethods::ADD) && !process.supports("subtract"));
        assert!(process.ping().unwrap() < Duration::from_secs(10));
        assert_eq!(process.state(), State::Running);
        drop((process, other));
        assert_eq!(probe.add(1, 2).unwrap(), 3, "the Arc alone keeps the plugin running");
    });
}

#[cfg(unix)]
#[test]
fn a_default_body_answers_for_a_plugin_that_lacks_the_method() {
    watchdog(60, || {
        assert_eq!(probe().describe().unwrap(), "the probe's own");
        let older = common::rogue("lacks-describe").spawn().unwrap().interface::<dyn Probe>().unwrap();
        assert!(!process(&older).supports(ProbeMethods::DESCRIBE));
        assert_eq!(older.describe().unwrap(), "1 + 1 = 2", "the body ran here, and its call went there");
    });
}

#[test]
fn a_slow_method_delays_nobody_else() {
    watchdog(60, || {
        let probe = probe();
        thread::scope(|scope| {
            // It waits for what the last of the others does.
            let slow = scope.spawn(|| probe.recorded_at_last(1));
            for number in 0..200 {
                assert_eq!(probe.add(number, 1).unwrap(), number + 1);
            }
            assert!(!slow.is_finished());
            probe.record(42).unwrap();
            assert_eq!(slow.join().unwrap().unwrap(), [42]);
        });
    });
}

#[test]
fn small_calls_are_quick_beside_a_60_mib_call() {
    watchdog(240, || {
        let probe = probe();
        let big = vec![1; 60 << 20];
        let are_quick = in_one_of_a_few_tries(|| {
            let barrier = Barrier::new(2);
            let (times, large) = thread::scope(|scope| {
                let large = scope.spawn(|| {
                    barrier.wait();
                    [(); 2].map(|()| {
                        let began = Instant::now();
                        assert_eq!(probe.echo(&big).unwrap().len(), big.len());
                        began.elapsed()
                    })
                });
                barrier.wait();
                let mut times = Vec::new();
                while !large.is_finished() {
                    let began = Instant::now();
                    probe.add(1, 2).unwrap();
                    times.push(began.elapsed());
                }
                (times, large.join().unwrap())
            });
            let (longest, large) = (*times.iter().max().unwrap(), *large.iter().min().unwrap());
            println!("{} small calls, the longest of {longest:?}, beside large ones of {large:?}", times.len());
            longest < large / 10
        });
        assert!(are_quick, "small calls wait for large ones to pass");
    });
}

#[test]
fn the_largest_message_gets_through_beside_many_less_large_ones() {
    watchdog(120, || {
        let probe = probe();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        assert_eq!(probe.measure(vec![0; 1_000_000]).unwrap(), 1_000_000);
                    }
                });
            }
            for _ in 0..3 {
                let largest = vec![0; (64 << 20) - 1000];
                assert_eq!(probe.measure(largest).unwrap(), (64 << 20) - 1000, "within the 30 s of any call");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn what_is_too_large_is_refused_on_either_side_and_the_plugin_goes_on() {
    watchdog(120, || {
        let probe = probe();
        let error = probe.measure(vec![0; 65 << 20]).unwrap_err();
        assert!(matches!(&error, Error::TooLarge { what, limit, .. } if what == "arguments" && *limit == 64 << 20));
        assert!(error.to_string().contains("raise `Launcher::max_message`"), "{error}");
        assert!(!error.may_have_run());
        let error = probe.produce(65 << 20).unwrap_err();
        assert!(matches!(&error, Error::TooLarge { what, .. } if what == "answer"), "{error:?}");
        assert!(error.may_have_run());
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn the_limit_can_be_raised_and_lowered() {
    watchdog(120, || {
        let tight = launcher().max_message(1000).spawn().unwrap().interface::<dyn Probe>().unwrap();
        assert_eq!(tight.echo(&[1; 900]).unwrap().len(), 900);
        assert!(matches!(tight.echo(&[1; 1000]), Err(Error::TooLarge { .. })));
        let wide = launcher().max_message(80 << 20).spawn().unwrap().interface::<dyn Probe>().unwrap();
        assert_eq!(wide.measure(vec![0; 70 << 20]).unwrap(), 70 << 20);
    });
}

#[test]
fn every_answer_of_64_threads_is_the_right_one() {
    watchdog(300, || {
        let probe = probe();
        #[cfg(target_os = "linux")]
        let before = process_tests::system::threads();
        thread::scope(|scope| {
            for caller in 0..64_u64 {
                let probe = &probe;
                scope.spawn(move || {
                    for number in 0..10_000 {
                        assert_eq!(probe.add(caller << 32, number).unwrap(), (caller << 32) + number);
                    }
                });
            }
        });
        #[cfg(target_os = "linux")]
        assert!(process_tests::system::threads() <= before + 2, "calls need no threads in the host");
        assert_eq!(process(&probe).state(), State::Running);
    });
}

#[test]
fn callers_of_large_messages_both_ways_do_not_lock_each_other_out() {
    watchdog(120, || {
        let probe = probe();
        thread::scope(|scope| {
            for caller in 0..8_u8 {
                let probe = &probe;
                scope.spawn(move || {
                    for _ in 0..4 {
                        let bytes = vec![caller; 3 << 20];
                        assert_eq!(probe.echo(&bytes).unwrap(), bytes);
                    }
                });
            }
        });
    });
}

#[test]
fn handles_are_cheap_to_clone_and_all_reach_the_same_process() {
    watchdog(60, || {
        let one = probe();
        let two = one.clone();
        assert_eq!(process(&one).pid(), process(&two).pid());
        assert_eq!(Plugin::into_arc(two).add(1, 2).unwrap(), 3);
        assert_eq!(format!("{one:?}").split('{').next().unwrap(), "Plugin(Process ");
    });
}

trait Empty {
    fn empty() -> Self;
}

impl Empty for Record {
    fn empty() -> Self {
        Self { name: String::new(), values: BTreeMap::new(), parts: Vec::new() }
    }
}

#[test]
fn a_thread_may_call_to_its_very_end() {
    /// Calls when its thread's own values are dropped, and tells what came of it.
    struct Last(Plugin<dyn Probe>, std::sync::mpsc::Sender<u64>);

    impl Drop for Last {
        fn drop(&mut self) {
            self.1.send(self.0.add(20, 22).unwrap()).unwrap();
        }
    }

    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }

    watchdog(60, || {
        let probe = probe();
        let (sender, sum) = std::sync::mpsc::channel();
        thread::spawn(move || {
            LAST.set(Some(Last(probe.clone(), sender)));
            // What this leaves with the thread is dropped before what was there first.
            probe.add(1, 2).unwrap();
        });
        assert_eq!(sum.recv_timeout(Duration::from_secs(20)).unwrap(), 42);
    });
}

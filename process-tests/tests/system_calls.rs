//! How many system calls a call takes: numbers that do not depend on how busy the machine is. They are counted in debug builds.
//!
//! Host and plugin share one processor. On several, how much goes out together is up to the scheduler: who finds the plugin idle
//! sends at once, which is what it should do.
#![cfg(all(target_os = "linux", debug_assertions))]
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use common::{Probe, connect, launcher, watchdog};
use plugin_core::{Plugin, Wait};
use process_tests::system::stay_on_one_processor;

/// The whole process counts together, so only one test may call at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn probe() -> Plugin<dyn Probe> {
    stay_on_one_processor().unwrap();
    connect(launcher().wait(Wait::Block))
}

/// How often host and plugin have sent, received and waited, together.
fn so_far(probe: &dyn Probe) -> [u64; 3] {
    let plugin = probe.system_calls().unwrap();
    let host = process_tests::system_calls();
    std::array::from_fn(|what| host[what] + plugin[what])
}

/// How many that were per call, with twice as many calls less what does not grow with them.
fn per_call(probe: &dyn Probe, calls: u32, run: impl Fn(u32)) -> [f64; 3] {
    run(calls / 4);
    let begin = so_far(probe);
    run(calls);
    let middle = so_far(probe);
    run(2 * calls);
    let end = so_far(probe);
    std::array::from_fn(|what| {
        let (once, twice) = (middle[what] - begin[what], end[what] - middle[what]);
        (twice as f64 - once as f64) / f64::from(calls)
    })
}

#[test]
fn one_caller_and_its_plugin_send_and_receive_once_each_and_never_wait_otherwise() {
    watchdog(120, || {
        let _alone = alone();
        let probe = probe();
        let per_call = per_call(&*probe, 4000, |calls| {
            for number in 0..calls {
                assert_eq!(probe.add(number.into(), 1).unwrap(), u64::from(number) + 1);
            }
        });
        let expected = [2.0, 2.0, 0.0];
        let is_exact = per_call.iter().zip(expected).all(|(count, expected)| (count - expected).abs() < 0.05);
        assert!(is_exact, "system calls per call: {per_call:?}");
    });
}

#[test]
fn what_64_threads_send_goes_out_together() {
    watchdog(120, || {
        let _alone = alone();
        let probe = probe();
        let per_call = per_call(&*probe, 64 * 200, |calls| {
            thread::scope(|scope| {
                for caller in 0..64_u64 {
                    let probe = &probe;
                    scope.spawn(move || {
                        for number in 0..u64::from(calls) / 64 {
                            assert_eq!(probe.add(caller << 32, number).unwrap(), (caller << 32) + number);
                        }
                    });
                }
            });
        });
        assert!(per_call[0] <= 0.25, "system calls per call: {per_call:?}");
    });
}

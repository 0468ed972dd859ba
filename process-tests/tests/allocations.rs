//! What calls allocate, on either side: small ones nothing, and large ones nothing that stays.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

use std::{
    sync::{Barrier, Mutex, PoisonError},
    thread,
    time::Duration,
};

use plugin_core::{Launcher, Plugin};
use process_tests::{
    Counter,
    allocations::{self, Counting},
    eventually, watchdog,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tests count what the process does, so they run one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn counter() -> Plugin<dyn Counter> {
    plugin_core::connect(Launcher::new(env!("CARGO_BIN_EXE_counter"))).unwrap()
}

/// How often this thread and the plugin allocate while `call` is called a thousand times, once all is as it will be.
fn allocated(counter: &Plugin<dyn Counter>, call: impl Fn(&Plugin<dyn Counter>)) -> (u64, u64) {
    // Which methods are quick is found out, tables grow, buffers come together.
    (0..2000).for_each(|_| call(counter));
    let (here, there) = (allocations::of_thread(), counter.allocations().unwrap());
    (0..1000).for_each(|_| call(counter));
    (allocations::of_thread() - here, counter.allocations().unwrap() - there)
}

#[test]
fn a_small_call_allocates_nothing_on_either_side() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(60, || {
        let counter = counter();
        let (here, there) = allocated(&counter, |counter| {
            assert_eq!(counter.measure("what is measured").unwrap(), 16);
        });
        println!("measure: {here} here, {there} there");
        let ignored = allocated(&counter, |counter| counter.ignore("nothing", u64::MAX).unwrap());
        println!("ignore: {ignored:?}");
        // The string that the method returns, and the one that the caller is given.
        let greeted = allocated(&counter, |counter| assert_eq!(counter.greet("Ada").unwrap(), "Ada"));
        println!("greet: {greeted:?}");
        // Now and then the system takes the processor from the plugin in the middle of a handler, another thread goes on
        // reading, and what belongs to that thread has to come together first.
        let few = |count: u64| count < 500;
        assert!(here == 0 && few(there), "{here} here, {there} there");
        assert!(ignored.0 == 0 && few(ignored.1), "{ignored:?}");
        assert!(greeted.0 == 1000 && few(greeted.1 - 1000), "{greeted:?}");
    });
}

#[test]
fn large_calls_leave_behind_no_more_than_a_bounded_store() {
    const CALLERS: usize = 64;
    const LENGTH: usize = 1 << 20;
    /// What a process keeps of large buffers, what its small things may have grown by, and what may not be acknowledged yet.
    const KEPT: i64 = (8 + 4) << 20;
    const KEPT_IN_USE: i64 = (64 + 4) << 20;
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(120, || {
        let counter = counter();
        let (here, there) = (allocations::live_bytes(), counter.live_bytes().unwrap());
        let all = Barrier::new(CALLERS);
        thread::scope(|scope| {
            for number in 0..CALLERS {
                let (counter, all) = (&counter, &all);
                scope.spawn(move || {
                    let bytes = vec![u8::try_from(number).unwrap(); LENGTH];
                    all.wait();
                    (0..3).for_each(|_| assert!(counter.echo(&bytes).unwrap() == bytes));
                });
            }
        });
        let kept = || (allocations::live_bytes() - here, counter.live_bytes().unwrap() - there);
        let most = kept();
        println!("{most:?} bytes are kept here and there");
        assert!(most.0 < KEPT_IN_USE && most.1 < KEPT_IN_USE, "{most:?} bytes are kept");
        // Nobody uses them any more, and that is noticed.
        let has_settled = || matches!(kept(), (here, there) if here < KEPT && there < KEPT);
        assert!(eventually(Duration::from_secs(30), has_settled), "{:?} bytes are still kept", kept());
    });
}

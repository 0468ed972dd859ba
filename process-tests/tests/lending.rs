//! Objects of async methods that a call lends to the plugin: their futures run where the caller's is polled, beside each other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    future::{pending, poll_fn},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::Instant,
};

use common::{executors::on_each_executor, milliseconds, watchdog};
use plugin_core::{Call, Error, Launcher, Output, Plugin, Result, in_process, plugin_interface, within, within_async};
use process_tests::lending::{Delegates, Manager, Worker};

fn delegates() -> Plugin<dyn Delegates> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_caller")).output(Output::Discard);
    launcher.spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

/// Works when enough others do.
#[derive(Default)]
struct Works<'a> {
    /// Borrowed from a test's stack, if at all.
    plugin: Option<&'a dyn Delegates>,
    /// How many must be doubled at once before any is.
    quorum: usize,
    doubling: Mutex<(usize, Vec<Waker>)>,
    /// How many linger, and what waits for them to be gone.
    lingering: Mutex<(usize, Vec<Waker>)>,
    /// How many have lingered, and how many of them were told that nobody waited for them any more, when they were dropped.
    lingered: AtomicUsize,
    cancelled: AtomicUsize,
    /// When a number is noted at the earliest.
    notes_from: Option<Instant>,
    noted: Mutex<Vec<u64>>,
    jotted: Mutex<Vec<u64>>,
    is_noting: AtomicBool,
}

impl<'a> Works<'a> {
    fn with(plugin: &'a dyn Delegates) -> Self {
        Self { plugin: Some(plugin), ..Self::default() }
    }

    fn plugin(&self) -> Result<&'a dyn Delegates> {
        self.plugin.ok_or_else(|| Error::custom("there is no plugin"))
    }

    fn lingering(&self) -> usize {
        self.lingering.lock().unwrap().0
    }

    /// Counts one in, or out.
    fn count(&self, change: isize) {
        let mut lingering = self.lingering.lock().unwrap();
        lingering.0 = lingering.0.checked_add_signed(change).unwrap();
        lingering.1.drain(..).for_each(Waker::wake);
    }
}

#[plugin_interface]
impl Worker for Works<'_> {
    async fn double(&self, number: u64) -> Result<u64> {
        assert!(!self.is_noting.load(Ordering::Relaxed), "nothing begins before what was told has ended");
        self.doubling.lock().unwrap().0 += 1;
        poll_fn(|context| {
            let mut doubling = self.doubling.lock().unwrap();
            if doubling.0 < self.quorum {
                doubling.1.push(context.waker().clone());
                return Poll::Pending;
            }
            doubling.1.drain(..).for_each(Waker::wake);
            Poll::Ready(())
        })
        .await;
        smol::future::yield_now().await;
        Ok(2 * number)
    }

    fn triple(&self, number: u64) -> Result<u64> {
        Ok(3 * number)
    }

    async fn change(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        smol::future::yield_now().await;
        Ok(bytes.iter().map(|byte| byte.wrapping_add(1)).collect())
    }

    async fn deeper(&self, level: u32) -> Result<u32> {
        if level == 0 { Ok(0) } else { Ok(self.plugin()?.dive(level - 1, self).await? + 1) }
    }

    async fn linger(&self) -> Result<()> {
        struct Counted<'a, 'b>(&'a Works<'b>);
        impl Drop for Counted<'_, '_> {
            fn drop(&mut self) {
                self.0.cancelled.fetch_add(usize::from(Call::current().is_cancelled()), Ordering::Relaxed);
                self.0.count(-1);
            }
        }
        self.lingered.fetch_add(1, Ordering::Relaxed);
        self.count(1);
        let _counted = Counted(self);
        pending().await
    }

    async fn see_it_gone(&self) -> Result<()> {
        poll_fn(|context| {
            let mut lingering = self.lingering.lock().unwrap();
            if lingering.0 == 0 {
                return Poll::Ready(Ok(()));
            }
            lingering.1.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn note(&self, number: u64) -> Result<()> {
        assert!(!self.is_noting.swap(true, Ordering::Relaxed), "one after the other");
        for _ in 0..3 {
            smol::future::yield_now().await;
        }
        self.is_noting.store(false, Ordering::Relaxed);
        if let Some(time) = self.notes_from {
            self.plugin()?.heard().await?;
            smol::Timer::at(time).await;
        }
        self.noted.lock().unwrap().push(number);
        assert!(number % 7 != 3, "on purpose, which ends nothing else");
        Ok(())
    }

    fn jot(&self, number: u64) -> Result<()> {
        assert_eq!(self.noted.lock().unwrap().last(), Some(&number), "what was told before has run");
        self.jotted.lock().unwrap().push(number);
        Ok(())
    }
}

/// The sum of what `in_turn` brings of so many.
fn in_turn(count: u64) -> u64 {
    (0..count).map(|number| if number % 2 == 0 { 2 * number } else { 3 * number }).sum()
}

#[test]
fn many_run_at_once_inside_of_the_callers_future() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let delegates = delegates();
            // None ends before all have begun.
            let works = Works { quorum: 500, ..Works::default() };
            assert_eq!(delegates.double_all(500, &works).await.unwrap(), 499 * 500);
            assert_eq!(delegates.in_turn(100, &works).await.unwrap(), in_turn(100));
        });
    });
}

#[test]
fn a_thread_runs_them_one_after_the_other_and_borrows_from_its_stack() {
    watchdog(60, || {
        let (delegates, works) = (delegates(), Works::default());
        for _ in 0..3 {
            assert_eq!(delegates.in_turn_blocking(100, &works).unwrap(), in_turn(100));
        }
        assert_eq!(delegates.on_threads(8, 20, &works).unwrap(), 8 * in_turn(20));
    });
}

#[test]
fn without_a_process_it_is_the_same() {
    watchdog(60, || {
        let delegates = in_process::<dyn Delegates>(Manager::default()).unwrap();
        let works = Works { plugin: Some(&*delegates), quorum: 50, ..Works::default() };
        smol::block_on(async {
            assert_eq!(delegates.double_all(50, &works).await.unwrap(), 49 * 50);
            assert_eq!(works.deeper(20).await.unwrap(), 20);
            assert_eq!(delegates.give_up(&works).await.unwrap(), 42);
        });
        assert_eq!(delegates.in_turn_blocking(10, &works).unwrap(), in_turn(10));
        assert_eq!(delegates.give_up_blocking(&works).unwrap(), 42);
    });
}

#[test]
fn what_fails_or_panics_fails_alone() {
    /// Fails for one number, panics for another.
    struct Fails;

    #[plugin_interface]
    impl Worker for Fails {
        async fn double(&self, number: u64) -> Result<u64> {
            smol::future::yield_now().await;
            match number {
                1 => Err(Error::custom("no ones")),
                2 => panic!("no twos"),
                _ => Works::default().double(number).await,
            }
        }

        fn triple(&self, _: u64) -> Result<u64> {
            Err(Error::custom("no threes"))
        }

        async fn change(&self, _: &[u8]) -> Result<Vec<u8>> {
            Err(Error::custom("no change"))
        }

        async fn deeper(&self, _: u32) -> Result<u32> {
            Err(Error::custom("no depths"))
        }

        async fn linger(&self) -> Result<()> {
            Ok(())
        }

        async fn see_it_gone(&self) -> Result<()> {
            Ok(())
        }

        async fn note(&self, number: u64) -> Result<()> {
            panic!("note {number} is lost")
        }

        fn jot(&self, number: u64) -> Result<()> {
            panic!("jot {number} is lost")
        }
    }

    watchdog(60, || {
        let delegates = delegates();
        let said = smol::block_on(delegates.try_all(50, &Fails)).unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], "no ones");
        assert!(said[1].starts_with("`double` of the host panicked at ") && said[1].ends_with(": no twos"), "{said:?}");
        let error = delegates.in_turn_blocking(2, &Fails).unwrap_err();
        assert!(error.to_string().contains("no threes"), "{error}");
        // Nothing answers these, and now and then one is waited for all the same.
        delegates.tell_some_blocking(200, &Fails).unwrap();
        smol::block_on(delegates.tell_some(200, &Fails)).unwrap();
        assert_eq!(delegates.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn what_nobody_waits_for_runs_in_order_and_before_the_method_returns() {
    watchdog(120, || {
        let delegates = delegates();
        let check = |tell: &dyn Fn(&Works<'_>) -> Result<u64>| {
            let works = Works::default();
            assert_eq!(tell(&works).unwrap(), 199 * 200);
            let (noted, jotted) = (works.noted.into_inner().unwrap(), works.jotted.into_inner().unwrap());
            assert!(noted.iter().copied().eq(0..2000) && jotted.iter().copied().eq(0..2000), "{noted:?} {jotted:?}");
        };
        check(&|works| smol::block_on(delegates.tell(200, works)));
        check(&|works| delegates.tell_blocking(200, works));
    });
}

#[test]
fn what_nothing_answers_runs_alone_whoever_tells_it() {
    watchdog(120, || {
        let (delegates, works) = (delegates(), Works::default());
        let sum = smol::block_on(delegates.tell_at_once(5, 200, &works)).unwrap();
        assert_eq!((sum, works.noted.into_inner().unwrap().len()), (5 * 2 * 100, 5 * 200));
    });
}

#[test]
fn what_was_told_before_the_answer_runs_to_its_end_whatever_time_that_takes() {
    watchdog(60, || {
        let (delegates, limit) = (delegates(), milliseconds(1000));
        let check = |tell: &dyn Fn(&Works<'_>) -> Result<()>| {
            let works = Works { notes_from: Some(Instant::now() + 2 * limit), ..Works::with(&*delegates) };
            tell(&works).unwrap();
            assert_eq!(works.noted.into_inner().unwrap(), [7]);
        };
        check(&|works| within(limit, || delegates.tell_one_blocking(7, works)));
        check(&|works| smol::block_on(within_async(limit, delegates.tell_one(7, works))));
    });
}

#[test]
fn callbacks_call_the_plugin_which_calls_back() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let delegates = delegates();
            let works = Works::with(&*delegates);
            let before = threads();
            assert_eq!(works.deeper(100).await.unwrap(), 100);
            assert!(threads() <= before + 4, "no level has a thread of its own");
        });
    });
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    process_tests::system::threads()
}

#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

#[test]
fn so_many_calls_may_wait_for_each_other_and_no_more() {
    watchdog(120, || {
        let delegates = delegates();
        let works = Works::with(&*delegates);
        // Tests have 2 MiB of stack.
        assert_eq!(smol::block_on(works.deeper(256)).unwrap(), 256);
        let error = smol::block_on(works.deeper(257)).unwrap_err().to_string();
        assert!(error.contains("256 calls wait for each other already"), "{error}");
        assert_eq!(smol::block_on(works.deeper(256)).unwrap(), 256, "also after one that went too far");
    });
}

/// Whose callbacks call methods that block.
struct Blocks<'a>(&'a dyn Delegates);

#[plugin_interface]
impl Worker for Blocks<'_> {
    async fn double(&self, number: u64) -> Result<u64> {
        self.0.add_later(self.0.add(number, 0)?, number).await
    }

    fn triple(&self, number: u64) -> Result<u64> {
        self.0.add(number, smol::block_on(self.double(number))?)
    }

    async fn change(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }

    async fn deeper(&self, level: u32) -> Result<u32> {
        if level == 0 { Ok(0) } else { Ok(self.0.dive_blocking(level - 1, self)? + 1) }
    }

    async fn linger(&self) -> Result<()> {
        pending().await
    }

    async fn see_it_gone(&self) -> Result<()> {
        Ok(())
    }

    async fn note(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn jot(&self, _: u64) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_blocks_and_what_does_not_go_together() {
    watchdog(120, || {
        let delegates = delegates();
        let blocks = Blocks(&*delegates);
        assert_eq!(smol::block_on(blocks.deeper(30)).unwrap(), 30);
        assert_eq!(delegates.in_turn_blocking(40, &blocks).unwrap(), in_turn(40));
        assert_eq!(smol::block_on(delegates.in_turn(40, &blocks)).unwrap(), in_turn(40));
        assert_eq!(smol::block_on(delegates.double_all(40, &blocks)).unwrap(), 39 * 40);
    });
}

#[test]
fn what_the_plugin_gives_up_is_dropped() {
    watchdog(120, || {
        let (delegates, works) = (delegates(), Works::default());
        for _ in 0..50 {
            assert_eq!(smol::block_on(delegates.give_up(&works)).unwrap(), 42);
            assert_eq!(delegates.give_up_blocking(&works).unwrap(), 42);
        }
        assert_eq!(works.lingering(), 0);
        let (lingered, cancelled) = (works.lingered.into_inner(), works.cancelled.into_inner());
        // One may be given up before it has begun.
        assert!(lingered == cancelled && lingered > 0, "{cancelled} of {lingered}");
    });
}

#[test]
fn who_drops_the_future_drops_its_callbacks_and_the_plugin_is_told() {
    watchdog(120, || {
        let delegates = delegates();
        for round in 0..20 {
            let works = Works::default();
            let is_stubborn = round % 2 == 0;
            smol::block_on(async {
                let mut call = if is_stubborn { delegates.linger_stubbornly(&works) } else { delegates.linger(&works) };
                while works.lingering() == 0 {
                    assert!(smol::future::poll_once(&mut call).await.is_none());
                }
            });
            assert_eq!(works.lingering(), 0);
            if is_stubborn {
                let said = delegates.said().unwrap();
                assert!(said.contains("the call that lent it has ended before it was done"), "{said}");
            }
        }
    });
}

#[test]
fn a_callback_has_no_more_time_than_its_call() {
    watchdog(60, || {
        let (delegates, works) = (delegates(), Works::default());
        let late = smol::block_on(within_async(milliseconds(200), delegates.linger(&works)));
        // Whose clock is first to say so does not matter.
        assert!(matches!(late, Ok(()) | Err(Error::Timeout { .. })), "{late:?}");
        assert_eq!(works.lingering(), 0);
        let late = within(milliseconds(200), || delegates.linger_blocking(&works));
        assert!(matches!(late, Ok(()) | Err(Error::Timeout { .. })), "{late:?}");
        assert_eq!(works.lingering(), 0);
    });
}

#[test]
fn a_plugin_that_ends_takes_the_callbacks_along() {
    watchdog(120, || {
        for is_blocking in [false, true] {
            let (delegates, works) = (delegates(), Works::default());
            let process = Plugin::process(&delegates).clone();
            thread::scope(|scope| {
                let calling = scope.spawn(|| {
                    if is_blocking {
                        delegates.linger_blocking(&works)
                    } else {
                        smol::block_on(delegates.linger(&works))
                    }
                });
                while works.lingering() == 0 {
                    thread::yield_now();
                }
                process.kill().unwrap();
                let outcome = calling.join().unwrap();
                assert!(matches!(outcome, Err(Error::Stopped { may_have_run: true, .. })), "{outcome:?}");
            });
            assert_eq!(works.lingering(), 0);
        }
    });
}

#[test]
fn many_tasks_lend_at_once() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let delegates = delegates();
            let tasks: Vec<_> = (0..50)
                .map(|task| {
                    let delegates = delegates.clone();
                    executor.spawn(async move {
                        let works = Works { quorum: 20, ..Works::with(&*delegates) };
                        match task % 3 {
                            0 => delegates.double_all(20, &works).await.map(|sum| sum - 19 * 20),
                            1 => works.deeper(6).await.map(|levels| u64::from(levels - 6)),
                            _ => delegates.add_later(task, 1).await.map(|sum| sum - task - 1),
                        }
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 0);
            }
        });
    });
}

#[test]
fn large_values_both_ways_do_not_lock_each_other_out() {
    watchdog(120, || {
        let delegates = delegates();
        thread::scope(|scope| {
            for number in 0..4_u8 {
                let delegates = &delegates;
                scope.spawn(move || {
                    let (bytes, works) = (vec![number; 2 << 20], Works::default());
                    let changed = smol::block_on(delegates.change_all(&bytes, 4, &works, &works));
                    assert_eq!(changed.unwrap(), vec![number + 4; 4 << 20]);
                });
            }
        });
    });
}

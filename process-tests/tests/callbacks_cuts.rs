//! What a call lends, over connections that are cut a thousand times: every callback runs once, in order, and is accounted for.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use common::watchdog;
use plugin_core::{Output, Process, Result, plugin_interface};
use process_tests::{
    callback::{Caller, TaskCaller},
    lending::{Delegates, Worker},
};

const CUTS: u64 = 1000;

/// Counts what it does.
#[derive(Default)]
struct Counts {
    doubled: Mutex<Vec<u64>>,
    noted: Mutex<Vec<u64>>,
    jotted: Mutex<Vec<u64>>,
    changed: AtomicU64,
}

#[plugin_interface]
impl Worker for Counts {
    async fn double(&self, number: u64) -> Result<u64> {
        self.doubled.lock().unwrap().push(number);
        smol::future::yield_now().await;
        Ok(2 * number)
    }

    fn triple(&self, number: u64) -> Result<u64> {
        Ok(3 * number)
    }

    async fn change(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.changed.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.iter().map(|byte| byte.wrapping_add(1)).collect())
    }

    async fn deeper(&self, level: u32) -> Result<u32> {
        Ok(level)
    }

    async fn linger(&self) -> Result<()> {
        Ok(())
    }

    async fn see_it_gone(&self) -> Result<()> {
        Ok(())
    }

    async fn note(&self, number: u64) -> Result<()> {
        self.noted.lock().unwrap().push(number);
        Ok(())
    }

    fn jot(&self, number: u64) -> Result<()> {
        self.jotted.lock().unwrap().push(number);
        Ok(())
    }
}

impl Counts {
    /// What was doubled, noted and jotted since this was asked last.
    fn take(&self) -> [Vec<u64>; 3] {
        [&self.doubled, &self.noted, &self.jotted].map(|told| std::mem::take(&mut *told.lock().unwrap()))
    }
}

/// Functions with and without a result, which call the plugin again.
fn functions(process: &Process, round: u64) {
    let caller = process.interface::<dyn Caller>().unwrap();
    let (mut visited, mut told) = (Vec::new(), Vec::new());
    let sum = caller.visit(20, &mut |number| {
        visited.push(number);
        caller.add(number, round)
    });
    assert_eq!(sum.unwrap(), 190 + 20 * round);
    assert!(visited.into_iter().eq(0..20));
    caller.tell(200, &mut |number| told.push(number)).unwrap();
    assert!(told.into_iter().eq(0..200));
}

/// The same in tasks, and of an object of sync methods.
async fn functions_of_tasks(process: &Process) {
    struct Hears(AtomicU64);

    #[plugin_interface]
    impl process_tests::callback::Listener for Hears {
        fn hear(&self, text: &str) -> Result<usize> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(text.len())
        }

        fn note(&self, _: u64) -> Result<()> {
            Ok(())
        }
    }

    let caller = process.interface::<dyn TaskCaller>().unwrap();
    let (listener, mut told) = (Hears(AtomicU64::new(0)), Vec::new());
    let heard = caller.tell(50, &mut |number| told.push(number), &listener).await;
    assert_eq!((heard.unwrap(), listener.0.into_inner()), (250, 50));
    assert!(told.into_iter().eq(0..50));
}

/// Async methods of an object, many at once, and ones that nobody waits for.
async fn objects(delegates: &dyn Delegates, counts: &Counts) {
    assert_eq!(delegates.double_all(30, counts).await.unwrap(), 29 * 30);
    let [mut doubled, ..] = counts.take();
    doubled.sort_unstable();
    assert!(doubled.into_iter().eq(0..30), "each once");
    assert_eq!(delegates.tell(20, counts).await.unwrap(), 19 * 20);
    let [doubled, noted, jotted] = counts.take();
    assert!(doubled.into_iter().eq(0..20) && noted.into_iter().eq(0..200) && jotted.into_iter().eq(0..200));
}

/// As much as mostly passes between two cuts, so that some fall into it, and it is sent again.
async fn large(delegates: &dyn Delegates, counts: &Counts) {
    let changed = delegates.change_all(&[1; 10_000], 2, counts, counts).await.unwrap();
    assert_eq!((changed, counts.changed.swap(0, Ordering::Relaxed)), (vec![3; 20_000], 4));
}

#[test]
fn a_thousand_cuts_lose_and_repeat_no_callback() {
    watchdog(200, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts) =
            common::program_behind_a_cutter(env!("CARGO_BIN_EXE_caller"), 7, 10_000, CUTS + 100, directory.path());
        let process = launcher.output(Output::Discard).spawn().unwrap();
        let rounds = AtomicU64::new(0);
        let is_over = || cuts() >= CUTS;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over() {
                    functions(&process, rounds.fetch_add(1, Ordering::Relaxed));
                }
            });
            scope.spawn(|| {
                smol::block_on(async {
                    let (delegates, counts) = (process.interface::<dyn Delegates>().unwrap(), Counts::default());
                    while !is_over() {
                        functions_of_tasks(&process).await;
                        objects(&*delegates, &counts).await;
                        // Now and then: most of the cuts are to fall among what is small.
                        if rounds.fetch_add(1, Ordering::Relaxed) % 16 == 0 {
                            large(&*delegates, &counts).await;
                        }
                    }
                });
            });
            scope.spawn(|| {
                let (delegates, counts) = (process.interface::<dyn Delegates>().unwrap(), Counts::default());
                while !is_over() {
                    assert_eq!(delegates.tell_blocking(10, &counts).unwrap(), 9 * 10);
                    let [doubled, noted, jotted] = counts.take();
                    assert!(
                        doubled.into_iter().eq(0..10) && noted.into_iter().eq(0..100) && jotted.into_iter().eq(0..100)
                    );
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        println!("{} cuts during {} rounds", cuts(), rounds.into_inner());
    });
}

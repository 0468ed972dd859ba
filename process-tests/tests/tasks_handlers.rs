//! Async handlers: what holds one up, ends or fails it concerns no other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{executors::on_each_executor, milliseconds, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, within_async};
use process_tests::Nimble;

async fn nimble() -> Plugin<dyn Nimble> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_nimble")).output(Output::Discard);
    launcher.spawn_async().await.unwrap().interface_async().await.unwrap()
}

#[test]
fn a_handler_that_blocks_its_thread_holds_nobody_up() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            for _ in 0..2 {
                let blocking: Vec<_> = (0..2)
                    .map(|_| {
                        let nimble = nimble.clone();
                        executor.spawn(async move { nimble.block(1000).await.map(|()| Instant::now()) })
                    })
                    .collect();
                let mut last = Instant::now();
                for number in 0..10 {
                    assert_eq!(nimble.add_async(number, 1).await.unwrap(), number + 1);
                    assert_eq!(nimble.nap(number, 1).await.unwrap(), number);
                    last = Instant::now();
                }
                for blocking in blocking {
                    assert!(blocking.await.unwrap() > last, "the others were done before");
                }
            }
        });
    });
}

#[test]
fn a_panic_behind_an_await_fails_its_call_alone() {
    watchdog(60, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let waiting = {
                let nimble = nimble.clone();
                executor.spawn(async move { nimble.wait(5, "gate").await })
            };
            for number in 0..20 {
                let told = number.to_string();
                match nimble.panic_later(&told).await.unwrap_err() {
                    Error::Panicked { message, location: Some(location), .. } => {
                        assert!(message == told && location.contains("nimble.rs"), "{message} at {location}");
                    }
                    error => panic!("{error:?}"),
                }
            }
            nimble.open("gate").unwrap();
            assert_eq!(waiting.await.unwrap(), 5);
        });
    });
}

#[test]
fn the_deadline_follows_the_task_and_what_it_calls() {
    watchdog(60, || {
        on_each_executor(|_| async {
            let nimble = nimble().await;
            let second = Duration::from_secs(1);
            let (left, is_cancelled) = within_async(20 * second, nimble.remaining()).await.unwrap();
            assert!(left.is_some_and(|left| (10_000..20_000).contains(&left)) && !is_cancelled, "{left:?}");
            let (left, _) = nimble.remaining().await.unwrap();
            assert!(left.is_some_and(|left| left > 20_000), "the method's own: {left:?}");
            let (left, is_cancelled) = within_async(20 * second, nimble.remaining_deeper()).await.unwrap();
            assert!(left.is_some_and(|left| (5_000..20_000).contains(&left)) && !is_cancelled, "{left:?}");
        });
    });
}

#[test]
fn answers_that_do_not_fit_into_the_socket_are_written_without_delay() {
    watchdog(60, || {
        on_each_executor(|_| async {
            let nimble = nimble().await;
            let mut slow = 0;
            for round in 0..120 {
                let bytes = vec![1; (200 << 10) + (round << 15)];
                let began = Instant::now();
                assert!(nimble.echo(&bytes).await.unwrap() == bytes);
                slow += u32::from(began.elapsed() > milliseconds(200));
            }
            // Where nobody writes the rest, it lies until somebody looks around, a quarter of a second later.
            assert!(slow < 8, "{slow} of 120 answers were late");
        });
    });
}

#[test]
fn handlers_have_a_moment_when_the_plugin_is_stopped_and_the_others_may_have_run() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let quick = {
                let nimble = nimble.clone();
                executor.spawn(async move { nimble.nap(5, 150).await })
            };
            let thread = {
                let nimble = nimble.clone();
                thread::spawn(move || nimble.sleep(150))
            };
            let lingering = {
                let nimble = nimble.clone();
                executor.spawn(async move { nimble.linger(2).await })
            };
            while nimble.lingered().unwrap().0 == 0 {
                smol::future::yield_now().await;
            }
            smol::Timer::after(milliseconds(50)).await;
            let began = Instant::now();
            let report = Plugin::process(&nimble).shutdown_async().await.unwrap();
            assert!(report.status().unwrap().success(), "{report:?} after {:?}", began.elapsed());
            assert_eq!(quick.await.unwrap(), 5, "within its moment");
            thread.join().unwrap().unwrap();
            let error = lingering.await.unwrap_err();
            assert!(matches!(error, Error::Stopped { may_have_run: true, .. }), "{error:?}");
        });
    });
}

#[cfg(feature = "tokio")]
mod runtimes {
    use std::{sync::mpsc, time::Instant};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn current_thread() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_runtime_that_is_not_polled_holds_nobody_up() {
        watchdog(120, || {
            let first = current_thread();
            let nimble = first.block_on(nimble());
            for _ in 0..3 {
                assert_eq!(first.block_on(nimble.add_async(1, 2)).unwrap(), 3);
                // Its task waits, and is not polled from here on.
                let waiting = nimble.clone();
                let waiting = first.spawn(async move { waiting.wait(6, "gate").await });
                first.block_on(tokio::task::yield_now());
                for _ in 0..3 {
                    let began = Instant::now();
                    assert_eq!(smol::block_on(nimble.nap(4, 1)).unwrap(), 4);
                    let second = current_thread();
                    assert_eq!(second.block_on(nimble.nap(5, 1)).unwrap(), 5);
                    assert_eq!(smol::block_on(nimble.nap(4, 1)).unwrap(), 4);
                    assert_eq!(nimble.add(1, 1).unwrap(), 2);
                    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
                }
                nimble.open("gate").unwrap();
                assert_eq!(first.block_on(waiting).unwrap().unwrap(), 6);
            }
        });
    }

    #[test]
    fn executors_take_turns_on_one_connection() {
        watchdog(120, || {
            let [first, second] = [current_thread(), current_thread()];
            let third = Builder::new_multi_thread().enable_all().build().unwrap();
            let nimble = first.block_on(nimble());
            let mut slow = 0;
            for number in 0..100 {
                let executors: [&dyn Fn() -> plugin_core::Result<u64>; 4] = [
                    &|| second.block_on(nimble.nap(number, 1)),
                    &|| smol::block_on(nimble.nap(number, 1)),
                    &|| first.block_on(nimble.nap(number, 1)),
                    &|| third.block_on(nimble.nap(number, 1)),
                ];
                // Two at once, so that the next call is the first that is alone.
                let both = async { smol::future::zip(nimble.nap(number, 1), nimble.nap(number, 1)).await };
                let both = first.block_on(both);
                assert_eq!((both.0.unwrap(), both.1.unwrap()), (number, number));
                // The last runs by itself, so the driver stays there: it comes in when the others have taken turns for a while.
                for executor in &executors[..if number < 50 { 3 } else { 4 }] {
                    let began = Instant::now();
                    assert_eq!(executor().unwrap(), number);
                    slow += u32::from(began.elapsed() > milliseconds(400));
                }
            }
            // Whoever is found by the alarm only waits for half a second at least; on a busy machine some others may, too.
            assert!(slow < 10, "{slow} of 350");
            drop(first);
            assert_eq!(second.block_on(nimble.nap(1, 1)).unwrap(), 1);
        });
    }

    #[test]
    fn a_runtime_that_ends_takes_its_calls_along_and_no_others() {
        watchdog(120, || {
            let ending = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let nimble = ending.block_on(nimble());
            let (sender, waited) = mpsc::channel();
            let thread = {
                let nimble = nimble.clone();
                thread::spawn(move || sender.send(smol::block_on(nimble.wait(1, "gate"))).unwrap())
            };
            let sync = {
                let nimble = nimble.clone();
                thread::spawn(move || nimble.sleep(500))
            };
            for number in 0..100 {
                let nimble = nimble.clone();
                ending.spawn(async move { nimble.wait(number, "never").await });
            }
            while nimble.lingered().unwrap().0 < 101 {
                thread::yield_now();
            }
            drop(ending);
            let began = Instant::now();
            while nimble.lingered().unwrap().1 < 100 {
                assert!(began.elapsed() < common::LONG, "the plugin goes on with calls that nobody waits for");
                thread::yield_now();
            }
            assert!(waited.try_recv().is_err());
            nimble.open("gate").unwrap();
            assert_eq!(waited.recv_timeout(common::LONG).unwrap().unwrap(), 1);
            sync.join().unwrap().unwrap();
            thread.join().unwrap();
            assert_eq!(current_thread().block_on(nimble.add_async(2, 2)).unwrap(), 4);
            assert_eq!(plugin_core::private::pending(Plugin::process(&nimble)).calls, 0);
        });
    }

    #[test]
    fn a_plugin_whose_runtime_ends_says_so_and_goes_on_with_sync_methods() {
        for runtime in ["current", "multi"] {
            watchdog(60, || {
                smol::block_on(async {
                    let launcher = Launcher::new(env!("CARGO_BIN_EXE_nimble")).output(Output::Discard);
                    let process = launcher.env("NIMBLE_RUNTIME", runtime).spawn_async().await.unwrap();
                    let nimble = process.interface_async::<dyn Nimble>().await.unwrap();
                    assert_eq!(nimble.nap_on_tokio(1, 1).await.unwrap(), 1);
                    let lingering = {
                        let nimble = nimble.clone();
                        smol::spawn(async move { nimble.linger(3).await })
                    };
                    while nimble.lingered().unwrap().0 == 0 {
                        smol::future::yield_now().await;
                    }
                    nimble.end_runtime().unwrap();
                    let error = lingering.await.unwrap_err();
                    assert!(matches!(error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
                    assert_eq!(nimble.lingered().unwrap(), (1, 1));
                    assert_eq!(nimble.add(1, 2).unwrap(), 3);
                    let error = within_async(Duration::from_secs(20), nimble.step(3)).await.unwrap_err();
                    assert!(matches!(error, Error::Disconnected { may_have_run: true, .. }), "{error:?}");
                    assert!(process.shutdown_async().await.unwrap().status().unwrap().success());
                });
            });
        }
    }
}

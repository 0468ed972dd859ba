//! Async calls whose futures are dropped before their end: the plugin drops their handlers, and neither side remembers them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use common::{executors::on_each_executor, until, watchdog};
use plugin_core::{
    Launcher, Output, Plugin, Result, plugin_interface,
    private::{Pending, pending},
};
use process_tests::Nimble;

/// How often futures are dropped and made anew.
const TIMES: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

async fn nimble() -> Plugin<dyn Nimble> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_nimble")).output(Output::Discard);
    launcher.spawn_async().await.unwrap().interface_async().await.unwrap()
}

/// Polls `future` so many times, letting others run in between; what it has given by then.
async fn polled<R>(future: impl Future<Output = R>, times: u32) -> Option<R> {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits until neither side has anything left of the calls that were made.
async fn settled(nimble: &Plugin<dyn Nimble>, ended: u64) {
    let process = Plugin::process(nimble);
    until(|| pending(process) == Pending { calls: 0, handlers: 0 }).await;
    until(|| {
        let (begun, dropped) = nimble.lingered().unwrap();
        begun >= ended && begun == dropped + ended
    })
    .await;
}

#[test]
fn a_call_that_is_dropped_after_any_poll_leaves_nothing_behind() {
    watchdog(240, || {
        on_each_executor(|_| async {
            let nimble = nimble().await;
            let mut ended = 0;
            for awaits in 0..6 {
                // Twice, beside another that makes it wait for others to send.
                for company in [false, true] {
                    for times in (0..20).chain([1_000_000]) {
                        let beside = async { if company { polled(nimble.linger(1), 2).await } else { None } };
                        let call = polled(nimble.step(awaits), times);
                        let (outcome, _) = smol::future::zip(call, beside).await;
                        ended += u64::from(outcome.is_some_and(|outcome| outcome.unwrap() == awaits));
                    }
                }
                for _ in 0..20 {
                    // At any of its awaits: in the plugin it goes on meanwhile.
                    let dropped = smol::future::or(async { nimble.step(awaits * 50).await.map(Some) }, async {
                        nimble.add_async(1, 1).await.map(|_| None)
                    });
                    dropped.await.unwrap();
                }
                let bytes = vec![7; 300_000];
                let large = polled(nimble.echo(&bytes), awaits).await;
                assert!(large.is_none_or(|same| same.unwrap() == bytes));
            }
            assert!(ended >= 12, "those that had the time have ended");
            // Those that had ended in the plugin before they were dropped count as neither, so only the host's side and
            // what is still running can be told.
            let process = Plugin::process(&nimble);
            until(|| pending(process).calls == 0).await;
            let begun = nimble.lingered().unwrap();
            assert!(begun.0 >= begun.1);
        });
    });
}

#[test]
fn handlers_are_dropped_at_their_next_await() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let nimble = nimble().await;
            for awaits in 0..20 {
                let before = nimble.lingered().unwrap().0;
                let begun = async {
                    while nimble.lingered().unwrap().0 == before {
                        smol::future::yield_now().await;
                    }
                    Ok(())
                };
                smol::future::or(nimble.linger(awaits), begun).await.unwrap();
            }
            settled(&nimble, 0).await;
            assert_eq!(nimble.lingered().unwrap(), (20, 20));
        });
    });
}

#[test]
fn loops_that_drop_and_retry_leave_nothing_behind() {
    watchdog(400, || {
        on_each_executor(|_| async {
            let nimble = nimble().await;
            for round in 0..TIMES / 4 {
                let patience = u32::try_from(round % 4).unwrap();
                assert!(polled(nimble.linger(2), patience).await.is_none());
                assert!(polled(nimble.wait(round, "never"), 1).await.is_none());
            }
            settled(&nimble, 0).await;
        });
    });
}

#[test]
fn many_tasks_that_drop_and_retry_at_once_leave_nothing_behind() {
    watchdog(400, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let tasks: Vec<_> = (0..64)
                .map(|task| {
                    let nimble = nimble.clone();
                    executor.spawn(async move {
                        for round in 0..TIMES / 64 / 4 {
                            let timer = async {
                                smol::Timer::after(std::time::Duration::from_micros(task * 10 + round % 50)).await;
                                Ok(())
                            };
                            smol::future::or(nimble.linger(1), timer).await.unwrap();
                            assert_eq!(nimble.add_async(task, round).await.unwrap(), task + round);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            settled(&nimble, 0).await;
        });
    });
}

/// A plugin in this process.
#[plugin_interface]
pub trait Local {
    /// Never answers.
    async fn linger(&self) -> Result<()>;

    /// Answers after an await.
    async fn answer(&self, number: u64) -> Result<u64>;
}

#[derive(Clone, Default)]
struct Real {
    begun: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

struct Dropped<'a>(&'a AtomicU64);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[plugin_interface]
impl Local for Real {
    async fn linger(&self) -> Result<()> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _dropped = Dropped(&self.dropped);
        smol::future::yield_now().await;
        std::future::pending().await
    }

    async fn answer(&self, number: u64) -> Result<u64> {
        smol::future::yield_now().await;
        Ok(number)
    }
}

#[test]
fn in_one_process_neither_side_remembers_dropped_calls() {
    watchdog(240, || {
        on_each_executor(|executor| async move {
            let real = Real::default();
            let local = plugin_core::in_process::<dyn Local>(real.clone()).unwrap();
            let tasks: Vec<_> = (0..16)
                .map(|task| {
                    let local = local.clone();
                    executor.spawn(async move {
                        for round in 0..TIMES / 16 / 8 {
                            assert!(polled(local.linger(), 1 + u32::try_from(round % 3).unwrap()).await.is_none());
                            assert_eq!(local.answer(task).await.unwrap(), task);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            until(|| pending(Plugin::process(&local)) == Pending { calls: 0, handlers: 0 }).await;
            until(|| real.begun.load(Ordering::SeqCst) == real.dropped.load(Ordering::SeqCst)).await;
            // Those that never end are dropped with the plugin, and its value with them.
            let mut lingering = Box::pin(local.linger());
            assert!(polled(&mut lingering, 1).await.is_none());
            until(|| real.begun.load(Ordering::SeqCst) > real.dropped.load(Ordering::SeqCst)).await;
            Plugin::process(&local).shutdown_async().await.unwrap();
            let told = lingering.await.unwrap_err();
            assert!(told.may_have_run(), "{told}");
            until(|| real.begun.load(Ordering::SeqCst) == real.dropped.load(Ordering::SeqCst)).await;
            drop(local);
            until(|| Arc::strong_count(&real.begun) == 1).await;
        });
    });
}

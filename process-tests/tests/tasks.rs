//! Async calls, on several executors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::time::Duration;

use common::watchdog;
use plugin_core::{Launcher, Output, Plugin};
use process_tests::Nimble;

fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_nimble")).output(Output::Discard)
}

async fn nimble() -> Plugin<dyn Nimble> {
    launcher().spawn_async().await.unwrap().interface_async().await.unwrap()
}

#[test]
fn async_and_sync_methods_answer_on_any_executor() {
    watchdog(60, || {
        smol::block_on(async {
            let nimble = nimble().await;
            assert_eq!(nimble.add(1, 2).unwrap(), 3);
            assert_eq!(nimble.add_async(3, 4).await.unwrap(), 7);
            assert_eq!(nimble.echo(&[5; 100_000]).await.unwrap(), [5; 100_000]);
            assert_eq!(nimble.nap(6, 5).await.unwrap(), 6);
            let outcome = plugin_core::within_async(Duration::from_millis(50), nimble.linger(3)).await;
            assert!(matches!(outcome, Err(plugin_core::Error::Timeout { .. })), "{outcome:?}");
        });
    });
}

#[test]
fn ten_thousand_tasks_wait_at_once() {
    watchdog(120, || {
        smol::block_on(async {
            let nimble = nimble().await;
            let tasks: Vec<_> = (0..10_000)
                .map(|number| {
                    let nimble = nimble.clone();
                    smol::spawn(async move { nimble.wait(number, "all").await })
                })
                .collect();
            while nimble.lingered().unwrap().0 < 10_000 {
                smol::future::yield_now().await;
            }
            nimble.open("all").unwrap();
            for (number, task) in (0..).zip(tasks) {
                assert_eq!(task.await.unwrap(), number);
            }
        });
    });
}

//! Async calls, on several executors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::time::{Duration, Instant};

use common::{
    executors::{Executor, on_each_executor},
    milliseconds, watchdog,
};
use plugin_core::{Error, Launcher, Output, Plugin, within, within_async};
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
        on_each_executor(|_| async {
            let nimble = nimble().await;
            assert_eq!(nimble.add(1, 2).unwrap(), 3);
            assert_eq!(nimble.add_async(3, 4).await.unwrap(), 7);
            let bytes = vec![5; 100_000];
            assert_eq!(nimble.echo(&bytes).await.unwrap(), bytes);
            assert_eq!(nimble.nap(6, 5).await.unwrap(), 6);
            if cfg!(feature = "tokio") {
                assert_eq!(nimble.nap_on_tokio(7, 5).await.unwrap(), 7);
            }
        });
    });
}

#[test]
fn a_deadline_is_met_however_it_is_spelt() {
    let limit = milliseconds(50);
    let check = move |began: Instant, outcome: plugin_core::Result<()>| {
        assert!(matches!(outcome, Err(Error::Timeout { may_have_run: true, .. })), "{outcome:?}");
        assert!(began.elapsed() >= limit && began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    };
    watchdog(60, || {
        on_each_executor(move |_| async move {
            let nimble = nimble().await;
            let began = Instant::now();
            check(began, within_async(limit, nimble.linger(3)).await);
            let began = Instant::now();
            check(began, within_async(limit, async { nimble.linger(3).await }).await);
            let began = Instant::now();
            check(began, within(limit, || nimble.linger(3)).await);
            let process = Plugin::process(&nimble);
            common::until(|| plugin_core::private::pending(process).calls == 0).await;
            common::until(|| nimble.lingered().unwrap() == (3, 3)).await;
        });
    });
}

#[test]
fn ten_thousand_tasks_wait_at_once() {
    watchdog(240, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let tasks: Vec<_> = (0..10_000)
                .map(|number| {
                    let nimble = nimble.clone();
                    executor.spawn(async move { nimble.wait(number, "all").await })
                })
                .collect();
            while nimble.lingered().unwrap().0 < 10_000 {
                smol::future::yield_now().await;
            }
            nimble.open("all").unwrap();
            for (number, task) in (0..).zip(tasks) {
                assert_eq!(task.await.unwrap(), number);
            }
            assert_eq!(plugin_core::private::pending(Plugin::process(&nimble)).calls, 0);
        });
    });
}

#[test]
fn sync_and_async_callers_with_slow_handlers_do_not_wait_for_each_other() {
    watchdog(120, || {
        for is_sync_first in [true, false] {
            on_each_executor(move |executor| slow_beside_slow(executor, is_sync_first));
        }
    });
}

/// One caller waits in a thread, one in a task, each for a gate; meanwhile others go on, and each gate lets its own go.
async fn slow_beside_slow(executor: Executor, is_sync_first: bool) {
    let nimble = nimble().await;
    let in_thread = {
        let nimble = nimble.clone();
        move || std::thread::spawn(move || nimble.sleep(300).map(|()| Instant::now()))
    };
    let in_task = {
        let (nimble, executor) = (nimble.clone(), executor.clone());
        move || executor.spawn(async move { nimble.wait(1, "task").await.map(|_| Instant::now()) })
    };
    let (thread, task);
    if is_sync_first {
        thread = in_thread();
        task = in_task();
    } else {
        task = in_task();
        while nimble.lingered().unwrap().0 == 0 {
            smol::future::yield_now().await;
        }
        thread = in_thread();
    }
    for number in 0..100 {
        assert_eq!(nimble.add_async(number, 1).await.unwrap(), number + 1);
    }
    nimble.open("task").unwrap();
    task.await.unwrap();
    assert_eq!(nimble.add_async(1, 1).await.unwrap(), 2);
    thread.join().unwrap().unwrap();
    assert_eq!(nimble.add_async(1, 2).await.unwrap(), 3);
}

#[test]
fn threads_and_tasks_share_one_connection() {
    watchdog(240, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let tasks: Vec<_> = (0..64)
                .map(|task| {
                    let nimble = nimble.clone();
                    executor.spawn(async move {
                        for call in 0..50 {
                            match call % 4 {
                                0 => assert_eq!(nimble.add_async(task, call).await.unwrap(), task + call),
                                1 => assert_eq!(nimble.nap(call, 1).await.unwrap(), call),
                                2 => assert_eq!(nimble.echo(&[1; 3000]).await.unwrap(), [1; 3000]),
                                _ => assert_eq!(nimble.step(3).await.unwrap(), 3),
                            }
                        }
                    })
                })
                .collect();
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let nimble = nimble.clone();
                    std::thread::spawn(move || {
                        for call in 0..200 {
                            assert_eq!(nimble.add(thread, call).unwrap(), thread + call);
                            if call % 50 == 0 {
                                nimble.sleep(2).unwrap();
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(plugin_core::private::pending(Plugin::process(&nimble)).calls, 0);
        });
    });
}

#[test]
fn oneway_calls_of_tasks_wait_for_the_window_and_all_run_in_turn() {
    watchdog(240, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let tasks: Vec<_> = (0..50)
                .map(|task| {
                    let nimble = nimble.clone();
                    executor.spawn(async move {
                        for call in 0..40 {
                            nimble.note_twice(task * 1000 + call).await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            let all = 2 * 50 * 40;
            while nimble.noted().unwrap().len() < all {
                smol::Timer::after(milliseconds(5)).await;
            }
            let noted = nimble.noted().unwrap();
            assert!(noted.chunks(2).all(|pair| pair[0] == pair[1]), "one at a time");
            for task in 0..50 {
                let mine: Vec<_> = noted.iter().filter(|number| *number / 1000 == task).step_by(2).copied().collect();
                assert!(mine.is_sorted() && mine.len() == 40, "in the order of each task: {mine:?}");
            }
            assert_eq!(plugin_core::private::pending(Plugin::process(&nimble)).calls, 0);
        });
    });
}

#[test]
#[cfg(unix)]
fn large_arguments_hold_up_no_executor() {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    };
    watchdog(240, || {
        on_each_executor(|executor| async move {
            let nimble = nimble().await;
            let pid = i32::try_from(Plugin::process(&nimble).pid().unwrap()).unwrap();
            let signal = |signal| rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
            // While the plugin does not read, nothing of what is sent gets further than the socket.
            signal(rustix::process::Signal::STOP).unwrap();
            let begun = Arc::new(AtomicU32::new(0));
            let large: Vec<_> = (0..8)
                .map(|task| {
                    let (nimble, begun) = (nimble.clone(), Arc::clone(&begun));
                    executor.spawn(async move {
                        let bytes = vec![task; 20 << 20];
                        begun.fetch_add(1, SeqCst);
                        assert!(nimble.echo(&bytes).await.unwrap() == bytes);
                    })
                })
                .collect();
            while begun.load(SeqCst) < 8 {
                smol::future::yield_now().await;
            }
            // Whoever blocked its executor now would do so for as long as the plugin is stopped.
            for _ in 0..50 {
                smol::Timer::after(milliseconds(1)).await;
            }
            signal(rustix::process::Signal::CONT).unwrap();
            assert_eq!(nimble.add_async(1, 2).await.unwrap(), 3);
            for large in large {
                large.await;
            }
        });
    });
}

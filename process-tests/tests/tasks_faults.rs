//! Async calls whose connection is cut, whose plugin dies, or whose runtime ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use common::{executors::on_each_executor, milliseconds, program_behind_a_cutter, until, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, Process, private::pending};
use process_tests::Nimble;

const NIMBLE: &str = env!("CARGO_BIN_EXE_nimble");

fn launcher() -> Launcher {
    Launcher::new(NIMBLE).output(Output::Discard)
}

async fn connect(launcher: Launcher) -> Plugin<dyn Nimble> {
    launcher.spawn_async().await.unwrap().interface_async().await.unwrap()
}

#[test]
fn every_call_of_tasks_and_threads_runs_exactly_once_whatever_is_cut() {
    let seed = std::cell::Cell::new(100);
    watchdog(400, || {
        on_each_executor(|executor| {
            seed.set(seed.get() + 1);
            let seed = seed.get();
            async move {
                let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
                let (launcher, cuts) = program_behind_a_cutter(NIMBLE, seed, 2000, 200, directory.path());
                let nimble = connect(launcher).await;
                let tasks: Vec<_> = (0..32_u64)
                    .map(|task| {
                        let nimble = nimble.clone();
                        executor.spawn(async move {
                            for call in 0..100 {
                                nimble.record(task * 1000 + call).await.unwrap();
                                if call % 10 == 0 {
                                    let length = usize::try_from(call * 300).unwrap();
                                    let bytes = vec![7; length];
                                    assert!(nimble.echo(&bytes).await.unwrap() == bytes);
                                }
                            }
                        })
                    })
                    .collect();
                let threads: Vec<_> = (100..104_u64)
                    .map(|thread| {
                        let nimble = nimble.clone();
                        thread::spawn(move || {
                            for call in 0..200 {
                                nimble.record_at_once(thread * 1000 + call).unwrap();
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
                until(|| threads.iter().all(thread::JoinHandle::is_finished)).await;
                for thread in threads {
                    thread.join().unwrap();
                }
                println!("{} cuts", cuts());
                assert!(cuts() >= 30, "only {} cuts", cuts());
                let recorded = nimble.noted().unwrap();
                let distinct: BTreeSet<u64> = recorded.iter().copied().collect();
                assert_eq!((recorded.len(), distinct.len()), (4000, 4000), "none is missing, none ran twice");
                assert_eq!(pending(Plugin::process(&nimble)).calls, 0);
            }
        });
    });
}

#[test]
fn calls_under_way_when_the_plugin_dies_say_that_they_may_have_run() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let nimble = connect(launcher()).await;
            let tasks: Vec<_> = (0..100)
                .map(|number| {
                    let nimble = nimble.clone();
                    executor.spawn(async move { nimble.wait(number, "never").await })
                })
                .collect();
            while nimble.lingered().unwrap().0 < 100 {
                smol::future::yield_now().await;
            }
            let error = nimble.exit(7).await.unwrap_err();
            assert!(
                matches!(&error, Error::Died { may_have_run: true, report, .. }
                if report.status().unwrap().code() == Some(7)),
                "{error:?}"
            );
            for task in tasks {
                let error = task.await.unwrap_err();
                assert!(matches!(error, Error::Died { may_have_run: true, .. }), "{error:?}");
            }
            assert_eq!(nimble.add_async(1, 2).await.unwrap(), 3, "the next call finds another process");
        });
    });
}

#[test]
fn an_idempotent_call_is_repeated_while_other_tasks_of_its_thread_go_on() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let directory = tempfile::tempdir().unwrap();
            let journal = directory.path().join("journal").display().to_string();
            let nimble = connect(launcher()).await;
            let performing = {
                let (nimble, journal) = (nimble.clone(), journal.clone());
                executor.spawn(async move { nimble.perform(&journal).await })
            };
            let (mut ticks, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
            let mut performing = std::pin::pin!(performing);
            let runs = loop {
                let tick = async {
                    smol::Timer::after(milliseconds(1)).await;
                    None
                };
                if let Some(runs) = smol::future::or(async { Some((&mut performing).await) }, tick).await {
                    break runs.unwrap();
                }
                (ticks, longest, last) = (ticks + 1, longest.max(last.elapsed()), Instant::now());
            };
            assert_eq!(runs, 2);
            assert_eq!(fs::read_to_string(journal).unwrap(), "run\nrun\n");
            assert!(ticks > 0 && longest < milliseconds(900), "{ticks} ticks, {longest:?} between two");
        });
    });
}

#[test]
fn a_plugin_that_hangs_up_and_lives_on_is_waited_for_without_blocking() {
    watchdog(60, || {
        smol::block_on(async {
            let launcher = common::rogue("hangs-up").resume_timeout(milliseconds(100));
            let probe: Plugin<dyn common::Probe> =
                launcher.spawn_async().await.unwrap().interface_async().await.unwrap();
            let calling = probe.clone();
            // It is this call that it hangs up upon.
            let call = thread::spawn(move || calling.add(1, 2));
            let ping = Plugin::process(&probe).ping_async();
            let (mut longest, mut last, mut ping) = (Duration::ZERO, Instant::now(), std::pin::pin!(ping));
            let outcome = loop {
                let tick = async {
                    smol::Timer::after(milliseconds(1)).await;
                    None
                };
                if let Some(outcome) = smol::future::or(async { Some((&mut ping).await) }, tick).await {
                    break outcome;
                }
                (longest, last) = (longest.max(last.elapsed()), Instant::now());
            };
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Disconnected { .. } | Error::Died { .. }), "{error:?}");
            assert!(longest < milliseconds(700), "{longest:?} between two ticks");
            assert!(call.join().unwrap().is_err());
        });
    });
}

/// Whether a process lives whose environment has `mark`.
fn is_running(mark: &str) -> bool {
    let has_mark = |entry: fs::DirEntry| {
        fs::read(entry.path().join("environ")).is_ok_and(|environment| {
            environment.split(|byte| *byte == 0).any(|variable| variable == format!("MARK={mark}").as_bytes())
        })
    };
    fs::read_dir("/proc").unwrap().flatten().any(has_mark)
}

#[test]
fn futures_that_are_dropped_half_way_leave_no_process_behind() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let mark = format!("{}-{:?}", std::process::id(), Instant::now());
            for pause in [0, 1, 2, 5, 10, 30] {
                let launcher = launcher().env("MARK", &mark);
                let starting = async { Some(launcher.spawn_async().await.unwrap()) };
                let pausing = async {
                    smol::Timer::after(milliseconds(pause)).await;
                    None
                };
                drop(smol::future::or(starting, pausing).await);
            }
            until(|| !is_running(&mark)).await;
            for how in [0, 1] {
                let process: Process = launcher().env("MARK", &mark).spawn_async().await.unwrap();
                assert!(is_running(&mark));
                // The handle stays: it is the future that has it stopped.
                let stopping = async {
                    if how == 0 {
                        process.shutdown_async().await.map(drop)
                    } else {
                        process.kill_async().await.map(drop)
                    }
                };
                smol::future::or(stopping, async {
                    smol::future::yield_now().await;
                    Ok(())
                })
                .await
                .unwrap();
                until(|| !is_running(&mark)).await;
                assert!(process.shutdown_async().await.is_ok());
                assert!(process.ping_async().await.is_err());
            }
        });
    });
}

#[test]
fn a_plugin_that_was_started_by_hand_is_joined_and_let_go() {
    watchdog(60, || {
        on_each_executor(|_| async {
            let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
            let address = directory.path().join("s");
            let mut child = std::process::Command::new(NIMBLE).env("PLUGIN_CORE_LISTEN", &address).spawn().unwrap();
            until(|| address.exists()).await;
            let nimble = plugin_core::attach_async::<dyn Nimble>(&address).await.unwrap();
            assert_eq!(nimble.add_async(1, 2).await.unwrap(), 3);
            let error = plugin_core::within_async(milliseconds(30), nimble.linger(2)).await.unwrap_err();
            assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
            assert!(Plugin::process(&nimble).ping_async().await.is_ok());
            Plugin::process(&nimble).shutdown_async().await.unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it is nobody's to end");
            let again = plugin_core::attach_async::<dyn Nimble>(&address).await.unwrap();
            until(|| again.lingered().unwrap() == (1, 1)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        });
    });
}

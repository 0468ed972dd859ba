//! Functions and objects that a call lends to the plugin: they run on the caller's thread, and may call the plugin again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    cell::RefCell,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use common::watchdog;
use plugin_core::{Error, Launcher, Output, Plugin, Result, within};
use process_tests::callback::{Caller, Listener, Real, TaskCaller};

fn caller() -> Plugin<dyn Caller> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_caller")).output(Output::Discard);
    launcher.spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

#[test]
fn a_function_runs_on_the_callers_thread_and_changes_what_it_borrows() {
    watchdog(60, || {
        let caller = caller();
        let here = thread::current().id();
        // Neither `Send` nor `'static`.
        let visited = RefCell::new(Vec::new());
        let sum = caller.visit(1000, &mut |number| {
            assert_eq!(thread::current().id(), here);
            visited.borrow_mut().push(number);
            Ok(2 * number)
        });
        assert_eq!(sum.unwrap(), 999 * 1000);
        assert!(visited.into_inner().into_iter().eq(0..1000));
    });
}

#[test]
fn a_call_that_succeeds_has_told_everything_whatever_its_deadline() {
    watchdog(120, || {
        let caller = caller();
        for limit in [5, 10, 20, 40, 80, 160, 100_000] {
            let mut told = Vec::new();
            let outcome = within(Duration::from_millis(limit), || {
                caller.tell(40, &mut |number| {
                    thread::sleep(Duration::from_millis(2));
                    told.push(number);
                })
            });
            match outcome {
                Ok(_) => assert!(told.into_iter().eq(0..40), "within {limit} ms"),
                Err(error) => assert!(matches!(error, Error::Timeout { .. }) && limit < 100_000, "{error:?}"),
            }
        }
    });
}

#[test]
fn without_a_process_it_is_the_same() {
    watchdog(60, || {
        let caller = plugin_core::in_process::<dyn Caller>(Real::default()).unwrap();
        let here = thread::current().id();
        let mut seen = 0;
        let sum = caller.visit(100, &mut |number| {
            assert_eq!(thread::current().id(), here);
            seen += 1;
            Ok(number)
        });
        assert_eq!((sum.unwrap(), seen), (4950, 100));
        let mut told = Vec::new();
        caller.tell(1000, &mut |number| told.push(number)).unwrap();
        assert!(told.into_iter().eq(0..1000));
        assert_eq!(dive(&*caller, 20), Ok(20));
    });
}

#[test]
fn what_fails_or_panics_is_told_to_the_method_which_goes_on() {
    watchdog(60, || {
        let said = caller().try_visit(4, &mut |number| match number {
            1 => Err(Error::custom("no ones")),
            2 => panic!("no twos"),
            _ => Ok(number),
        });
        let said = said.unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], "no ones");
        assert!(
            said[1].starts_with("`try_visit(visit)` of the host panicked at ") && said[1].ends_with(": no twos"),
            "{said:?}"
        );
    });
}

#[test]
fn what_has_no_result_is_told_in_order_and_before_the_method_returns() {
    watchdog(60, || {
        let caller = caller();
        let mut told = Vec::new();
        assert_eq!(caller.tell(10_000, &mut |number| told.push(number)).unwrap(), 10_000);
        assert!(told.iter().copied().eq(0..10_000));
        for length in [0, 1000, 65_000, 100_000] {
            let mut count = 0;
            let told = caller.tell_texts(200, length, &mut |number, text| {
                assert_eq!((number, text.len()), (count, length));
                count += 1;
            });
            told.unwrap();
            assert_eq!(count, 200);
        }
    });
}

#[test]
fn a_panic_of_what_has_no_result_ends_nothing_else() {
    watchdog(60, || {
        let mut told = 0;
        let outcome = caller().tell(10, &mut |number| {
            told += 1;
            assert!(number % 3 != 0, "on purpose");
        });
        assert_eq!((outcome.unwrap(), told), (10, 10));
    });
}

/// Counts what it hears; borrowed from a test's stack.
struct Counts<'a>(&'a AtomicU64, thread::ThreadId);

impl Listener for Counts<'_> {
    fn hear(&self, text: &str) -> Result<usize> {
        assert_eq!((text, thread::current().id()), ("hello", self.1));
        Ok(5)
    }

    fn note(&self, number: u64) -> Result<()> {
        self.0.fetch_add(number, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn an_object_may_be_called_by_all_threads_of_the_method_and_runs_on_the_callers() {
    watchdog(60, || {
        let (caller, noted) = (caller(), AtomicU64::new(0));
        let counts = Counts(&noted, thread::current().id());
        for _ in 0..20 {
            noted.store(0, Ordering::Relaxed);
            assert_eq!(caller.listen("hello", 8, &counts).unwrap(), 8 * 8 + 28);
            assert_eq!(noted.load(Ordering::Relaxed), 28, "all was noted before the method returned");
        }
    });
}

/// Calls the plugin from within its callbacks; how many levels answered.
fn dive(caller: &dyn Caller, level: u32) -> Result<u32, String> {
    fn deeper(caller: &dyn Caller, level: u32) -> Result<u32> {
        if level == 0 { Ok(0) } else { Ok(caller.dive(level - 1, &mut |level| deeper(caller, level))? + 1) }
    }
    deeper(caller, level).map_err(|error| error.to_string())
}

#[test]
fn callbacks_call_the_plugin_which_calls_back() {
    watchdog(60, || {
        let caller = caller();
        #[cfg(target_os = "linux")]
        let before = process_tests::system::threads();
        assert_eq!(dive(&*caller, 100), Ok(100));
        #[cfg(target_os = "linux")]
        assert!(process_tests::system::threads() <= before + 2, "no level has a thread of its own");
        let outcome = caller.visit(100, &mut |number| caller.add(number, caller.visit(3, &mut |number| Ok(number))?));
        assert_eq!(outcome.unwrap(), 4950 + 300);
    });
}

#[test]
fn so_many_calls_may_wait_for_each_other_and_no_more() {
    watchdog(120, || {
        let caller = caller();
        // Tests have 2 MiB of stack, as the plugin's threads have.
        assert_eq!(dive(&*caller, 256), Ok(256));
        let error = dive(&*caller, 257).unwrap_err();
        assert!(error.contains("256 calls wait for each other already"), "{error}");
        assert_eq!(caller.add(1, 2).unwrap(), 3);
        assert_eq!(dive(&*caller, 256), Ok(256), "also after one that went too far");
    });
}

#[test]
fn behind_its_deadline_a_method_cannot_call_back() {
    watchdog(60, || {
        let caller = caller();
        let mut count = 0;
        let _ = within(Duration::from_millis(100), || {
            caller.call_late(&mut || {
                count += 1;
                Ok(())
            })
        });
        let said = caller.said().unwrap();
        assert_eq!(count, 0);
        // Whether the plugin finds its time over, or hears first that the host did.
        let is_late = said.contains("`call_late(callback)` of the host had no time left");
        assert!(is_late || said.contains("that call has ended"), "{said}");
    });
}

#[test]
fn a_plugin_that_ends_during_a_callback_fails_the_call_alone() {
    watchdog(60, || {
        let caller = caller();
        let process = Plugin::process(&caller).clone();
        let mut count = 0;
        let outcome = caller.visit(10, &mut |number| {
            count += 1;
            process.kill()?;
            Ok(number)
        });
        assert!(matches!(outcome, Err(Error::Stopped { may_have_run: true, .. })), "{outcome:?}");
        assert_eq!(count, 1);
    });
}

#[test]
fn while_a_callback_runs_others_are_served() {
    watchdog(60, || {
        let caller = caller();
        let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                let outcome = caller.visit(1, &mut |number| {
                    begun.wait();
                    go_on.wait();
                    Ok(number)
                });
                outcome.unwrap();
            });
            begun.wait();
            // The other thread is inside its callback, and does not read.
            for number in 0..1000 {
                assert_eq!(caller.add(number, 1).unwrap(), number + 1);
            }
            assert_eq!(caller.visit(10, &mut |number| Ok(number)).unwrap(), 45);
            go_on.wait();
        });
    });
}

#[test]
fn while_a_method_waits_for_its_callback_others_are_served() {
    watchdog(60, || {
        let caller = caller();
        // Quick, until it is called so.
        assert_eq!(caller.visit(1, &mut |number| Ok(number)).unwrap(), 0);
        let mut rounds = 0;
        let outcome = caller.visit(1, &mut |_| {
            thread::scope(|scope| {
                let others = [(); 4].map(|()| {
                    scope.spawn(|| {
                        (0..100).map(|number| caller.visit(2, &mut |_| caller.add(number, 0)).unwrap()).sum::<u64>()
                    })
                });
                rounds = others.into_iter().map(|other| other.join().unwrap()).sum();
            });
            Ok(1)
        });
        assert_eq!((outcome.unwrap(), rounds), (1, 4 * 2 * 4950));
    });
}

#[test]
fn a_method_that_is_slow_behind_its_callback_holds_up_nobody() {
    watchdog(60, || {
        let caller = caller();
        for _ in 0..20 {
            caller.call_and_sleep(0, &mut || Ok(())).unwrap();
        }
        thread::scope(|scope| {
            let slow = scope.spawn(|| caller.call_and_sleep(3000, &mut || Ok(())));
            for number in 0..100 {
                assert_eq!(caller.add(number, 1).unwrap(), number + 1);
                thread::sleep(Duration::from_micros(100));
            }
            assert!(!slow.is_finished(), "the calls waited for the slow one");
            slow.join().unwrap().unwrap();
        });
    });
}

#[test]
fn callers_with_callbacks_and_large_values_both_ways_do_not_lock_each_other_out() {
    watchdog(120, || {
        let caller = caller();
        thread::scope(|scope| {
            for number in 0..8_u8 {
                let caller = &caller;
                scope.spawn(move || {
                    let bytes = vec![number; 3 << 20];
                    let changed = caller
                        .exchange(4, &bytes, &mut |bytes| Ok(bytes.iter().map(|byte| byte.wrapping_add(1)).collect()));
                    assert_eq!(changed.unwrap(), vec![number + 4; 3 << 20]);
                });
            }
        });
    });
}

fn task_caller() -> Plugin<dyn TaskCaller> {
    Plugin::process(&caller()).interface().unwrap()
}

/// Hears on any thread.
struct Hears;

impl Listener for Hears {
    fn hear(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }

    fn note(&self, _: u64) -> Result<()> {
        Ok(())
    }
}

#[test]
fn in_a_task_callbacks_run_where_it_is_polled() {
    watchdog(60, || {
        let caller = task_caller();
        let here = thread::current().id();
        let (mut visited, mut told) = (Vec::new(), Vec::new());
        let mut visit = |number| {
            assert_eq!(thread::current().id(), here);
            visited.push(number);
            Ok(number)
        };
        assert_eq!(smol::block_on(caller.visit(1000, &mut visit)).unwrap(), 999 * 500);
        assert!(visited.into_iter().eq(0..1000));
        let heard = smol::block_on(caller.tell(1000, &mut |number| told.push(number), &Hears));
        assert_eq!(heard.unwrap(), 5000);
        assert!(told.into_iter().eq(0..1000));
    });
}

#[test]
fn many_tasks_have_callbacks_at_once() {
    watchdog(120, || {
        let caller = task_caller();
        smol::block_on(async {
            let tasks: Vec<_> = (0..100)
                .map(|task| {
                    let caller = caller.clone();
                    smol::spawn(async move {
                        let mut count = 0;
                        let mut visit = |number| {
                            count += 1;
                            Ok(number + task)
                        };
                        let sum = caller.visit(20, &mut visit).await;
                        (sum, count)
                    })
                })
                .collect();
            for (number, task) in (0..).zip(tasks) {
                let (sum, count) = task.await;
                assert_eq!((sum.unwrap(), count), (190 + 20 * number, 20));
            }
        });
    });
}

#[test]
fn who_drops_the_future_is_not_called_back_any_more() {
    watchdog(60, || {
        let caller = task_caller();
        let count = AtomicU64::new(0);
        let mut callback = || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        smol::block_on(async {
            let mut call = caller.call_late(&mut callback);
            while count.load(Ordering::Relaxed) == 0 {
                assert!(smol::future::poll_once(&mut call).await.is_none());
            }
        });
        let said = caller.said().unwrap();
        assert_eq!(count.into_inner(), 1);
        assert!(said.contains("that call has ended"), "{said}");
    });
}

#[test]
fn a_method_that_could_not_tell_everything_since_it_was_too_large_does_not_return_its_value() {
    watchdog(60, || {
        let launcher = Launcher::new(env!("CARGO_BIN_EXE_caller")).max_message(1 << 20);
        let caller = launcher.spawn().and_then(|process| process.interface::<dyn Caller>()).unwrap();
        let mut lengths = Vec::new();
        caller.tell_texts(2, 1 << 19, &mut |_, text| lengths.push(text.len())).unwrap();
        let error = caller.tell_texts(2, 1 << 20, &mut |_, text| lengths.push(text.len())).unwrap_err();
        assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
        assert!(error.to_string().contains("`tell_texts(progress)`"), "{error}");
        assert_eq!(lengths, [1 << 19; 2]);
    });
}

/// A host that never gives up by itself, so that what the plugin says is what it found.
#[cfg(unix)]
#[test]
fn a_method_that_could_not_tell_everything_in_time_does_not_return_its_value() {
    use common::bare::Bare;
    use process_tests::{
        callback::CallerMethods,
        raw::{self, Failure, Frame, Welcome, kind},
    };
    watchdog(60, || {
        let mut plugin = Bare::start(env!("CARGO_BIN_EXE_caller"), CallerMethods::NAMES, &Welcome::default());
        let method = CallerMethods::NAMES.iter().position(|name| *name == CallerMethods::TELL).unwrap();
        let method = u16::try_from(method).unwrap();
        // A function is lent in the first place.
        let arguments = |count: u64| rmp_serde::to_vec(&(count, (1_u32 << 31, None::<u32>))).unwrap();
        let request = Frame { method, ..Frame::new(kind::REQUEST, 1, arguments(0)) };
        assert_eq!(plugin.request(&request).kind, kind::VALUE);
        // The 64th is waited for, and this host never answers.
        let request = Frame { deadline: 50, ..Frame { method, ..Frame::new(kind::REQUEST, 2, arguments(70)) } };
        raw::write(&mut plugin.stream, &request).unwrap();
        let answer = loop {
            let frame = raw::read(&mut plugin.stream).unwrap();
            if frame.call == 2 && matches!(frame.kind, kind::VALUE | kind::FAILURE) {
                break frame;
            }
        };
        assert_eq!(answer.kind, kind::FAILURE);
        let failure: Failure = rmp_serde::from_slice(&answer.payload).unwrap();
        assert_eq!(failure["kind"].as_deref(), Some("late"), "{failure:?}");
    });
}

//! What happens to calls when handlers, plugins or the time fail.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    collections::BTreeSet,
    error::Error as _,
    thread,
    time::{Duration, Instant},
};

use common::{Probe, in_one_of_a_few_tries, launcher, milliseconds, probe, process, watchdog};
use plugin_core::{Error, Restart, State, within};

#[test]
fn a_panic_fails_one_call_and_the_plugin_goes_on() {
    watchdog(60, || {
        let probe = probe();
        let error = probe.panic("the roof is on fire").unwrap_err();
        let Error::Panicked { plugin, method, message, location } = &error else { panic!("{error:?}") };
        assert_eq!((plugin.as_str(), method.as_str(), message.as_str()), ("probe", "panic", "the roof is on fire"));
        assert!(location.as_ref().unwrap().contains("probe.rs:"), "{error}");
        assert!(error.may_have_run());
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn a_panic_with_a_message_beyond_all_limits_fails_one_call_all_the_same() {
    watchdog(60, || {
        let probe = launcher().max_message(1000).spawn().unwrap().interface::<dyn Probe>().unwrap();
        let error = probe.panic(&"long ".repeat(190)).unwrap_err();
        assert!(matches!(&error, Error::Panicked { message, .. } if message.starts_with("long long")), "{error:?}");
        assert_eq!(probe.add(1, 2).unwrap(), 3);
        assert!(process(&probe).ping().is_ok());
    });
}

#[test]
fn limits_of_any_length_are_limits() {
    watchdog(60, || {
        let launcher = launcher().start_timeout(Duration::MAX).call_timeout(Duration::MAX);
        let launcher = launcher.stop_timeout(Duration::MAX).resume_timeout(Duration::MAX);
        let probe = launcher.spawn().unwrap().interface::<dyn Probe>().unwrap();
        assert_eq!(within(Duration::MAX, || probe.add(1, 2)).unwrap(), 3);
        assert!(process(&probe).shutdown().unwrap().status().unwrap().success());
    });
}

#[test]
fn a_panic_beside_others_fails_none_of_them() {
    watchdog(60, || {
        let probe = probe();
        thread::scope(|scope| {
            let others: Vec<_> = (0..8).map(|_| scope.spawn(|| probe.sleep(200))).collect();
            for _ in 0..20 {
                assert!(matches!(probe.panic("x"), Err(Error::Panicked { .. })));
            }
            for other in others {
                other.join().unwrap().unwrap();
            }
        });
    });
}

#[test]
fn a_handler_that_ends_the_process_is_told_with_status_and_last_words() {
    watchdog(60, || {
        let probe = launcher().restart(Restart::Never).spawn().unwrap().interface::<dyn Probe>().unwrap();
        let error = probe.exit(7, "disk on fire").unwrap_err();
        let Error::Died { report, may_have_run, .. } = &error else { panic!("{error:?}") };
        assert_eq!(report.status().unwrap().code(), Some(7));
        assert!(may_have_run);
        assert!(error.to_string().contains("died during `exit` (it may have run)"), "{error}");
        assert!(error.to_string().contains("disk on fire"), "{error}");
        assert_eq!(process(&probe).state(), State::Ended);
        let next = probe.add(1, 2).unwrap_err();
        assert!(matches!(&next, Error::Died { may_have_run: false, .. }), "{next:?}");
        assert!(!next.may_have_run());
        assert!(next.to_string().contains("(it did not run)"), "{next}");
    });
}

#[cfg(unix)]
#[test]
fn all_calls_in_flight_fail_when_the_plugin_is_killed() {
    watchdog(60, || {
        // A call that has not left yet would go to the next process, and hang there as it was told to.
        let probe = launcher().restart(Restart::Never).spawn().unwrap().interface::<dyn Probe>().unwrap();
        thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| probe.hang_forever())).collect();
            while probe.add(1, 1).is_err() {}
            let began = Instant::now();
            let pid = i32::try_from(process(&probe).pid().unwrap()).unwrap();
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
                .unwrap();
            for call in calls {
                let error = call.join().unwrap().unwrap_err();
                assert!(matches!(&error, Error::Died { .. }), "{error:?}");
                assert!(error.to_string().contains("SIGKILL"), "{error}");
            }
            assert!(began.elapsed() < Duration::from_secs(10), "promptly: {:?}", began.elapsed());
        });
    });
}

#[test]
fn a_handler_that_never_returns_is_given_up_and_others_are_served() {
    watchdog(60, || {
        let probe = probe();
        let began = Instant::now();
        let error = probe.hang().unwrap_err();
        assert!(began.elapsed() >= milliseconds(300) && began.elapsed() < Duration::from_secs(20));
        let Error::Timeout { after, may_have_run: true, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*after, milliseconds(300), "the method's own timeout");
        let said = "`hang` of plugin `probe` was not done within 300ms (it may have run); allow more with \
            `plugin_core::within` (`within_async` for a future), `#[method(timeout)]` or `Launcher::call_timeout`";
        assert_eq!(error.to_string(), said);
        assert!(error.source().is_none());
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[test]
fn deadlines_come_from_within_then_the_method_then_the_launcher() {
    watchdog(60, || {
        let limit_of = |error: Error| match error {
            Error::Timeout { after, .. } => after,
            error => panic!("{error:?}"),
        };
        let probe = launcher().call_timeout(milliseconds(150)).spawn().unwrap().interface::<dyn Probe>().unwrap();
        assert_eq!(limit_of(probe.sleep(5000).unwrap_err()), milliseconds(150));
        assert_eq!(limit_of(probe.hang().unwrap_err()), milliseconds(300));
        let limit = limit_of(within(milliseconds(1000), || probe.hang_forever()).unwrap_err());
        assert!(limit <= milliseconds(1000) && limit > milliseconds(300), "{limit:?}");
        within(Duration::from_secs(20), || probe.sleep(400)).expect("within may lengthen");
        let limit = within(milliseconds(100), || within(Duration::from_secs(9), || probe.hang())).unwrap_err();
        assert!(limit_of(limit) <= milliseconds(100), "nested ones only shorten");
    });
}

#[test]
fn calls_that_a_plugin_makes_inherit_the_deadline() {
    watchdog(60, || {
        let probe = probe();
        // Which of the two calls meets the deadline first does not matter, but the inner one has no limit of its own.
        drop(within(milliseconds(1000), || probe.call_back_limit()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while probe.recorded().unwrap().is_empty() && Instant::now() < deadline {
            thread::yield_now();
        }
        let recorded = probe.recorded().unwrap();
        assert!(matches!(*recorded, [milliseconds] if milliseconds <= 5000), "the inner call ended: {recorded:?}");
    });
}

#[test]
fn a_timeout_that_the_plugin_met_does_not_pass_for_one_of_this_call() {
    watchdog(60, || {
        let error = probe().nested_timeout().unwrap_err();
        assert!(matches!(&error, Error::Remote { kind, .. } if kind == "timeout"), "{error:?}");
        assert!(error.to_string().contains("`hang` of plugin `Probe`"), "{error}");
    });
}

#[cfg(unix)]
#[test]
fn a_late_answer_is_dropped_and_does_not_reach_another_call() {
    watchdog(60, || {
        let probe = common::rogue("answers-late").spawn().unwrap().interface::<dyn Probe>().unwrap();
        let error = within(milliseconds(500), || probe.add(1, 2)).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }));
        assert_eq!(probe.add(3, 4).unwrap(), 7);
        assert_eq!(process(&probe).state(), State::Running);
    });
}

#[test]
fn a_caller_that_gives_up_is_noticed_by_the_method() {
    watchdog(60, || {
        let probe = probe();
        thread::scope(|scope| {
            for number in 0..5 {
                let probe = &probe;
                // Long enough to have begun even on a busy machine. Which side's clock is first does not matter.
                scope.spawn(move || within(milliseconds(1000), || probe.work(number)));
            }
        });
        let all = || probe.recorded().unwrap().len();
        let deadline = Instant::now() + Duration::from_secs(10);
        while all() < 5 && Instant::now() < deadline {
            thread::yield_now();
        }
        assert_eq!(all(), 5, "every method has ended");
    });
}

#[cfg(unix)]
#[test]
fn a_plugin_is_told_that_a_caller_has_given_up() {
    watchdog(60, || {
        let probe = common::rogue("told-of-cancellations").spawn().unwrap().interface::<dyn Probe>().unwrap();
        let error = within(milliseconds(500), || probe.add(1, 2)).unwrap_err();
        assert!(matches!(error, Error::Timeout { may_have_run: true, .. }), "{error:?}");
        assert_eq!(probe.add(1, 2).unwrap(), 1, "the number of the call given up, or 0");
    });
}

#[test]
fn a_stopping_plugin_cancels_what_runs() {
    watchdog(60, || {
        let takes_less_than_its_grace = in_one_of_a_few_tries(|| {
            let probe = probe();
            thread::scope(|scope| {
                let call = scope.spawn(|| within(Duration::from_secs(50), || probe.work(1)));
                while probe.add(1, 1).is_err() {}
                let began = Instant::now();
                process(&probe).shutdown().unwrap();
                let took = began.elapsed();
                drop(call.join().unwrap());
                took < milliseconds(450)
            })
        });
        assert!(takes_less_than_its_grace, "it waited for the whole grace");
    });
}

#[test]
fn a_deadline_that_has_passed_sends_nothing() {
    watchdog(60, || {
        let probe = probe();
        let error = within(Duration::ZERO, || probe.exit(1, "")).unwrap_err();
        assert!(matches!(&error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        assert_eq!(probe.add(1, 2).unwrap(), 3, "the plugin still runs");
    });
}

#[test]
fn where_the_deadline_races_the_answer_a_call_has_one_or_the_other_and_runs_at_most_once() {
    watchdog(60, || {
        let probe = probe();
        let outcomes = thread::scope(|scope| {
            let calls = |thread: u64| {
                let (mut random, probe) = (fastrand::Rng::with_seed(thread), &probe);
                scope.spawn(move || {
                    // About as long as an answer takes on this machine, so that some come and some do not.
                    let mut longest = 400;
                    let call = |number| {
                        let outcome = within(Duration::from_micros(random.u64(0..longest)), || probe.record(number));
                        longest = (longest * if outcome.is_ok() { 19 } else { 21 } / 20).clamp(20, 1_000_000);
                        outcome
                    };
                    (thread * 2000..(thread + 1) * 2000).map(call).collect::<Vec<_>>()
                })
            };
            let threads: Vec<_> = (0..8).map(calls).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let recorded = probe.recorded().unwrap();
        let ran: BTreeSet<u64> = recorded.iter().copied().collect();
        assert_eq!(ran.len(), recorded.len(), "none ran twice");
        for (number, outcome) in (0..).zip(&outcomes) {
            match outcome {
                Ok(_) => assert!(ran.contains(&number)),
                Err(Error::Timeout { may_have_run, .. }) => assert!(*may_have_run || !ran.contains(&number)),
                Err(error) => panic!("{error}"),
            }
        }
        let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(answered > 0 && answered < outcomes.len(), "{answered} of {} were answered", outcomes.len());
        assert_eq!(probe.add(1, 2).unwrap(), 3);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_plugin_blocks_no_caller_past_its_deadline_however_much_is_sent() {
    use rustix::process::{Pid, Signal, kill_process};
    watchdog(120, || {
        let probe = probe();
        let pid = Pid::from_raw(i32::try_from(process(&probe).pid().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let bytes = vec![0; 30 << 20];
                    let began = Instant::now();
                    let error = within(milliseconds(400), || probe.echo(&bytes)).unwrap_err();
                    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
                    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
                });
            }
        });
        kill_process(pid, Signal::CONT).unwrap();
        assert_eq!(probe.add(1, 2).unwrap(), 3, "it goes on where it was stopped");
    });
}

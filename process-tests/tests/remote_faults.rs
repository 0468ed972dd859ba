//! What becomes of objects where something fails: a message, a process, a connection.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use common::{LONG, milliseconds, next, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, Process, Remote, State, within};
use process_tests::{
    eventually,
    remote::{Census, Deep, Item, Parts, Shelf, Thing},
};

fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_shelf")).output(Output::Discard)
}

fn connect(launcher: Launcher) -> Plugin<dyn Shelf> {
    launcher.spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

fn process(shelf: &Plugin<dyn Shelf>) -> &Process {
    Plugin::process(shelf)
}

fn signal(process: &Process, signal: rustix::process::Signal) {
    let pid = i32::try_from(process.pid().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn what_comes_with_a_message_that_does_not_leave_is_let_go_of() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher().max_message(1 << 20)), Arc::default());
        let item = || Thing::remote("mine", &census);
        let error = shelf.measure(item(), &vec![0; 1 << 20]).unwrap_err();
        assert!(matches!(&error, Error::TooLarge { what, .. } if what == "arguments"), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0, "too large");
        let parts = Parts { deep: vec![Deep::Unsendable], ..Parts::of(|_| item()) };
        let error = shelf.ask(parts).unwrap_err();
        assert!(matches!(error, Error::BadArguments { .. }), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0, "cannot be encoded");
        let error = shelf.make_with(1 << 20).unwrap_err();
        assert!(matches!(&error, Error::TooLarge { what, .. } if what == "answer"), "{error:?}");
        assert_eq!(shelf.alive(0).unwrap(), 0, "too large to be answered");
        let error = within(Duration::ZERO, || shelf.keep(item())).unwrap_err();
        assert!(matches!(error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0, "too late");
        let yours = shelf.make("yours").unwrap();
        drop(smol::block_on(async { smol::future::poll_once(shelf.add_to(item(), 1)).await }));
        drop(shelf.add_to(yours.clone(), 1));
        drop(shelf.add_to(item(), 1));
        assert_eq!(census.alive(0, LONG), 0, "never waited for");
        drop(yours);
        assert_eq!(shelf.alive(0).unwrap(), 0);
        process(&shelf).shutdown().unwrap();
        let error = shelf.keep(item()).unwrap_err();
        assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
        assert!(shelf.keep_in_turn(item()).is_err());
        assert_eq!(census.alive(0, LONG), 0, "stopped");
    });
}

#[test]
fn what_comes_with_a_message_that_is_taken_back_is_let_go_of() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher()), Arc::default());
        let item = || Thing::remote("mine", &census);
        let yours = shelf.make("yours").unwrap();
        signal(process(&shelf), rustix::process::Signal::STOP);
        // Some of it fits into the socket, the rest will never leave.
        let error = within(milliseconds(200), || shelf.measure(item(), &vec![0; 16 << 20])).unwrap_err();
        assert!(matches!(error, Error::Timeout { may_have_run: false, .. }), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0, "what has not left whole is not given");
        let error = within(milliseconds(200), || shelf.keep(item())).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        drop(yours);
        signal(process(&shelf), rustix::process::Signal::CONT);
        assert_eq!(shelf.alive(0).unwrap(), 0);
        shelf.let_go().unwrap();
        assert_eq!(census.alive(0, LONG), 0);
    });
}

#[test]
fn oneway_calls_that_wait_to_be_written_leave_before_the_object_is_let_go_of() {
    watchdog(60, || {
        let shelf = connect(launcher());
        let item = shelf.make("yours").unwrap();
        shelf.keep(item.clone()).unwrap();
        signal(process(&shelf), rustix::process::Signal::STOP);
        // Fills the socket.
        assert!(within(milliseconds(200), || shelf.measure(item.clone(), &vec![0; 4 << 20])).is_err());
        (0..100).for_each(|number| item.note(number).unwrap());
        drop(item);
        signal(process(&shelf), rustix::process::Signal::CONT);
        let item = shelf.kept().unwrap().remove(0);
        assert_eq!(item.heard(100).unwrap(), 100);
    });
}

#[test]
fn what_comes_with_an_answer_that_comes_too_late_is_let_go_of() {
    watchdog(60, || {
        let shelf = connect(launcher());
        let mut late = 0;
        for number in 0..2000 {
            let limit = Duration::from_micros(20 * (number % 20));
            match within(limit, || shelf.make("yours")) {
                Ok(item) => assert_eq!(item.name().unwrap(), "yours"),
                Err(Error::Timeout { .. }) => late += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(late > 100, "{late}");
        assert_eq!(shelf.alive(0).unwrap(), 0);
    });
}

#[test]
fn where_the_plugin_was_stopped_its_objects_say_so() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher()), Arc::default());
        let item = shelf.make("yours").unwrap();
        shelf.keep(Thing::remote("mine", &census)).unwrap();
        process(&shelf).shutdown().unwrap();
        assert_eq!(census.alive(0, LONG), 0);
        for outcome in [item.name().map(drop), item.note(1), smol::block_on(item.add_later(1)).map(drop)] {
            assert!(matches!(outcome, Err(Error::Stopped { may_have_run: false, .. })), "{outcome:?}");
        }
    });
}

#[test]
fn an_object_cannot_be_passed_on_to_another_plugin_which_is_said() {
    watchdog(60, || {
        let (one, other) = (connect(launcher().name("one")), connect(launcher().name("other")));
        let item = one.make("one's").unwrap();
        let error = other.keep(item.clone()).unwrap_err();
        let Error::BadArguments { plugin, method, message } = &error else { panic!("{error:?}") };
        assert_eq!((plugin.as_str(), method.as_str()), ("other", "keep"));
        assert!(message.contains("lives in plugin `one` and cannot be passed on to plugin `other`"), "{message}");
        assert!(other.keep_in_turn(item.clone()).is_err());
        assert!(smol::block_on(other.add_to(item.clone(), 1)).is_err());
        // In an answer: of an object of this host that the other one calls.
        let census = Arc::default();
        let mine = Thing::remote("mine", &census);
        let made = other.make("other's").unwrap();
        assert!(made.same(mine.clone()).is_ok());
        assert!(made.same(item.clone()).is_err());
        // One that lives here can be with both.
        one.keep(mine.clone()).unwrap();
        other.keep(mine.clone()).unwrap();
        drop(mine);
        assert_eq!((one.add_to_kept(1).unwrap(), other.add_to_kept(1).unwrap()), (1, 2));
        one.let_go().unwrap();
        assert_eq!(other.add_to_kept(1).unwrap(), 3);
        other.let_go().unwrap();
        assert_eq!(census.alive(0, LONG), 0);
        drop((item, made));
        assert_eq!((one.alive(0).unwrap(), other.alive(0).unwrap()), (0, 0));
    });
}

#[test]
fn objects_of_a_process_that_ends_fail_as_its_calls_do() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher().name("frail")), Arc::default());
        shelf.keep(Thing::remote("mine", &census)).unwrap();
        let item = shelf.make("yours").unwrap();
        let check = |outcome: Result<(), Error>, expected: bool| match outcome.unwrap_err() {
            Error::Died { plugin, report, may_have_run, .. } => {
                assert_eq!((plugin.as_str(), report.status().unwrap().code()), ("frail", Some(7)));
                assert!(report.to_string().contains("the shelf breaks"), "{report}");
                assert_eq!(may_have_run, expected);
            }
            error => panic!("{error:?}"),
        };
        thread::scope(|scope| {
            let hanging = scope.spawn(|| item.hang());
            let waiting = scope.spawn(|| smol::block_on(async { within(LONG, || item.add_later(1)).await }));
            waiting.join().unwrap().unwrap();
            assert!(shelf.exit().is_err());
            check(hanging.join().unwrap(), true);
        });
        check(item.name().map(drop), false);
        check(item.note(1), false);
        check(smol::block_on(item.add_later(1)).map(drop), false);
        check(smol::block_on(item.note_later(1)), false);
        assert_eq!(census.alive(0, LONG), 0, "nobody holds what it held");

        // The next run knows nothing of them.
        assert_eq!(shelf.plain(3).unwrap(), 3);
        check(item.name().map(drop), false);
        let error = shelf.keep(item).unwrap_err().to_string();
        assert!(error.contains("lived in plugin `frail`, whose connection has ended"), "{error}");
        shelf.keep(Thing::remote("mine", &census)).unwrap();
        assert_eq!(shelf.add_to_kept(1).unwrap(), 1);
        assert_eq!(census.alive(1, LONG), 1);
    });
}

#[test]
fn a_call_that_is_repeated_gives_its_objects_to_the_next_run() {
    watchdog(60, || {
        let directory = tempfile::tempdir().unwrap();
        let (shelf, census) = (connect(launcher()), Arc::default());
        let file = directory.path().join("file");
        shelf.keep_in_the_next_run(file.to_str().unwrap(), Thing::remote("mine", &census)).unwrap();
        assert_eq!((shelf.add_to_kept(1).unwrap(), census.alive(1, LONG)), (1, 1));
        shelf.let_go().unwrap();
        assert_eq!(census.alive(0, LONG), 0);
    });
}

#[test]
fn an_object_that_calls_the_plugin_as_it_is_dropped_finds_the_next_run() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher()), Arc::default());
        let (sender, receiver) = mpsc::channel();
        for name in ["one", "another"] {
            let (plugin, sender) = (shelf.clone(), sender.clone());
            let item = Thing::new(name, &census).at_the_end(move || {
                sender.send(within(LONG, || plugin.plain(5))).unwrap();
            });
            shelf.keep(Remote::new(item)).unwrap();
        }
        // So that this host has answered for them.
        assert_eq!(shelf.add_to_kept(1).unwrap(), 2);
        assert!(shelf.exit().is_err());
        for _ in 0..2 {
            let answer = receiver.recv_timeout(Duration::from_secs(10)).expect("its `Drop` holds up nothing");
            assert_eq!(answer.unwrap(), 5);
        }
    });
}

#[test]
fn objects_that_panic_as_they_are_dropped_harm_nobody() {
    watchdog(60, || {
        let (shelf, census) = (connect(launcher()), Arc::default());
        let (sender, dropped) = mpsc::channel();
        for _ in 0..5 {
            let sender = sender.clone();
            let item = Thing::new("mine", &census).at_the_end(move || {
                sender.send(()).unwrap();
                panic!("on purpose");
            });
            shelf.keep(Remote::new(item)).unwrap();
        }
        assert_eq!(shelf.add_to_kept(1).unwrap(), 5);
        process(&shelf).kill().unwrap();
        (0..5).for_each(|_| dropped.recv_timeout(LONG).unwrap());
    });
}

#[test]
fn objects_that_pass_both_ways_survive_cuts_exactly_once_and_none_is_left() {
    watchdog(300, || {
        let directory = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_shelf");
        let (launcher, cuts) = common::program_behind_a_cutter(program, 11, 20_000, 100, directory.path());
        let (shelf, census) = (connect(launcher), Arc::<Census>::default());
        let mine = Arc::new(Thing::new("mine", &census));
        let shared = Remote::<dyn Item>::from(Arc::clone(&mine) as Arc<dyn Item>);
        let mut rounds = 0;
        while cuts() < 60 {
            rounds += 1;
            let yours = shelf.make_many(10).unwrap();
            for (number, item) in (0..).zip(&yours) {
                item.note_with(number, Thing::remote("along", &census)).unwrap();
                assert_eq!(item.add(number).unwrap(), number);
                assert!(Remote::is_here(&item.same(shared.clone()).unwrap()));
            }
            shelf.keep_all(yours).unwrap();
            let parts = Parts::of(|name| Thing::remote(name, &census));
            assert_eq!(shelf.ask(parts).unwrap().len(), Parts::COUNT);
            shelf.keep(shared.clone()).unwrap();
            shelf.add_to_kept(2).unwrap();
            assert_eq!(shelf.let_go().unwrap(), 11);
        }
        assert_eq!(mine.add(0).unwrap(), 2 * rounds, "each ran once");
        assert_eq!(shelf.alive(0).unwrap(), 0);
        drop((shared, mine));
        assert_eq!(census.alive(0, LONG), 0);
    });
}

#[test]
fn a_plugin_whose_objects_are_held_or_that_holds_some_is_not_idle() {
    watchdog(60, || {
        let shelf = connect(launcher().idle_timeout(milliseconds(100)));
        let (events, census) = (process(&shelf).events(), Arc::default());
        assert_eq!(next(&events), "Started");
        let item = shelf.make("yours").unwrap();
        assert!(events.next_within(milliseconds(500)).is_none());
        assert_eq!(item.add(1).unwrap(), 1);
        shelf.keep(Thing::remote("mine", &census)).unwrap();
        drop(item);
        assert!(events.next_within(milliseconds(500)).is_none());
        let let_go = Instant::now();
        shelf.let_go().unwrap();
        assert_eq!(next(&events), "Idle");
        assert!(let_go.elapsed() >= milliseconds(100));
        assert_eq!(census.alive(0, LONG), 0);
        // It has been used until its last object is dropped, and is idle no sooner.
        let item = shelf.make("yours").unwrap();
        assert_eq!(next(&events), "Started");
        assert!(events.next_within(milliseconds(300)).is_none());
        item.name().unwrap();
        let dropped = Instant::now();
        drop(item);
        assert_eq!(next(&events), "Idle");
        assert!(dropped.elapsed() >= milliseconds(100), "{:?}", dropped.elapsed());
    });
}

#[test]
fn an_object_keeps_its_plugin_running() {
    watchdog(60, || {
        let shelf = connect(launcher());
        let running = process(&shelf).clone();
        let pid = running.pid().unwrap();
        let events = running.events();
        assert_eq!(next(&events), "Started");
        let (item, other) = (shelf.make("yours").unwrap(), shelf.make("yours, too").unwrap());
        drop((shelf, running));
        assert!(events.next_within(milliseconds(300)).is_none());
        assert_eq!(item.add(1).unwrap(), 1);
        let arc = Remote::into_arc(item);
        drop(other);
        assert_eq!(arc.add(1).unwrap(), 2, "also as a shared value");
        drop(arc);
        assert_eq!(next(&events), "Stopped");
        #[cfg(target_os = "linux")]
        assert!(!process_tests::system::is_running(pid));
    });
}

#[test]
fn what_keeps_a_plugin_running_is_there_from_its_start() {
    watchdog(60, || {
        let made = Arc::new(Mutex::new(None));
        let keeps = Arc::clone(&made);
        let launcher = launcher().on_start(move |process| {
            *keeps.lock().unwrap() = Some(process.interface::<dyn Shelf>()?.make("first")?);
            Ok(())
        });
        let shelf = connect(launcher);
        let item = made.lock().unwrap().take().unwrap();
        assert!(shelf.exit().is_err());
        let error = item.name().unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
    });
}

#[test]
fn each_side_holds_so_many_objects_of_the_other_and_no_more() {
    const MOST: usize = 65_536;
    watchdog(240, || {
        let (shelf, census) = (connect(launcher()), Arc::<Census>::default());
        let item = || Thing::remote("mine", &census);
        let mut yours = shelf.make_many(MOST).unwrap();
        assert_eq!(yours.last().unwrap().name().unwrap(), "65535");
        let error = shelf.make("one more").unwrap_err().to_string();
        assert!(
            error.contains("the host would hold more than 65536 objects of this process; drop some first"),
            "{error}"
        );
        yours.pop();
        assert!(eventually(LONG, || shelf.make("in its place").is_ok()));
        // What comes home may be any number of times in one message.
        let (first, rest) = (yours.remove(0), yours);
        shelf.keep_all(vec![first.clone(); MOST + 1]).unwrap();
        assert_eq!(shelf.let_go().unwrap(), MOST + 1);
        drop((first, rest));
        assert_eq!(shelf.alive(0).unwrap(), 0);

        shelf.keep_all((0..MOST).map(|_| item()).collect()).unwrap();
        let error = shelf.keep(item()).unwrap_err().to_string();
        assert!(error.contains("would hold more than 65536 objects of this process; drop some first"), "{error}");
        assert_eq!(census.alive(65_536, LONG), 65_536);
        assert_eq!(shelf.let_go().unwrap(), MOST);
        assert_eq!(census.alive(0, LONG), 0);
        shelf.keep(item()).unwrap();
        assert_eq!(process(&shelf).state(), State::Running);
    });
}

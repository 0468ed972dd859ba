//! Objects that outlive the calls in which they are passed: used in the other process, given back, and dropped where they live.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    sync::{Arc, Barrier},
    thread,
};

use common::{LONG, watchdog};
use plugin_core::{Error, Launcher, Output, Plugin, Remote, Result};
use process_tests::remote::{Census, Item, Misunderstood, Parts, Real, Shelf, ShelfError, Thing};

fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_shelf")).output(Output::Discard)
}

fn shelf() -> Plugin<dyn Shelf> {
    launcher().spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

/// The names of the parts of which one is in each place.
const NAMES: [&str; Parts::COUNT] = ["first", "second", "one", "named", "deep"];

#[test]
fn the_plugin_calls_an_object_of_the_host_within_the_call_and_after_it() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let item = Thing::remote("mine", &census);
        assert!(!shelf.is_yours(item.clone()).unwrap());
        shelf.keep(item.clone()).unwrap();
        assert_eq!(shelf.add_to_kept(1).unwrap(), 1);
        assert_eq!(item.add(0).unwrap(), 1, "it is the same");
        shelf.add_to_kept(8).unwrap();
        assert_eq!(item.add(0).unwrap(), 9);
        drop(item);
        assert_eq!(shelf.add_to_kept(1).unwrap(), 10, "the plugin holds it");
        assert_eq!(shelf.let_go().unwrap(), 1);
        assert_eq!(census.alive(0, LONG), 0);
    });
}

#[test]
fn the_host_calls_an_object_of_the_plugin() {
    watchdog(60, || {
        let shelf = shelf();
        let item = shelf.make("yours").unwrap();
        assert_eq!(item.name().unwrap(), "yours");
        assert!(!Remote::is_here(&item));
        let sums = thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| (0..100).map(|_| item.add(1).unwrap()).max()));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(sums.into_iter().max().unwrap(), Some(800));
        assert_eq!(shelf.alive(1).unwrap(), 1);
        drop(item);
        assert_eq!(shelf.alive(0).unwrap(), 0, "no other call was needed to free it");
    });
}

#[test]
fn objects_may_be_anywhere_in_arguments_results_and_errors() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let mine = Parts::of(|name| Thing::remote(name, &census));
        assert_eq!(shelf.ask(mine.clone()).unwrap(), NAMES);
        shelf.keep_all(mine.all().cloned().collect()).unwrap();
        let kept = shelf.kept().unwrap();
        assert!(kept.iter().all(Remote::is_here) && kept.len() == Parts::COUNT);
        drop((mine, kept));
        assert_eq!(census.alive(5, LONG), 5);
        shelf.let_go().unwrap();
        assert_eq!(census.alive(0, LONG), 0);

        let yours = shelf.make_parts().unwrap();
        assert_eq!(yours.names().unwrap(), NAMES);
        assert!(!yours.all().any(Remote::is_here));
        assert_eq!(shelf.alive(5).unwrap(), 5);
        drop(yours);
        let Err(ShelfError::InTheWay(item)) = shelf.fail_with("an error") else { panic!("it fails") };
        assert_eq!(item.name().unwrap(), "an error");
        drop(item);
        assert_eq!(shelf.alive(0).unwrap(), 0);
        assert!(shelf.ask(Parts::default()).unwrap().is_empty(), "also where there is none");
    });
}

#[test]
fn what_comes_home_is_the_original() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let mine = Thing::remote("mine", &census);
        shelf.keep_all(vec![mine.clone(), mine.clone()]).unwrap();
        let back = shelf.kept().unwrap();
        let is_mine = |item: Remote<dyn Item>| Arc::ptr_eq(&Remote::into_arc(item), &Remote::into_arc(mine.clone()));
        assert!(back.into_iter().all(is_mine));
        // It is no proxy of a proxy however often it travels.
        let yours = shelf.make("yours").unwrap();
        assert!(shelf.is_yours(yours.clone()).unwrap());
        let same = yours.same(mine.clone()).unwrap();
        assert!(is_mine(same));
        let same = yours.same(yours.clone()).unwrap();
        assert!(!Remote::is_here(&same));
        shelf.keep(same).unwrap();
        assert!(shelf.is_yours(shelf.kept().unwrap().remove(2)).unwrap());
        assert_eq!((shelf.let_go().unwrap(), shelf.alive(1).unwrap()), (3, 1));
        drop((mine, yours));
        assert_eq!((census.alive(0, LONG), shelf.alive(0).unwrap()), (0, 0));
    });
}

#[test]
fn callbacks_take_and_give_objects() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let yours = shelf.make("yours").unwrap();
        let mut seen = Vec::new();
        let sum = yours.visit(5, &mut |item| {
            seen.push(item.clone());
            item.add(3)
        });
        assert_eq!((sum.unwrap(), seen.len()), (15, 5));
        assert_eq!(shelf.alive(6).unwrap(), 6);
        drop(seen);
        // An object of the host is asked the same, in the host and, by way of the plugin, in a call within a call.
        let mine = Thing::remote("mine", &census);
        assert_eq!(mine.dive(5, mine.clone(), yours.clone()).unwrap(), 5);
        assert_eq!(shelf.alive(1).unwrap(), 1);
    });
}

#[test]
fn oneway_calls_come_in_order_and_before_the_object_is_let_go_of() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::<Census>::default());
        for round in 0..20 {
            // Nobody but the plugin holds it, which drops it right behind the last call.
            let noted = Arc::new((Barrier::new(2), std::sync::Mutex::new(Vec::new())));
            let sink = Sink(Arc::clone(&noted));
            shelf.keep(Remote::new(sink)).unwrap();
            shelf.note_and_let_go(500).unwrap();
            noted.0.wait();
            assert!(noted.1.lock().unwrap().iter().copied().eq(0..500), "round {round}");
        }
        for _ in 0..20 {
            let item = shelf.make("yours").unwrap();
            for number in 0..100 {
                item.note_with(number, Thing::remote("along", &census)).unwrap();
            }
            drop(item);
            assert_eq!(shelf.alive(0).unwrap(), 0);
        }
        assert_eq!(census.alive(0, LONG), 0);
        let (made, _) = census.wait(LONG, |_, _| true);
        assert_eq!(made, 2000);
    });
}

/// Notes what it is told, and meets the test where it is dropped.
struct Sink(Arc<(Barrier, std::sync::Mutex<Vec<u64>>)>);

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.0.wait();
    }
}

#[plugin_core::plugin_interface]
impl Item for Sink {
    fn note(&self, number: u64) -> Result<()> {
        self.0.1.lock().unwrap().push(number);
        Ok(())
    }

    fn name(&self) -> Result<String> {
        Ok("a sink".into())
    }

    fn add(&self, _: u64) -> Result<u64> {
        Err(Error::custom("not here"))
    }

    async fn add_later(&self, _: u64) -> Result<u64> {
        Err(Error::custom("not here"))
    }

    fn note_with(&self, number: u64, _: Remote<dyn Item>) -> Result<()> {
        self.note(number)
    }

    async fn note_later(&self, number: u64) -> Result<()> {
        self.note(number)
    }

    fn dive(&self, _: u32, _: Remote<dyn Item>, _: Remote<dyn Item>) -> Result<u32> {
        Ok(0)
    }

    fn same(&self, item: Remote<dyn Item>) -> Result<Remote<dyn Item>> {
        Ok(item)
    }

    fn hang(&self) -> Result<()> {
        Ok(())
    }

    fn panic(&self) -> Result<()> {
        Ok(())
    }

    fn visit(&self, _: u64, _: &mut dyn FnMut(Remote<dyn Item>) -> Result<u64>) -> Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_panic_fails_one_call() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let item = shelf.make("yours").unwrap();
        let error = item.panic().unwrap_err();
        assert!(
            matches!(&error, Error::Panicked { plugin, method, message, location: Some(location) }
            if plugin == "shelf" && method == "panic" && message == "item yours panics" && location.contains("real.rs")),
            "{error:?}"
        );
        assert_eq!(item.name().unwrap(), "yours");
        shelf.keep(Remote::new(Thing::new("mine", &census).at_the_end(|| panic!("on purpose")))).unwrap();
        shelf.keep(Thing::remote("mine", &census)).unwrap();
        shelf.let_go().unwrap();
        assert_eq!(census.alive(1, LONG), 1, "one that panics as it is dropped counts as little as it likes");
        assert_eq!(shelf.plain(3).unwrap(), 3);
    });
}

#[test]
fn clones_and_drops_on_both_sides_at_once_leave_nothing_behind() {
    watchdog(240, || {
        let (shelf, census) = (shelf(), Arc::default());
        let (mine, yours) = (Thing::remote("mine", &census), shelf.make("yours").unwrap());
        thread::scope(|scope| {
            for thread in 0..8 {
                let (shelf, mine, yours) = (&shelf, &mine, &yours);
                scope.spawn(move || {
                    for round in 0..200 {
                        match (thread + round) % 5 {
                            // Given while another thread has it let go.
                            0 => shelf.keep(mine.clone()).unwrap(),
                            1 => drop(shelf.let_go().unwrap()),
                            2 => drop(shelf.kept().unwrap()),
                            3 => shelf.keep(yours.same(yours.clone()).unwrap()).unwrap(),
                            _ => assert!(Remote::is_here(&yours.same(mine.clone()).unwrap())),
                        }
                        assert_eq!(yours.name().unwrap(), "yours");
                    }
                });
            }
        });
        shelf.let_go().unwrap();
        assert_eq!((shelf.alive(1).unwrap(), census.alive(1, LONG)), (1, 1));
        drop((mine, yours));
        assert_eq!((shelf.alive(0).unwrap(), census.alive(0, LONG)), (0, 0));
    });
}

#[test]
fn what_a_method_does_not_understand_is_let_go_of() {
    watchdog(60, || {
        let (shelf, census) = (shelf(), Arc::default());
        let misunderstood: Plugin<dyn Misunderstood> = Plugin::process(&shelf).interface().unwrap();
        let item = || Thing::remote("mine", &census);
        let error = misunderstood.plain(item()).unwrap_err();
        assert!(matches!(error, Error::BadArguments { .. }), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0);
        let error = misunderstood.keep(item(), item()).unwrap_err();
        assert!(matches!(error, Error::BadArguments { .. }), "{error:?}");
        assert_eq!(census.alive(0, LONG), 0);
        // What comes home and is not understood there stays with whoever sent it.
        let yours = shelf.make("yours").unwrap();
        assert!(misunderstood.plain(yours.clone()).is_err());
        assert_eq!(yours.name().unwrap(), "yours");
        drop(yours);
        assert_eq!(shelf.alive(0).unwrap(), 0);
    });
}

#[test]
fn it_cannot_be_serialised_outside_of_a_call() {
    let census = Arc::default();
    let item = Thing::remote("mine", &census);
    let error = rmp_serde::to_vec(&item).unwrap_err().to_string();
    assert!(error.contains("as a part of a plugin call only"), "{error}");
    let bytes = rmp_serde::to_vec(&(70_000, 1)).unwrap();
    let error = rmp_serde::from_slice::<Remote<dyn Item>>(&bytes).unwrap_err().to_string();
    assert!(error.contains("as a part of a plugin call only"), "{error}");
    drop(item);
    assert_eq!(census.alive(0, LONG), 0);
}

#[test]
fn so_many_calls_of_objects_may_wait_for_each_other_and_no_more() {
    watchdog(120, || {
        let (shelf, census) = (shelf(), Arc::default());
        let (mine, yours) = (Thing::remote("mine", &census), shelf.make("yours").unwrap());
        let dive = |level| yours.dive(level, yours.clone(), mine.clone());
        assert_eq!(dive(20).unwrap(), 20);
        #[cfg(target_os = "linux")]
        let before = process_tests::system::threads();
        assert_eq!(dive(255).unwrap(), 255);
        #[cfg(target_os = "linux")]
        assert!(process_tests::system::threads() <= before + 2, "no level has a thread of its own");
        let error = dive(600).unwrap_err().to_string();
        assert!(error.contains("256 calls wait for each other already"), "{error}");
        assert_eq!(dive(255).unwrap(), 255, "also after one that went too far");
        drop((mine, yours));
        assert_eq!((shelf.alive(0).unwrap(), census.alive(0, LONG)), (0, 0));
    });
}

#[test]
fn without_a_process_it_is_the_same() {
    watchdog(60, || {
        let shelf = plugin_core::in_process::<dyn Shelf>(Real::default()).unwrap();
        let census = Arc::default();
        let (mine, yours) = (Thing::remote("mine", &census), shelf.make("yours").unwrap());
        assert_eq!(yours.dive(20, yours.clone(), mine.clone()).unwrap(), 20);
        assert!(Remote::is_here(&yours.same(mine.clone()).unwrap()));
        assert!(!Remote::is_here(&yours.same(yours.clone()).unwrap()));
        shelf.keep(mine).unwrap();
        drop(shelf);
        assert_eq!(yours.name().unwrap(), "yours", "the object keeps what it lives in");
        drop(yours);
        assert_eq!(census.alive(0, LONG), 0, "what it lived in is gone, and has let go of all");
    });
}

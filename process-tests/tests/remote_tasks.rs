//! Objects and tasks: async methods of objects on either side, and futures that are dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::sync::Arc;

use common::{LONG, executors::on_each_executor, milliseconds, watchdog};
use plugin_core::{Launcher, Output, Plugin, Remote, within_async};
use process_tests::remote::{Census, Item, Shelf, Thing};

async fn shelf() -> Plugin<dyn Shelf> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_shelf")).output(Output::Discard);
    launcher.spawn_async().await.unwrap().interface_async().await.unwrap()
}

#[test]
fn async_methods_of_objects_answer_on_both_sides() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let (shelf, census) = (shelf().await, Arc::<Census>::default());
            let (mine, yours) = (Thing::remote("mine", &census), shelf.make_later("yours").await.unwrap());
            assert_eq!(yours.add_later(2).await.unwrap(), 3, "the plugin has added one");
            // Within a call of the plugin, which calls an async method of the host.
            assert_eq!(shelf.add_to(mine.clone(), 5).await.unwrap(), 5);
            assert_eq!(mine.add_later(1).await.unwrap(), 6, "it is the same");
            assert_eq!(shelf.add_to(yours.clone(), 5).await.unwrap(), 8, "also where it is at home");
            let tasks: Vec<_> = (0..200)
                .map(|number| {
                    let (shelf, mine, yours) = (shelf.clone(), mine.clone(), yours.clone());
                    executor.spawn(async move {
                        match number % 4 {
                            0 => yours.add_later(1).await,
                            1 => shelf.add_to(mine, 1).await,
                            2 => shelf.make_later("another").await?.add_later(1).await,
                            _ => yours.add(0),
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!((yours.add(0).unwrap(), mine.add(0).unwrap()), (58, 56));
            assert_eq!(shelf.alive(1).unwrap(), 1);
            drop((mine, yours));
            assert_eq!((shelf.alive(0).unwrap(), census.alive(0, LONG)), (0, 0));
        });
    });
}

#[test]
fn oneway_calls_of_async_methods_come_in_order_and_before_the_object_is_let_go_of() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let (shelf, census) = (shelf().await, Arc::<Census>::default());
            let mine = Arc::new(Thing::new("mine", &census));
            let remote = Remote::<dyn Item>::from(Arc::clone(&mine) as Arc<dyn Item>);
            shelf.keep(remote).unwrap();
            shelf.note_and_let_go(50).unwrap();
            assert!(mine.noted(50, LONG).into_iter().eq(0..50));
            let yours = shelf.make("yours").unwrap();
            for number in 0..50 {
                yours.note_later(number).await.unwrap();
                yours.note(number).unwrap();
            }
            drop(yours);
            assert_eq!(shelf.alive(0).unwrap(), 0);
            drop(mine);
            assert_eq!(census.alive(0, LONG), 0);
        });
    });
}

#[test]
fn who_drops_the_future_lets_go_of_what_it_sent() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let (shelf, census) = (shelf().await, Arc::<Census>::default());
            let yours = shelf.make("yours").unwrap();
            for round in 0..100 {
                let mut call = Box::pin(shelf.add_to(Thing::remote("mine", &census), 1));
                if round % 2 == 0 {
                    assert!(smol::future::poll_once(&mut call).await.is_none());
                }
                drop(call);
                drop(yours.add_later(1));
                let mut call = Box::pin(shelf.make_later("another"));
                let _ = smol::future::poll_once(&mut call).await;
            }
            let late = within_async(milliseconds(1), async {
                loop {
                    shelf.add_to(Thing::remote("mine", &census), 1).await?;
                }
            });
            let outcome: plugin_core::Result<()> = late.await;
            // Whoever was first to notice: the plugin, whose own call has no more time than this one, tells it as its error.
            let error = outcome.unwrap_err().to_string();
            assert!(["was not done within", "had no time left"].iter().any(|said| error.contains(said)), "{error}");
            assert_eq!(census.alive(0, LONG), 0);
            assert_eq!(shelf.alive(1).unwrap(), 1);
            drop(yours);
            assert_eq!(shelf.alive(0).unwrap(), 0);
        });
    });
}

#[test]
fn an_object_may_be_held_by_a_future_of_its_own() {
    watchdog(120, || {
        on_each_executor(|executor| async move {
            let shelf = shelf().await;
            let sums: Vec<_> = (0..50)
                .map(|number| {
                    let shelf = shelf.clone();
                    executor.spawn(async move {
                        let item = shelf.make("yours").unwrap();
                        // The plugin's last handle may be this one.
                        drop(shelf);
                        item.add_later(number).await.unwrap()
                    })
                })
                .collect();
            drop(shelf);
            for (number, sum) in (0..).zip(sums) {
                assert_eq!(sum.await, number);
            }
        });
    });
}

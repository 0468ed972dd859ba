//! Streams where something ends or is cut: the plugin, the connection, or what may be open.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{thread, time::Duration};

use common::{
    LONG,
    streaming::{STREAMER, all, settles, streamer},
    watchdog,
};
use plugin_core::{Error, Plugin, Result, Stream, within};
use process_tests::{
    eventually,
    streams::{Make, Pattern, Streamer, digest, made},
};

#[test]
fn a_plugin_that_is_killed_ends_its_streams_with_an_honest_error() {
    watchdog(120, || {
        for is_waiting in [false, true] {
            let streamer = streamer();
            let process = Plugin::process(&streamer).clone();
            let mut numbers = if is_waiting {
                streamer.listen().unwrap().into_iter().count_items()
            } else {
                streamer.count(u64::MAX, Make::Iter).unwrap().into_iter().count_items()
            };
            let (sender, argument) = Stream::channel();
            streamer.keep(argument).unwrap();
            if !is_waiting {
                (0..1000).for_each(|_| numbers(None).unwrap().unwrap());
            }
            let killing = {
                let process = process.clone();
                thread::spawn(move || {
                    if is_waiting {
                        thread::sleep(Duration::from_millis(100));
                    }
                    let pid = process.pid().unwrap();
                    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
                    assert!(killed.unwrap().success());
                })
            };
            let last = std::iter::from_fn(|| numbers(Some(LONG))).find_map(Result::err).unwrap();
            killing.join().unwrap();
            assert!(matches!(&last, Error::Died { method, .. } if method == "Stream::read"), "{last:?}");
            assert!(numbers(None).is_none());
            let outcome = (0..100).find_map(|number| within(LONG, || sender.send(number)).err());
            assert!(matches!(outcome, Some(Error::Unread)), "{outcome:?}");
            // The next call finds another process.
            assert!(all(streamer.count(10, Make::Iter).unwrap()).into_iter().eq(0..10));
        }
    });
}

/// Reads whatever items there are.
trait CountItems {
    fn count_items(self) -> Box<dyn FnMut(Option<Duration>) -> Option<Result<()>>>;
}

impl<I: Iterator<Item = Result<T>> + 'static, T> CountItems for I {
    fn count_items(mut self) -> Box<dyn FnMut(Option<Duration>) -> Option<Result<()>>> {
        Box::new(move |limit| {
            let item = within(limit.unwrap_or(LONG), || self.next());
            item.map(|item| item.map(drop))
        })
    }
}

#[test]
fn a_stream_that_was_not_read_goes_to_the_next_process_and_one_that_was_does_not() {
    watchdog(120, || {
        let directory = tempfile::tempdir().unwrap();
        for reads in [false, true] {
            let journal = directory.path().join(format!("journal {reads}"));
            let outcome = streamer().first_and_exit(journal.to_str().unwrap(), Stream::iter((5..).map(Ok)), reads);
            let runs = std::fs::read_to_string(journal.clone()).unwrap().len();
            if reads {
                let error = outcome.unwrap_err();
                assert!(matches!(error, Error::Died { may_have_run: true, .. }), "{error:?}");
                assert_eq!(runs, 1, "there is nothing to send again");
            } else {
                assert_eq!((outcome.unwrap(), runs), (5, 2));
            }
        }
    });
}

#[test]
fn too_many_streams_are_refused_and_others_flow_on() {
    watchdog(240, || {
        let streamer = streamer();
        let mut first = streamer.count(1_000_000, Make::Iter).unwrap();
        assert_eq!(first.read().unwrap().unwrap(), 0);
        let error = streamer.open(10_000).unwrap_err().to_string();
        assert!(error.contains("more than 4096 streams"), "{error}");
        let most = streamer.open(4095).unwrap();
        let error = streamer.open(1).unwrap_err().to_string();
        assert!(error.contains("more than 4096 streams"), "{error}");
        drop(most);
        assert!(eventually(LONG, || streamer.open(4095).is_ok()));
        // Arguments are counted by themselves.
        let kept: Vec<_> = (0..4096).map(|_| streamer.keep(Stream::iter([Ok(1)])).unwrap()).collect();
        let error = streamer.keep(Stream::iter([Ok(1)])).unwrap_err();
        assert!(error.to_string().contains("more than 4096 streams"), "{error}");
        assert!(!error.may_have_run());
        assert_eq!(kept.len(), 4096);
        streamer.forget().unwrap();
        assert_eq!(first.into_iter().count(), 999_999);
        settles(&streamer);
    });
}

#[test]
fn every_item_arrives_once_and_in_order_whatever_is_cut() {
    watchdog(300, || {
        let directory = tempfile::tempdir().unwrap();
        let (launcher, cuts) = common::program_behind_a_cutter(STREAMER, 31, 30_000, u64::MAX, directory.path());
        let streamer: Plugin<dyn Streamer> = launcher.spawn().and_then(|process| process.interface()).unwrap();
        while cuts() < 1000 {
            thread::scope(|scope| {
                for make in Make::ALL {
                    let streamer = &streamer;
                    scope.spawn(move || {
                        assert!(all(streamer.count(200_000, make).unwrap()).into_iter().eq(0..200_000), "{make:?}");
                    });
                    scope.spawn(move || {
                        let doubled = streamer.double(made(make, (0..100_000).map(Ok))).unwrap();
                        assert!(all(doubled).into_iter().eq((0..100_000).map(|number| 2 * number)), "{make:?}");
                    });
                }
                let streamer = &streamer;
                scope.spawn(move || {
                    let rows = streamer.rows(300, 100).unwrap().into_iter().map(Result::unwrap);
                    assert!(rows.flat_map(all).eq(0..30_000));
                    let expected = digest(Pattern::new(3 << 20)).unwrap();
                    assert_eq!(digest(streamer.read(3 << 20).unwrap()).unwrap(), expected);
                });
            });
        }
        settles(&streamer);
    });
}

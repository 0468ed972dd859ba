//! Streams in both directions, with a real plugin.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    io::{BufRead, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    LONG,
    executors::on_each_executor,
    streaming::{all, launcher, settles, streamer},
    watchdog,
};
use plugin_core::{ByteStream, Error, Plugin, Remote, Result, Stream, within, within_async};
use process_tests::{
    eventually,
    streams::{Cell, Make, Number, Pattern, Real, Section, Streamer, digest, made, next},
};

#[test]
fn results_and_arguments_flow_however_they_are_made() {
    watchdog(120, || {
        let streamer = streamer();
        for make in Make::ALL {
            for count in [0, 1, 1000, 100_000] {
                assert!(all(streamer.count(count, make).unwrap()).into_iter().eq(0..count), "{count} by {make:?}");
                let sum = streamer.sum(made(make, (0..count).map(Ok))).unwrap();
                assert_eq!(sum, (0..count).sum::<u64>(), "{count} by {make:?}");
                let doubled = streamer.double(made(make, (0..count).map(Ok))).unwrap();
                assert!(all(doubled).into_iter().eq((0..count).map(|number| 2 * number)), "{count} by {make:?}");
            }
        }
        settles(&streamer);
    });
}

#[test]
fn tasks_read_and_write_on_any_executor() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let streamer: Plugin<dyn Streamer> =
                launcher().spawn_async().await.unwrap().interface_async().await.unwrap();
            for make in Make::ALL {
                let mut numbers = streamer.count_async(20_000, make).await.unwrap();
                for expected in 0..20_000 {
                    assert_eq!(next(&mut numbers).await.unwrap().unwrap(), expected);
                }
                assert!(next(&mut numbers).await.is_none() && next(&mut numbers).await.is_none());
                let sum = streamer.sum_async(made(make, (0..20_000).map(Ok))).await.unwrap();
                assert_eq!(sum, 19_999 * 10_000);
                let (sender, stream) = Stream::channel();
                thread::spawn(move || (0..100).try_for_each(|number| sender.send(number)));
                assert_eq!(streamer.sum_async(stream).await.unwrap(), 4950);
            }
        });
    });
}

#[test]
fn many_streams_flow_side_by_side_and_calls_between_them() {
    watchdog(120, || {
        let streamer = streamer();
        thread::scope(|scope| {
            for number in 0..16_usize {
                let streamer = &streamer;
                scope.spawn(move || {
                    let make = Make::ALL[number % 4];
                    assert!(all(streamer.count(50_000, make).unwrap()).into_iter().eq(0..50_000));
                    assert_eq!(streamer.sum(made(make, (0..50_000).map(Ok))).unwrap(), 49_999 * 25_000);
                });
            }
        });
        let mut streams = streamer.open(1000).unwrap();
        assert_eq!(streams.iter_mut().map(|stream| stream.read().unwrap().unwrap()).sum::<u64>(), 499_500);
        drop(streams);
        settles(&streamer);
    });
}

fn section(name: &str, depth: u32) -> Section {
    let attachment = (depth % 2 == 0).then(|| ByteStream::read_from(Pattern::new(100_000)));
    let parts = (0..depth).map(|part| section(&format!("{name}.{part}"), depth - 1)).collect();
    let name_of_line = name.to_owned();
    let lines = Stream::iter((0..10).map(move |line| Ok(format!("{name_of_line} line {line}"))));
    Section { name: name.into(), lines, attachment, parts }
}

fn check_section(section: Section, depth: u32) {
    let expected = (0..10).map(|line| format!("{} line {line}!", section.name));
    assert!(all(section.lines).into_iter().eq(expected));
    let attachment = section.attachment.map(|bytes| digest(bytes).unwrap());
    assert_eq!(attachment, (depth % 2 == 0).then(|| digest(Pattern::new(100_000)).unwrap()));
    assert_eq!(section.parts.len(), depth as usize);
    section.parts.into_iter().for_each(|part| check_section(part, depth - 1));
}

#[test]
fn streams_are_parts_of_values_and_are_relayed_back() {
    watchdog(120, || {
        let streamer = streamer();
        let sections = streamer.mark(vec![section("a", 3), section("b", 2)]).unwrap();
        for (section, depth) in sections.into_iter().zip([3, 2]) {
            check_section(section, depth);
        }
        settles(&streamer);
    });
}

#[test]
fn streams_of_streams_and_of_objects_flow_either_way() {
    watchdog(120, || {
        let streamer = streamer();
        let rows = all(streamer.rows(100, 100).unwrap());
        assert!(rows.into_iter().flat_map(all).eq(0..10_000));
        // One row after the other, each read while the next waits.
        let rows = streamer.rows(1000, 3).unwrap().into_iter().map(Result::unwrap);
        assert!(rows.flat_map(all).eq(0..3000));
        let cells = streamer.cells(2000).unwrap();
        let held = cells.into_iter().map(|cell| cell.unwrap().get().unwrap());
        assert!(held.eq(0..2000));
        let cells = Stream::iter((0..2000).map(|number| Ok(Remote::<dyn Cell>::new(Number(number)))));
        assert_eq!(streamer.add_up(cells).unwrap(), 1999 * 1000);
        // Some that nobody ever decodes.
        let mut cells = streamer.cells(10_000).unwrap();
        assert_eq!(cells.read().unwrap().unwrap().get().unwrap(), 0);
        drop(cells);
        settles(&streamer);
    });
}

#[test]
fn a_received_stream_is_relayed_to_any_plugin() {
    watchdog(120, || {
        let (one, other) = (streamer(), streamer());
        let numbers = one.count(50_000, Make::Iter).unwrap();
        let back = other.relay(numbers).unwrap();
        let doubled = one.double(back).unwrap();
        assert!(all(doubled).into_iter().eq((0..50_000).map(|number| 2 * number)));
        // Home and away again.
        let mut again = one.relay(one.relay(Stream::iter((0..1000).map(Ok))).unwrap()).unwrap();
        assert_eq!(again.read().unwrap().unwrap(), 0);
        assert_eq!(other.sum(again).unwrap(), 499_500);
        settles(&one);
        settles(&other);
    });
}

#[test]
fn what_is_not_read_is_not_produced_beyond_the_window() {
    watchdog(120, || {
        let streamer = streamer();
        for make in [Make::Iter, Make::Ready, Make::Hesitant] {
            let before = streamer.produced().unwrap().0;
            let mut flood = streamer.flood(1000, make).unwrap();
            assert_eq!(streamer.produced().unwrap(), (before, 1), "nobody has read");
            // What is done when nothing more happens.
            let settled = || {
                let mut last = u64::MAX;
                assert!(eventually(LONG, || {
                    thread::sleep(Duration::from_millis(50));
                    let now = streamer.produced().unwrap().0 - before;
                    std::mem::replace(&mut last, now) == now
                }));
                last
            };
            // A window, and a frame on either side.
            let most = (1 << 20) / 1000 + 2 * 66;
            let mut read = 0;
            for count in [1, 5000, 10] {
                let items = (&mut flood).into_iter().take(count);
                assert!(items.map(Result::unwrap).all(|item| item.len() == 1000));
                read += count as u64;
                let ahead = settled() - read;
                assert!(ahead <= most, "{ahead} ahead of {read} by {make:?}");
            }
            drop(flood);
            assert!(eventually(LONG, || streamer.produced().unwrap().1 == 0), "{make:?}");
        }
        settles(&streamer);
    });
}

#[test]
fn an_argument_that_nobody_reads_is_not_produced_and_dropped_with_its_reader() {
    watchdog(120, || {
        let streamer = streamer();
        let (produced, alive) = (Arc::<AtomicU64>::default(), Arc::new(()));
        let (counting, guard) = (Arc::clone(&produced), Arc::clone(&alive));
        let numbers = (0..).inspect(move |_| {
            let _ = &guard;
            counting.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(streamer.keep(Stream::iter(numbers.map(Ok))).unwrap(), 1);
        assert_eq!((produced.load(Ordering::SeqCst), Arc::strong_count(&alive)), (0, 2));
        streamer.forget().unwrap();
        assert!(eventually(LONG, || Arc::strong_count(&alive) == 1));
        assert_eq!(produced.load(Ordering::SeqCst), 0);
        settles(&streamer);
    });
}

#[test]
fn a_sender_learns_that_the_plugin_reads_no_more() {
    watchdog(120, || {
        let streamer = streamer();
        let (sender, stream) = Stream::channel();
        streamer.keep(stream).unwrap();
        (0..32).for_each(|number| sender.send(number).unwrap());
        let late = within(Duration::from_millis(20), || sender.send(32));
        assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
        streamer.forget().unwrap();
        let outcome = within(LONG, || sender.send(33));
        assert!(matches!(outcome, Err(Error::Unread)), "{outcome:?}");
        settles(&streamer);
    });
}

#[test]
fn errors_and_panics_are_the_last_items() {
    watchdog(120, || {
        let streamer = streamer();
        for make in Make::ALL {
            let failing = streamer.fail_after(1000, "on purpose", false, make).unwrap();
            let items: Vec<_> = failing.into_iter().collect();
            assert_eq!(items.len(), 1001);
            assert!(items[..1000].iter().map(|item| *item.as_ref().unwrap()).eq(0..1000));
            let Err(Error::Remote { kind, message, .. }) = &items[1000] else { panic!("{:?}", items[1000]) };
            assert_eq!((&**kind, &**message), ("custom", "on purpose"));
            let mut panicking = streamer.fail_after(1000, "by accident", true, make).unwrap();
            assert!((&mut panicking).into_iter().take(1000).map(Result::unwrap).eq(0..1000));
            let last = panicking.read().unwrap().unwrap_err();
            if make == Make::Channel {
                // Of the thread that sends it is only known that it has panicked.
                assert!(matches!(&last, Error::Remote { kind, .. } if kind == "panicked"), "{last:?}");
            } else {
                let Error::Panicked { plugin, message, location, .. } = &last else { panic!("{last:?}") };
                assert_eq!((&**plugin, &**message), ("streamer", "by accident"));
                assert!(location.as_ref().unwrap().contains("streams.rs:"));
            }
            assert!(panicking.into_iter().next().is_none());
        }
        assert_eq!(
            streamer.sum(Stream::iter([Ok(1), Err(Error::custom("no more"))])).unwrap_err().to_string(),
            "no more"
        );
        let panics = Stream::iter((0..2).map(|number| if number == 1 { panic!("at 1") } else { Ok(number) }));
        let error = streamer.sum(panics).unwrap_err().to_string();
        assert!(error.contains("of the host panicked at") && error.ends_with(": at 1"), "{error}");
        settles(&streamer);
    });
}

#[test]
fn a_quiet_stream_lives_and_one_reading_can_be_limited() {
    watchdog(120, || {
        let streamer = streamer();
        let mut said = streamer.listen().unwrap();
        let mut next = |limit| within(limit, || said.read());
        for round in 0..5 {
            let began = Instant::now();
            let late = next(Duration::from_millis(30)).unwrap();
            assert!(matches!(&late, Err(Error::Timeout { plugin, .. }) if plugin == "streamer"), "{late:?}");
            assert!(began.elapsed() >= Duration::from_millis(30));
            let text = format!("round {round}");
            assert_eq!(streamer.say(&text).unwrap(), 1);
            assert_eq!(next(LONG).unwrap().unwrap(), text);
        }
        // Longer than callers take to look for signs of life.
        thread::scope(|scope| {
            let reading = scope.spawn(|| said.read());
            thread::sleep(Duration::from_millis(2500));
            streamer.say("at last").unwrap();
            assert_eq!(reading.join().unwrap().unwrap().unwrap(), "at last");
        });
        drop(said);
        assert!(eventually(LONG, || streamer.say("nobody").unwrap() == 0));
        settles(&streamer);
    });
}

#[test]
fn one_reading_of_a_task_can_be_limited() {
    watchdog(120, || {
        on_each_executor(|_| async {
            let streamer = streamer();
            let mut said = streamer.listen().unwrap();
            for round in 0..5 {
                let late = within_async(Duration::from_millis(30), next(&mut said)).await.unwrap();
                assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
                let text = format!("round {round}");
                streamer.say(&text).unwrap();
                assert_eq!(next(&mut said).await.unwrap().unwrap(), text);
            }
            // A wait that is given up loses nothing either, and a thread may go on where a task has waited.
            let waited = std::future::poll_fn(|context| {
                let polled = futures_core::Stream::poll_next(std::pin::Pin::new(&mut said), context);
                std::task::Poll::Ready(polled.is_pending())
            });
            assert!(waited.await);
            streamer.say("behind it").unwrap();
            assert_eq!(said.read().unwrap().unwrap(), "behind it");
        });
    });
}

#[test]
fn one_reading_of_a_plugins_task_can_be_limited() {
    watchdog(120, || {
        let streamer = streamer();
        // It is asked for its item when the plugin begins to read, so however late that is, the item is later.
        let slow = std::iter::once_with(|| {
            thread::sleep(Duration::from_millis(300));
            Ok(7)
        });
        let late = smol::block_on(streamer.first_within(Stream::iter(slow), 30)).unwrap();
        assert_eq!(late, (7, true));
        settles(&streamer);
        let first = smol::block_on(streamer.first_within(Stream::iter([Ok(8)]), 20_000));
        assert_eq!(first.unwrap(), (8, false));
    });
}

#[test]
fn bytes_are_written_and_read_by_lines() {
    watchdog(120, || {
        let streamer = streamer();
        let (mut sender, stream) = ByteStream::channel();
        let writing = thread::spawn(move || (0..10_000).try_for_each(|number| writeln!(sender, "line {number}")));
        let mut expected = 0;
        for line in streamer.shout(stream).unwrap().lines() {
            assert_eq!(line.unwrap(), format!("LINE {expected}"));
            expected += 1;
        }
        writing.join().unwrap().unwrap();
        assert_eq!(expected, 10_000);
        let (mut sender, stream) = ByteStream::channel();
        sender.write_all(b"begun").unwrap();
        sender.fail(Error::custom("out of paper"));
        let mut shout = streamer.shout(stream).unwrap();
        let mut text = String::new();
        let error = shout.read_to_string(&mut text).unwrap_err();
        let source = error.get_ref().and_then(|error| error.downcast_ref::<Error>()).unwrap();
        assert_eq!((source.to_string(), &*text), ("out of paper".into(), "BEGUN"));
        settles(&streamer);
    });
}

#[test]
fn without_a_process_it_is_the_same() {
    watchdog(120, || {
        let streamer = plugin_core::in_process::<dyn Streamer>(Real::default()).unwrap();
        for make in Make::ALL {
            assert!(all(streamer.count(50_000, make).unwrap()).into_iter().eq(0..50_000));
            assert_eq!(streamer.sum(made(make, (0..50_000).map(Ok))).unwrap(), 49_999 * 25_000);
        }
        let rows = streamer.rows(100, 10).unwrap().into_iter().map(Result::unwrap);
        assert!(rows.flat_map(all).eq(0..1000));
        let expected = digest(Pattern::new(10 << 20)).unwrap();
        assert_eq!(digest(streamer.read(10 << 20).unwrap()).unwrap(), expected);
    });
}

#[test]
fn a_stream_cannot_be_sent_twice_or_outside_of_a_call() {
    watchdog(60, || {
        let streamer = streamer();
        let sections = vec![section("a", 0)];
        let error = rmp_serde::to_vec(&sections).unwrap_err().to_string();
        assert!(error.contains("as a part of a plugin call only"), "{error}");
        let lines = sections.into_iter().next().unwrap().lines;
        assert_eq!(all(lines).len(), 10, "nothing was lost");
        settles(&streamer);
    });
}

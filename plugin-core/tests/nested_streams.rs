//! Streams of what is more than bytes, as many as a side may not hold at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use plugin_core::{Remote, Result, Stream, in_process, plugin_interface};

const STREAMS: u32 = 10_000;
const OBJECTS: u32 = 10_000;

#[plugin_interface]
trait Number {
    fn number(&self) -> Result<u32>;
}

#[plugin_interface]
trait Many {
    fn streams(&self) -> Result<Stream<Stream<u32>>>;
    fn objects(&self) -> Result<Stream<Remote<dyn Number>>>;
}

struct Plugin(Arc<AtomicU32>);

struct One(u32);

impl Number for One {
    fn number(&self) -> Result<u32> {
        Ok(self.0)
    }
}

impl Plugin {
    fn count<T>(&self, count: u32, item: impl Fn(u32) -> T + Send + 'static) -> Stream<T> {
        let made = Arc::clone(&self.0);
        Stream::iter((0..count).map(move |number| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(item(number))
        }))
    }
}

impl Many for Plugin {
    fn streams(&self) -> Result<Stream<Stream<u32>>> {
        Ok(self.count(STREAMS, |number| Stream::iter([Ok(number)])))
    }

    fn objects(&self) -> Result<Stream<Remote<dyn Number>>> {
        Ok(self.count(OBJECTS, |number| Remote::new(One(number))))
    }
}

/// Reads one after the other behind a producer that is as far ahead as it may be.
fn read<T>(stream: Stream<T>, made: &AtomicU32, number: impl Fn(T) -> u32) -> u32 {
    let mut read = 0;
    for item in stream {
        let deadline = Instant::now() + Duration::from_secs(30);
        while read == 0 && made.load(Ordering::Relaxed) < 200 {
            assert!(Instant::now() < deadline, "nothing is produced ahead");
            thread::yield_now();
        }
        assert_eq!(number(item.unwrap()), read);
        read += 1;
        assert!(made.load(Ordering::Relaxed) <= read + 600, "the producer is far ahead");
    }
    read
}

#[test]
fn a_producer_is_not_ahead_by_more_streams_than_may_be_open() {
    let made = Arc::<AtomicU32>::default();
    let plugin = in_process::<dyn Many>(Plugin(Arc::clone(&made))).unwrap();
    let number = |stream: Stream<u32>| stream.into_iter().next().unwrap().unwrap();
    assert_eq!(read(plugin.streams().unwrap(), &made, number), STREAMS);
}

#[test]
fn a_producer_is_not_ahead_by_more_objects_than_may_be_held() {
    let made = Arc::<AtomicU32>::default();
    let plugin = in_process::<dyn Many>(Plugin(Arc::clone(&made))).unwrap();
    let number = |object: Remote<dyn Number>| object.number().unwrap();
    assert_eq!(read(plugin.objects().unwrap(), &made, number), OBJECTS);
}

//! Streams of iterators that keep their threads, or never give an item.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use plugin_core::{Result, Stream, in_process, plugin_interface, within};

/// More than there are threads for methods.
const STREAMS: u32 = 600;

#[plugin_interface]
trait Watches {
    fn watch(&self) -> Result<Stream<u32>>;
    fn count(&self) -> Result<usize>;
    /// Those that are wanted: none.
    fn filter(&self, numbers: Stream<u64>) -> Result<Stream<u64>>;
}

#[derive(Default)]
struct Plugin(Mutex<Vec<mpsc::Sender<u32>>>);

impl Watches for Plugin {
    fn watch(&self) -> Result<Stream<u32>> {
        let (sender, receiver) = mpsc::channel();
        sender.send(7).unwrap();
        self.0.lock().unwrap().push(sender);
        Ok(Stream::iter(receiver.into_iter().map(Ok)))
    }

    fn count(&self) -> Result<usize> {
        Ok(self.0.lock().unwrap().len())
    }

    fn filter(&self, numbers: Stream<u64>) -> Result<Stream<u64>> {
        Ok(Stream::iter(numbers.into_iter().filter(|number| number.as_ref().is_ok_and(|number| *number == u64::MAX))))
    }
}

#[test]
fn streams_that_are_quiet_hold_up_no_calls() {
    let plugin = in_process::<dyn Watches>(Plugin::default()).unwrap();
    let count = within(Duration::from_secs(60), || {
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let mut stream = plugin.watch()?;
            assert!(matches!((&mut stream).into_iter().next(), Some(Ok(7))));
            streams.push(stream);
        }
        plugin.count()
    });
    assert_eq!(count.unwrap(), 600);
}

#[test]
fn who_filters_for_nobody_stops_although_it_has_found_nothing() {
    /// Tells when it is dropped.
    struct Endless(mpsc::Sender<()>);

    impl Iterator for Endless {
        type Item = Result<u64>;

        fn next(&mut self) -> Option<Result<u64>> {
            Some(Ok(0))
        }
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }

    let plugin = in_process::<dyn Watches>(Plugin::default()).unwrap();
    let (dropped, is_dropped) = mpsc::channel();
    let mut found = plugin.filter(Stream::iter(Endless(dropped))).unwrap();
    let late = within(Duration::from_millis(50), || found.read());
    assert!(matches!(late, Some(Err(plugin_core::Error::Timeout { .. }))), "{late:?}");
    assert!(is_dropped.try_recv().is_err());
    drop(found);
    is_dropped.recv_timeout(Duration::from_secs(60)).expect("nobody reads what is produced of it");
}

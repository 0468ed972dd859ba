//! Streams of iterators that keep their threads.

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

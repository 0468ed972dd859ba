//! A plugin of streams, and what tests do with it.

use plugin_core::{Launcher, Output, Plugin, Result, Stream};
use process_tests::{eventually, streams::Streamer};

use super::LONG;

/// The plugin that streams.
pub(crate) const STREAMER: &str = env!("CARGO_BIN_EXE_streamer");

pub(crate) fn launcher() -> Launcher {
    Launcher::new(STREAMER).output(Output::Discard)
}

pub(crate) fn streamer() -> Plugin<dyn Streamer> {
    launcher().spawn().and_then(|process| process.interface()).expect("the plugin starts")
}

pub(crate) fn all<T>(stream: Stream<T>) -> Vec<T> {
    stream.into_iter().collect::<Result<_>>().unwrap()
}

/// Waits until neither side holds anything of the other's.
pub(crate) fn settles(streamer: &Plugin<dyn Streamer>) {
    let info = || Plugin::process(streamer).info();
    assert!(eventually(LONG, || info().objects_held + info().objects_given == 0), "{:?}", info());
}

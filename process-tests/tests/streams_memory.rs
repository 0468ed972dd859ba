//! How much memory streams of bytes take. Alone in its program, since the memory of a process is that of all its tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use common::{
    streaming::{settles, streamer},
    watchdog,
};
use plugin_core::ByteStream;
use process_tests::streams::{Pattern, digest, peak_kilobytes};

#[test]
fn bytes_flow_either_way_in_little_memory() {
    const LENGTH: u64 = 256 << 20;
    watchdog(240, || {
        let streamer = streamer();
        let expected = digest(Pattern::new(LENGTH)).unwrap();
        let before = peak_kilobytes() + streamer.peak_kilobytes().unwrap();
        assert_eq!(digest(streamer.read(LENGTH).unwrap()).unwrap(), expected);
        assert_eq!(streamer.digest(ByteStream::read_from(Pattern::new(LENGTH))).unwrap(), expected);
        let after = peak_kilobytes() + streamer.peak_kilobytes().unwrap();
        assert!(after - before < 64 << 10, "{} KiB more", after - before);
        settles(&streamer);
    });
}

//! A plugin of streams.

use process_tests::streams::{Real, Streamer};

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Streamer>(Real::default())
}

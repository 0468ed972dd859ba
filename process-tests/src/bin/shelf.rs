//! A plugin that gives and takes objects.

use process_tests::remote::{Real, Shelf};

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Shelf>(Real::default())
}

//! A plugin that calls back.

use process_tests::callback::{Caller, Real};

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Caller>(Real::default())
}

//! A plugin that calls back.

use process_tests::callback::{Caller, Real, TaskCaller};

fn main() -> plugin_core::Result<()> {
    plugin_core::Server::new().with::<dyn Caller>(Real::default()).with::<dyn TaskCaller>(Real::default()).serve()
}

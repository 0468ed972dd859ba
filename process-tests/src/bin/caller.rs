//! A plugin that calls back.

use process_tests::{
    callback::{Caller, Real, TaskCaller},
    lending::{Delegates, Manager},
};

fn main() -> plugin_core::Result<()> {
    let server = plugin_core::Server::new().with::<dyn Caller>(Real::default()).with::<dyn TaskCaller>(Real::default());
    server.with::<dyn Delegates>(Manager::default()).serve()
}

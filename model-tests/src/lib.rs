//! How the threads of `plugin-core` hand reading and writing over to each other, tried out in many orders.
//!
//! The sources of `plugin-core` are compiled here a second time, with the locks, threads and time of `sync` in place of the
//! standard library's: a scheduler decides at every step which thread goes on, and when time passes. Over links in memory
//! (`link`) the scenarios of [`scenarios`] then run thousands of times, each time in another order. Where no thread can go
//! on, somebody was not woken, and the scheduler says so.
#![cfg(all(unix, not(test)))]

#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[path = "../../plugin-core/src/buffer.rs"]
mod buffer;
#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[path = "../../plugin-core/src/codec/mod.rs"]
mod codec;
#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[allow(unexpected_cfgs, reason = "the features are those of plugin-core")]
#[path = "../../plugin-core/src/connection/mod.rs"]
mod connection;
mod deadline;
mod link;
mod objects;
#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[path = "../../plugin-core/src/protocol/mod.rs"]
mod protocol;
pub mod scenarios;
mod server;
mod sides;
#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[path = "../../plugin-core/src/signal.rs"]
mod signal;
mod sync;
#[allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations, reason = "callers are not all here")]
#[path = "../../plugin-core/src/transport/mod.rs"]
mod transport;

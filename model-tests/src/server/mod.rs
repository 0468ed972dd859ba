//! The threads that lead in a plugin, and what watches them, over a service that runs nothing but what a scenario says.

#[path = "../../../plugin-core/src/server/leaders.rs"]
mod leaders;
mod pace;
mod panics;
mod service;
#[path = "../../../plugin-core/src/server/watchdog.rs"]
mod watchdog;
#[path = "../../../plugin-core/src/server/writer.rs"]
mod writer;

pub(crate) use service::{BLOCKED, CALLING, GIVING, OPENING, QUICK, STREAMING, Service};

//! The threads that lead in a plugin, and what watches them, over a service that runs nothing but what a scenario says.

#[path = "../../../plugin-core/src/server/leaders.rs"]
mod leaders;
mod pace;
mod panics;
mod service;
#[path = "../../../plugin-core/src/server/watchdog.rs"]
mod watchdog;

pub(crate) use service::{BLOCKED, OPENING, QUICK, Service};

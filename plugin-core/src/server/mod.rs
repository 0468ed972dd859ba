//! The plugin's side: what answers requests.
//!
//! In reading order: [`serve`] is what a plugin's `main` calls; [`session`] finds the host again
//! after a cut; [`service`] answers one request; [`workers`] runs many at
//! once; [`lifeline`] notices that the host is gone; [`by_hand`] is for a plugin that was started without a host.

mod by_hand;
mod call;
mod lifeline;
mod listen;
mod panics;
mod serve;
mod service;
mod session;
mod stop;
mod workers;

pub use call::Call;
pub use serve::{Server, serve};
pub(crate) use service::Service;

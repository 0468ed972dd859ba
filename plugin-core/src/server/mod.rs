//! The plugin's side: what answers requests.
//!
//! In reading order: [`serve`] is what a plugin's `main` calls; [`recovery`] is how a session outlives a cut, [`session`] how
//! it dials its host again; [`service`] says who runs a request, [`handling`] what is done with what else comes, and
//! [`outcome`] what comes of it; [`leaders`] read, and run the handlers that [`pace`] says are quick, while a [`watchdog`]
//! looks on; [`workers`] run the others, many at once, and a [`lane`] those that nobody waits for, in turn; [`spawn`] begins
//! async methods, [`tasks`] are those that were not done at once, and an [`executor`] runs them; [`discarded`] is what the host
//! held and lets go of; a [`writer`] writes what nobody else waits to write; [`lifeline`] notices that the host is gone;
//! [`by_hand`] is for a plugin that was started without a host, [`listen`] for one that waits for hosts to attach, and
//! [`guests`] are those that have.

mod by_hand;
mod call;
mod discarded;
mod executor;
mod guests;
mod handling;
mod lane;
mod leaders;
mod lifeline;
mod listen;
mod numbers;
mod outcome;
mod pace;
pub(crate) mod panics;
mod recovery;
mod requests;
mod running;
mod serve;
mod service;
mod session;
mod spawn;
mod stop;
mod tasks;
mod watchdog;
mod workers;
mod writer;

pub use call::Call;
pub(crate) use call::CallState;
pub(crate) use executor::Executor;
pub(crate) use outcome::{dispatched, message};
pub use serve::{Server, serve, serve_async};
pub(crate) use service::Service;
pub(crate) use tasks::{Outcome, Run};

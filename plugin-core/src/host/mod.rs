//! The host's side: starting plugins, talking to them, and cleaning up behind them.
//!
//! In reading order: [`launcher`] says what to start; [`start`] starts it; [`process`] is the running plugin and
//! [`plugin`] the typed handle to one of its interfaces; [`attach`] and [`in_process`] are the two other ways to have a
//! process. Below them: [`rendezvous`] is where plugins dial in, in a private [`directory`]; [`child`] is the operating
//! system's process; [`diagnose`] says why one would not start; [`output`] forwards what it prints; [`life`] is what is
//! known about whether it still runs.

mod attach;
mod child;
mod diagnose;
mod directory;
mod in_process;
#[cfg(windows)]
mod job;
mod launcher;
mod life;
mod output;
mod plugin;
mod process;
mod rendezvous;
mod start;

pub use attach::attach;
pub use in_process::in_process;
pub use launcher::{Launcher, connect};
pub use output::{Output, OutputLine, OutputStream};
pub use plugin::Plugin;
pub(crate) use process::Handle;
pub use process::{Info, InterfaceInfo, Process, State};

//! The host's side: starting plugins, talking to them, and cleaning up behind them.
//!
//! In reading order: [`launcher`] says what to start; [`process`] is the plugin and [`plugin`] the typed handle to one of its
//! interfaces; [`supervisor`] keeps it running, as [`restart`] allows, and tells [`events`]; [`start`] starts it once, and
//! [`instance`] is what then runs; [`attach`] and [`in_process`] are the two other ways to have a process. Below them:
//! [`rendezvous`] is where plugins dial in, in a private [`directory`]; [`child`] is the operating system's process;
//! [`diagnose`] says why one would not start; [`output`] reads what it prints and [`forward`] hands it on; [`handler`] is the
//! host's end of the connection; [`life`] is what is known about whether it still runs.

mod attach;
mod child;
mod diagnose;
mod directory;
mod events;
mod forward;
mod handler;
mod in_process;
mod instance;
#[cfg(windows)]
mod job;
mod launcher;
mod life;
mod output;
mod plugin;
mod process;
mod rendezvous;
mod restart;
mod start;
mod supervisor;
mod wake;

pub use attach::attach;
pub use events::{Event, Events};
pub use in_process::in_process;
pub(crate) use instance::Instance;
pub use launcher::{Launcher, connect};
pub use output::{Output, OutputLine, OutputStream};
pub use plugin::Plugin;
pub(crate) use process::{Handle, explain};
pub use process::{Info, InterfaceInfo, Process, State};
pub use restart::{Budget, Restart};

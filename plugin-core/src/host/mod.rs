//! The host's side: starting plugins, talking to them, and cleaning up behind them.
//!
//! In reading order: [`launcher`] says what to start; [`process`] is the plugin, [`plugin`] the typed handle to one of its
//! interfaces, and [`handle`] what all of them share; [`supervisor`] keeps it running through its [`phase`]s, as [`restart`]
//! allows, and tells [`events`], [`acquire`] gets a call to a run of it, [`idle`] stops it while nobody calls; [`start`] starts
//! it once, and [`instance`] is what then runs; [`attach`] and [`in_process`] are
//! the two other ways to have a process. Below them: [`rendezvous`] is where plugins dial in, in a private [`directory`], [`hear`]
//! listens to those who do, and [`guests`] knows them; [`child`] is the operating system's process; [`diagnose`] says why one would not start;
//! [`output`] says where what it prints goes, [`drain`] reads it and [`forward`] hands it on; [`ends`] waits for it to end;
//! [`handler`] is the host's end of the connection; [`watch`] reads connections that no caller reads, and [`attend`] waits for
//! whatever else there is to wait for; [`keeper`] is what the holders of its objects hold; [`life`] is what is known about whether it still runs,
//! and [`usage`] whether anybody calls it.

mod acquire;
mod asynchronous;
mod attach;
#[cfg(unix)]
mod attend;
mod child;
mod diagnose;
mod directory;
mod drain;
#[cfg(all(unix, feature = "tokio"))]
mod driver;
mod ends;
mod events;
mod forward;
mod guests;
mod handle;
mod handler;
mod hear;
mod idle;
mod in_process;
mod instance;
#[cfg(windows)]
mod job;
mod keeper;
mod launcher;
mod life;
mod output;
mod pending;
mod phase;
mod plugin;
mod process;
mod rendezvous;
mod restart;
mod start;
mod supervisor;
mod tasks;
mod usage;
#[cfg(unix)]
mod watch;

pub use asynchronous::{attach_async, connect_async};
pub use attach::attach;
pub use events::{Event, Events};
pub(crate) use handle::{Handle, explain, limit};
pub use in_process::in_process;
pub(crate) use instance::Instance;
pub(crate) use keeper::Keeper;
pub use launcher::{Launcher, Wait, connect};
pub use output::{Output, OutputLine, OutputStream};
pub use pending::{Pending, pending};
pub use plugin::Plugin;
pub use process::{Info, InterfaceInfo, Process, State};
pub use restart::{Budget, Restart};
pub(crate) use usage::Lease;

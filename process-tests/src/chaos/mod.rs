//! Many callers, and a connection that is cut or a plugin that is killed while they call: what became of every call?
//!
//! [`cut_run`] cuts the connection at random bytes: every call must be answered, rightly, and have run exactly once.
//! [`kill_run`] kills the plugin's process at random moments: every call must be answered and have run exactly once, or fail
//! with an error that is right about whether it ran. Either is settled by the plugin's own journal ([`crate::ledger`]).
//!
//! The seed decides the faults and the calls, the scheduler which call meets which fault.

mod callbacks;
mod callers;
mod cuts;
mod kills;
mod leaks;
mod objects;
mod streams;
mod verdict;

pub use callers::Progress;
pub use cuts::cut_run;
pub use kills::kill_run;
pub use verdict::{Findings, Passed, Verdict};

use std::{ffi::OsString, path::PathBuf, process::Command};

/// What a run needs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the random numbers begin with.
    pub seed: u64,
    /// How many threads call at once.
    pub threads: usize,
    /// A program that runs [`crate::ledger::run`] with the path that follows these arguments.
    pub ledger: Vec<OsString>,
    /// A program that runs [`crate::cutter::main`] with what follows these arguments.
    pub cutter: Vec<OsString>,
    /// Where the runs leave their files.
    pub directory: PathBuf,
}

impl Setup {
    fn journal(&self, run: &str) -> PathBuf {
        self.directory.join(run)
    }
}

fn command(line: &[OsString]) -> Command {
    let mut line = line.iter();
    let mut command = Command::new(line.next().map_or_else(OsString::new, Clone::clone));
    command.args(line);
    command
}

//! `grep-host` finds lines in files. It looks into none: a plugin does, `grep-files`.

mod bar;
mod command;
mod interrupt;
mod search;

use std::{
    env,
    error::Error,
    io::{self, ErrorKind},
    process::ExitCode,
};

use grep_api::{Progress, Searcher};
use indicatif::HumanBytes;
use plugin_core::Plugin;

use crate::{
    command::{Command, USAGE},
    search::{Ending, Failure, Outcome},
};

/// The exit status where anything went wrong.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let command = match command::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(why) => {
            complain(&format!("{why}\n{USAGE}"));
            return TROUBLE.into();
        }
    };
    match run(&command) {
        Ok(outcome) => {
            explain(&outcome, command.stats);
            status(&outcome).into()
        }
        // Whoever reads has seen enough, as in `grep-host fn | head`.
        Err(Failure::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&with_causes(&failure));
            if interrupt::has_come() { interrupt::STATUS.into() } else { TROUBLE.into() }
        }
    }
}

fn run(command: &Command) -> Result<Outcome, Failure> {
    interrupt::watch()?;
    // The plugin lies beside this program.
    let program = env::current_exe()?.with_file_name(format!("grep-files{}", env::consts::EXE_SUFFIX));
    let searcher = plugin_core::connect::<dyn Searcher>(program)?;
    let outcome = search::follow(&searcher, command, &mut io::stdout().lock())?;
    Plugin::process(&searcher).shutdown()?;
    Ok(outcome)
}

/// Says why the search ended before its time, and what was searched where that was asked for.
fn explain(outcome: &Outcome, stats: bool) {
    let Progress { files, all_files, searched, bytes, lines } = outcome.summary.progress;
    let files = if all_files { format!("{files}") } else { format!("more than {files}") };
    match outcome.ending {
        Ending::Complete => {}
        Ending::Enough if !outcome.summary.stopped => {}
        Ending::Enough => {
            complain(&format!("stopped after {} lines: {searched} of {files} files searched", outcome.lines));
        }
        Ending::Interrupted => complain(&format!("stopped by Ctrl-C: {searched} of {files} files searched")),
    }
    if stats {
        complain(&format!(
            "{} lines printed of {lines} found, {searched} of {files} files searched ({}), {} of them binary, {} not readable",
            outcome.lines,
            HumanBytes(bytes),
            outcome.summary.binary,
            outcome.problems,
        ));
    }
}

fn status(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome { ending: Ending::Interrupted, .. } => interrupt::STATUS,
        Outcome { problems: 1.., .. } => TROUBLE,
        Outcome { lines: 0, .. } => 1,
        _ => 0,
    }
}

/// The message of `error` and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

#[expect(clippy::print_stderr, reason = "a command-line program says there what went wrong")]
fn complain(message: &str) {
    eprintln!("grep-host: {message}");
}

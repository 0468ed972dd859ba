//! `kv` keeps values by key, on the command line. The data is the business of a plugin, `kv-redb`.

mod command;
mod run;
mod watch;

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    path::Path,
    process::{self, ExitCode},
};

use kv_api::Store;
use plugin_core::{Launcher, Output, Plugin};

use crate::{
    command::{Command, USAGE},
    run::{Failure, run},
};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let Some((file, command)) = command::parse(&arguments) else {
        complain(USAGE);
        return ExitCode::from(2);
    };
    match run_on(Path::new(file), &command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as in `kv --store FILE scan | head`.
        Err(Failure::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run_on(file: &Path, command: &Command<'_>) -> Result<(), Failure> {
    let store = open(file)?;
    let mut output = io::stdout();
    let outcome = run(&*store, command, &mut io::stdin().lock(), &mut output);
    // Waits, where a drop would not: once this program has ended, the next one may have the file.
    Plugin::process(&store).shutdown()?;
    outcome?;
    if matches!(command, Command::Get { .. }) && output.is_terminal() {
        writeln!(output)?; // For the prompt that follows; elsewhere the value is all there is.
    }
    Ok(output.flush()?)
}

/// Starts the plugin, which is beside this program, for the store in `file`.
fn open(file: &Path) -> Result<Plugin<dyn Store>, Failure> {
    let program = env::current_exe()?.with_file_name(format!("kv-redb{}", env::consts::EXE_SUFFIX));
    let mut command = process::Command::new(program);
    command.arg(file);
    // What it prints is why it did not start; the error quotes that.
    Ok(Launcher::new(command).output(Output::Discard).spawn()?.interface()?)
}

/// The message of `error` and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

/// Says why something failed.
fn report(failure: &Failure) {
    complain(&format!("kv: {}", with_causes(failure)));
}

#[expect(clippy::print_stderr, reason = "a command-line program says there what went wrong")]
fn complain(message: &str) {
    eprintln!("{message}");
}

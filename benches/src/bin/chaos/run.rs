//! What was asked for, the two runs, and their figures.

use std::{env, error::Error, path::Path, process::ExitCode, sync::atomic::Ordering::Relaxed};

use clap::Parser;
use process_tests::{
    chaos::{Progress, Setup, Verdict, cut_run, kill_run},
    cutter, ledger,
};

use crate::show::show;

/// The first argument where this program is the cutter, and where it is the plugin.
const CUTTER: &str = "--as-cutter";
const LEDGER: &str = "--as-ledger";

/// Cuts and kills plugins under many callers, and counts the calls that were lost or repeated.
///
/// The seed decides where connections are cut, how bytes are split and delayed, what is called, and after what time processes
/// are killed; the scheduler decides which calls that meets, so two runs with one seed differ.
#[derive(Parser)]
struct Options {
    /// What the random numbers begin with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many calls there are at least while connections are cut.
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// How many cuts there are at least.
    #[arg(long, default_value_t = 10_000)]
    cuts: u64,
    /// How often a plugin is killed.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// How many threads call at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: u16,
}

/// Does what the first argument says that this program is.
#[expect(clippy::print_stderr, reason = "that is where errors go")]
pub(crate) fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    let role = arguments.next_if(|first| first == CUTTER || first == LEDGER);
    let outcome = match role {
        None => run(&Options::parse()),
        Some(role) if role == CUTTER => cutter::main(arguments).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Some(_) => serve(arguments.next().unwrap_or_default().as_ref()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

fn serve(journal: &Path) -> Result<ExitCode, Box<dyn Error>> {
    ledger::run(journal)?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let directory = tempfile::tempdir_in(process_tests::socket_base())?;
    let program = env::current_exe()?.into_os_string();
    let setup = Setup {
        seed: options.seed,
        threads: options.threads.into(),
        ledger: vec![program.clone(), LEDGER.into()],
        cutter: vec![program, CUTTER.into()],
        directory: directory.path().into(),
    };
    let (cut, kill) = (Progress::default(), Progress::default());
    let cutting =
        show("cutting", options.cuts, &cut.cuts, &cut, || cut_run(&setup, options.calls, options.cuts, &cut))?;
    println!("{} cuts during {cutting}", cut.cuts.load(Relaxed));
    let killing = show("killing", options.kills, &kill.kills, &kill, || kill_run(&setup, options.kills, &kill))?;
    println!("{} kills during {killing}", kill.kills.load(Relaxed));

    let verdicts = [cutting, killing];
    tell_findings(&verdicts);
    let calls: u64 = verdicts.iter().map(|verdict| verdict.calls).sum();
    let (lost, repeated) = verdicts
        .iter()
        .fold((0, 0), |(lost, repeated), verdict| (lost + verdict.lost.len(), repeated + verdict.repeated.len()));
    let (cuts, kills) = (cut.cuts.load(Relaxed), kill.kills.load(Relaxed));
    println!("calls {calls}, cuts {cuts}, kills {kills}: lost {lost}, repeated {repeated}");
    Ok(if lost + repeated == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells the first few calls that are not as they should be.
#[expect(clippy::print_stderr, reason = "beside the figures")]
fn tell_findings(verdicts: &[Verdict]) {
    for finding in verdicts.iter().flat_map(|verdict| verdict.lost.iter().chain(&verdict.repeated)).take(20) {
        eprintln!("{finding}");
    }
}

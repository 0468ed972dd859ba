//! What was asked for, the two runs, and their figures.

use std::{env, error::Error, path::Path, process::ExitCode, sync::atomic::Ordering::Relaxed};

use clap::Parser;
use process_tests::{
    chaos::{Passed, Progress, Setup, Verdict, cut_run, kill_run},
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
        eprintln!("{error:?}");
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

    let (cuts, kills) = (cut.cuts.load(Relaxed), kill.kills.load(Relaxed));
    Ok(sum_up(&[cutting, killing], cuts, kills))
}

/// Tells what is not as it should be, the first few cases of it, and how much of what there was; the last line is that of the calls.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what this is for")]
fn sum_up(verdicts: &[Verdict], cuts: u64, kills: u64) -> ExitCode {
    let (mut calls, mut passed, mut lost, mut repeated, mut leaked) = (0, Passed::default(), 0, 0, 0);
    for Verdict { calls: more, passed: others, findings, .. } in verdicts {
        findings.all().take(20).for_each(|finding| eprintln!("{finding}"));
        (calls, lost, repeated) = (calls + more, lost + findings.lost.len(), repeated + findings.repeated.len());
        leaked += findings.leaked.len();
        passed.add(others);
    }
    println!("{passed}: leaked {leaked}");
    println!("calls {calls}, cuts {cuts}, kills {kills}: lost {lost}, repeated {repeated}");
    if lost + repeated + leaked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

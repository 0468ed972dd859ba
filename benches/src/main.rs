//! Compares plugin-core with the bare socket and with its peers, and writes what came out.
//!
//! `cargo run --release -p benches` measures everything and writes `docs/performance.md` and its charts.
#![allow(clippy::cast_precision_loss, reason = "figures need no 53 bits")]
#![allow(clippy::print_stdout, reason = "a program of the command line")]

mod busy;
mod chart;
mod compare;
mod contenders;
mod go;
mod load;
mod measure;
mod order;
mod report;
mod results;
mod session;
mod stats;
mod system;
mod targets;
mod tasks;
mod workload;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use contenders::Program;

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures plugin-core against the bare socket and its peers: every workload on every contender, round by round, pinned to
/// one CPU, unpinned, and beside busy processes. Writes a report in Markdown and charts.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = false)]
struct Args {
    /// Fail if a target is missed, or was not measured though nothing was left out
    #[arg(long)]
    check: bool,
    /// Measure everything shortly, in under a minute: to see whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; ratios are taken within a round [default: 5, with --quick 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    rounds: Option<usize>,
    /// Only these contenders and workloads (w1 to w6, neighbour, paced, silent); what ratios are to is measured anyway
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// The directory to write to [default: docs; with --quick or --only target/performance, so that docs keeps the whole]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program starts itself as.
#[derive(Debug, Subcommand)]
enum Part {
    /// A plugin
    #[command(hide = true)]
    Child { name: String, address: String },
    /// A host of plugins, which obeys its standard input
    #[command(hide = true)]
    Host { name: String },
    /// A busy process
    #[command(hide = true)]
    Spin,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            // The standard error, not the log: there is none.
            #[allow(clippy::print_stderr, reason = "a program of the command line")]
            {
                eprintln!("benches: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    match &args.part {
        None => return compare::run(args),
        Some(Part::Spin) => busy::spin()?,
        Some(Part::Child { name, address }) => match contenders::named(name)?.program {
            Program::Here { serve, .. } => serve(address)?,
            Program::Go(_) => return Err(format!("the plugin of `{name}` is written in Go").into()),
        },
        Some(Part::Host { name }) => match contenders::named(name)?.program {
            Program::Here { start, .. } => order::obey(start)?,
            Program::Go(_) => return Err(format!("the host of `{name}` is written in Go").into()),
        },
    }
    Ok(ExitCode::SUCCESS)
}

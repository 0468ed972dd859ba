//! Measures everything, round by round, and reports.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use benches::machine::Machine;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    Args, Result,
    busy::Busy,
    chart,
    contenders::{self, Contender, Program, RAW},
    go,
    measure::measure,
    report::{self, Report, verdict},
    results::{Figure, Results},
    system,
    targets::{TARGETS, Verdict},
    workload::{Effort, Regime, Workload},
};

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let choice = Choice::new(&args.only)?;
    let mut effort = if args.quick { Effort::quick() } else { Effort::full() };
    effort.rounds = args.rounds.unwrap_or(effort.rounds);
    let machine = Machine::describe();

    let mut results = Results::default();
    let contenders = choice.contenders();
    let go = build_go(&contenders, &mut results);
    system::allow_many_files();
    let start = Instant::now();
    measure_all(&contenders, &choice, &effort, go.as_deref(), &mut results)?;

    let report = Report { machine: &machine, effort: &effort, contenders: &contenders, results: &results };
    let out = args.out.clone().unwrap_or_else(|| directory(args.quick || !args.only.is_empty()));
    write(&report, &out)?;
    println!("Measured in {:.0?}; written to {}.", start.elapsed(), out.join("performance.md").display());
    Ok(judge(&results, args.check, args.only.is_empty()))
}

/// What was chosen with `--only`: all if nothing was.
struct Choice {
    contenders: Vec<&'static str>,
    workloads: Vec<&'static str>,
}

impl Choice {
    fn new(only: &[String]) -> Result<Self> {
        let mut choice = Self { contenders: Vec::new(), workloads: Vec::new() };
        for name in only {
            match Workload::NAMES.into_iter().find(|workload| workload == name) {
                Some(workload) => choice.workloads.push(workload),
                None => choice.contenders.push(contenders::named(name)?.name),
            }
        }
        Ok(choice)
    }

    fn contenders(&self) -> Vec<&'static Contender> {
        let chosen = |name| self.contenders.is_empty() || name == RAW || self.contenders.contains(&name);
        contenders::ALL.iter().filter(|contender| chosen(contender.name)).collect()
    }

    /// The throughput of many callers is a multiple of the bare socket's with one.
    fn includes(&self, workload: Workload, contender: &Contender) -> bool {
        let reference = workload == Workload::Solo && contender.name == RAW;
        self.workloads.is_empty() || reference || self.workloads.contains(&workload.name())
    }
}

fn build_go(contenders: &[&Contender], results: &mut Results) -> Option<PathBuf> {
    contenders.iter().find(|contender| matches!(contender.program, Program::Go(_)))?;
    println!("Building the contenders in Go ...");
    match go::build() {
        Ok(program) => Some(program),
        Err(error) => {
            results.note(format!("The contenders in Go are left out: {error}."));
            None
        }
    }
}

/// One measurement.
struct Step {
    workload: Workload,
    contender: &'static Contender,
}

fn measure_all(
    contenders: &[&'static Contender],
    choice: &Choice,
    effort: &Effort,
    go: Option<&Path>,
    results: &mut Results,
) -> Result<()> {
    let bar = ProgressBar::new(0).with_style(style());
    bar.enable_steady_tick(Duration::from_millis(200));
    for round in 0..effort.rounds {
        for regime in Regime::ALL {
            let _busy = (regime == Regime::Busy).then(Busy::start).transpose()?;
            let steps = steps(contenders, choice, effort, go.is_some(), round, regime);
            if round == 0 {
                bar.inc_length((steps.len() * effort.rounds) as u64);
            }
            if bar.is_hidden() {
                println!("Round {} of {}, {}: {} steps ...", round + 1, effort.rounds, regime.name(), steps.len());
            }
            for step in steps {
                let what = format!("{} {} of {}", regime.name(), step.workload.name(), step.contender.name);
                bar.set_message(format!("round {} of {}: {what}", round + 1, effort.rounds));
                match measure(step.contender, step.workload, regime, effort, go) {
                    Ok(figures) => {
                        for (metric, value) in figures {
                            results.add(round, Figure::new(step.workload, regime, step.contender.name, metric), value);
                        }
                    }
                    Err(error) => {
                        bar.suspend(|| println!("Failed: {what}: {error}"));
                        results.note(format!("Failed: {what}: {error}."));
                    }
                }
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What is measured in a round, one contender after another for each workload, so that what is compared is measured at
/// nearly the same time. Who is first changes from round to round.
fn steps(
    contenders: &[&'static Contender],
    choice: &Choice,
    effort: &Effort,
    go: bool,
    round: usize,
    regime: Regime,
) -> Vec<Step> {
    let mut contenders: Vec<_> =
        contenders.iter().copied().filter(|contender| go || !matches!(contender.program, Program::Go(_))).collect();
    let first = round % contenders.len().max(1);
    contenders.rotate_left(first);
    let mut steps = Vec::new();
    for workload in effort.workloads() {
        if !workload.regimes().contains(&regime) || (workload.once() && round > 0) {
            continue;
        }
        let able = contenders.iter().filter(|it| workload.suits(it) && choice.includes(workload, it));
        steps.extend(able.map(|&contender| Step { workload, contender }));
    }
    steps
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len}, {eta} left\n{msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Where reports go: a part must not replace the whole.
fn directory(part: bool) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    if part { target.join("performance") } else { root.join("docs") }
}

fn write(report: &Report<'_>, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join("performance.md"), report::markdown(report))?;
    chart::draw_all(report, out)
}

/// Prints how the targets were done by; the exit code says so if it was asked for.
fn judge(results: &Results, check: bool, whole: bool) -> ExitCode {
    let mut good = true;
    for target in TARGETS {
        println!("{:<60} {:<32} {}", target.name, target.goal(), verdict(target, results));
        good &= match target.verdict(results) {
            Verdict::Met => true,
            Verdict::Missed(_) => false,
            Verdict::NotMeasured => !whole,
        };
    }
    if good || !check { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

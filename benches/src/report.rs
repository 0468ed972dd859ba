//! The report, in Markdown.

use std::fmt::Write;

use benches::machine::Machine;

use crate::{
    chart::CHARTS,
    contenders::{Contender, PLUGIN_CORE_BLOCK, Program, RAW},
    go,
    results::{Figure, Metric, Results},
    targets::{TARGETS, Target, Verdict},
    workload::{
        CROWD, Effort, LARGE, NEIGHBOUR_MILLIS, PACE,
        Regime::{self, Unpinned},
        SMALL,
        Workload::{
            self, Bulk, Bytes, Callbacks, Callers, Crowd, Idle, Items, Neighbour, Paced, Payload, Silent, Solo, Start,
        },
    },
};

/// What a report is made of.
pub(crate) struct Report<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) effort: &'a Effort,
    pub(crate) contenders: &'a [&'static Contender],
    pub(crate) results: &'a Results,
}

/// The whole report.
pub(crate) fn markdown(report: &Report<'_>) -> String {
    let mut text = introduction(report);
    text += &targets(report.results);
    text += &chart(0);
    for regime in Regime::ALL {
        text += &one_caller(report, regime);
    }
    for section in [crowd, bulk, start, neighbour, callbacks, items, pour, cpu, idle, growth] {
        text += &section(report);
    }
    text += &notes(report.results);
    text
}

fn introduction(report: &Report<'_>) -> String {
    let Report { machine, effort, .. } = report;
    let mut text = format!(
        "# Performance\n\nMeasured and written by `cargo run --release -p benches`; do not edit. Times depend on the \
         machine and the hour, ratios much less: every ratio here is the median over {} round(s) of the ratio *within* a \
         round, in which the contenders take turns. `raw`, what most ratios are to, is a blocking ping-pong over the \
         standard library's Unix socket.\n\n## The machine\n\n{machine}",
        effort.rounds
    );
    for version in peers() {
        let _ = writeln!(text, "- {version}");
    }
    text += "\n## The regimes\n\n- *pinned*: host and plugin share one CPU: what the work itself costs.\n- *unpinned*: they \
             run where the system puts them, and waking a CPU that sleeps is most of what a blocking call takes.\n- *busy*: \
             unpinned, beside two processes for each CPU that do nothing but count.\n\n## The contenders\n\n";
    let rows = report.contenders.iter().map(|it| vec![format!("`{}`", it.name), it.about.to_owned()]);
    text + &table(&["name", "what it is"], &rows.collect::<Vec<_>>())
}

/// The versions of what was compared with.
fn peers() -> Vec<String> {
    let lock = include_str!("../../Cargo.lock");
    let version = |name: &str| {
        let package = lock.split("[[package]]").find(|package| package.contains(&format!("name = \"{name}\"\n")))?;
        let version = package.lines().find_map(|line| line.strip_prefix("version = "))?;
        Some(format!("{name} {}", version.trim_matches('"')))
    };
    let names = ["interprocess", "tarpc", "tonic", "remoc", "tokio", "rmp-serde"];
    let crates: Vec<_> = names.into_iter().filter_map(version).collect();
    [Some(format!("Crates: {}", crates.join(", "))), go::versions().map(|versions| format!("Go: {versions}"))]
        .into_iter()
        .flatten()
        .collect()
}

fn targets(results: &Results) -> String {
    let rows = TARGETS.iter().map(|target| {
        let spread = target.measured(results);
        let measured = spread.map_or("-".into(), |spread| {
            format!("{} ({} to {})", figure(spread.median), figure(spread.low), figure(spread.high))
        });
        vec![target.name.to_owned(), target.goal(), measured, verdict(target, results)]
    });
    "\n## Targets\n\nThe median over the rounds, and the extremes.\n\n".to_owned()
        + &table(&["plugin-core", "target", "measured", ""], &rows.collect::<Vec<_>>())
}

/// How a target was done by, in words.
pub(crate) fn verdict(target: &Target, results: &Results) -> String {
    match target.verdict(results) {
        Verdict::Met => "met".into(),
        Verdict::Missed(by) => format!("**missed by {:.0} %**", (by * 100.0).max(1.0)),
        Verdict::NotMeasured => "not measured".into(),
    }
}

fn one_caller(report: &Report<'_>, regime: Regime) -> String {
    let rows = rows(report, Solo, |name| {
        let of = |metric| Figure::new(Solo, regime, name, metric);
        let (p50, p99, rate) = (of(Metric::P50), of(Metric::P99), of(Metric::Rate));
        let raw = |figure| cell(report.results.to_raw(figure), 1.0);
        let value = |figure, unit| cell(report.results.median(figure), unit);
        vec![value(p50, 1e3), raw(p50), value(p99, 1e3), raw(p99), value(rate, 1.0), raw(rate)]
    });
    format!("\n## W1: one caller, {SMALL} bytes, {}\n\n", regime.name())
        + &table(&["", "p50, us", "x raw", "p99, us", "x raw", "calls/s", "x raw"], &rows)
}

fn crowd(report: &Report<'_>) -> String {
    let text = format!(
        "\n## W2: {CROWD} callers over one connection, {SMALL} bytes\n\nCalls per second, and as a multiple of the calls \
         per second of raw with one caller.\n\n"
    );
    let of_one = |name, regime| {
        let rate = Figure::new(Crowd, regime, name, Metric::Rate);
        let ratio = report.results.ratio(rate, Figure::new(Solo, regime, RAW, Metric::Rate));
        (cell(report.results.median(rate), 1.0), cell(ratio.map(|ratio| ratio.median), 1.0))
    };
    text + &by_regime(report, Crowd, &["calls/s", "x raw"], of_one)
}

fn bulk(report: &Report<'_>) -> String {
    let text = "\n## W3: 1 MiB there and back\n\nMiB per second, counted one way.\n\n".to_owned();
    let of_one = |name, regime| {
        let rate = Figure::new(Bulk, regime, name, Metric::Rate);
        (cell(report.results.median(rate), f64::from(1 << 20) / LARGE as f64), cell(report.results.to_raw(rate), 1.0))
    };
    text + &by_regime(report, Bulk, &["MiB/s", "x raw"], of_one)
}

fn start(report: &Report<'_>) -> String {
    let text = "\n## W4: from spawn to the first reply\n\nraw is spawning, connecting and one ping-pong. The programs in Rust \
                are one and the same, and so are those in Go.\n\n";
    let of_one = |name, regime| {
        let time = Figure::new(Start, regime, name, Metric::P50);
        (cell(report.results.median(time), 1e6), cell(report.results.to_raw(time), 1.0))
    };
    text.to_owned() + &by_regime(report, Start, &["ms", "x raw"], of_one)
}

fn neighbour(report: &Report<'_>) -> String {
    let text = format!(
        "\n## A slow neighbour\n\nOne caller's calls, in ms, while the plugin is in a method that sleeps for \
         {NEIGHBOUR_MILLIS} ms, again and again, for another caller of the same connection.\n\n"
    );
    let of_one = |name, regime| {
        let of = |metric| cell(report.results.median(Figure::new(Neighbour, regime, name, metric)), 1e6);
        (of(Metric::P50), of(Metric::P99))
    };
    text + &by_regime(report, Neighbour, &["p50", "p99"], of_one)
}

fn callbacks(report: &Report<'_>) -> String {
    let text = format!(
        "\n## W7: callbacks\n\nOne call lends a function, which the plugin calls again and again, with {SMALL} bytes that come back: \
         callbacks per second, and as a part of the calls per second of W1.\n\n"
    );
    let of_one = |name, regime| {
        let rate = Figure::new(Callbacks, regime, name, Metric::Rate);
        let ratio = report.results.ratio(rate, Figure::new(Solo, regime, name, Metric::Rate));
        (cell(report.results.median(rate), 1.0), cell(ratio.map(|ratio| ratio.median), 1.0))
    };
    text + &by_regime(report, Callbacks, &["callbacks/s", "x calls/s"], of_one)
}

fn items(report: &Report<'_>) -> String {
    let text = "\n## W8: a stream of small items\n\nIntegers, from the plugin's iterator to the host's loop: millions per second, and \
                their bytes (five and what frames them: nine) as a part of the bandwidth of raw in W9.\n\n";
    let of_one = |name, regime| {
        let rate = Figure::new(Items, regime, name, Metric::Rate);
        let ratio = report.results.ratio(rate, Figure::new(Bytes, regime, RAW, Metric::Rate));
        (cell(report.results.median(rate), 1e6), cell(ratio.map(|ratio| ratio.median * 9.0), 1.0))
    };
    text.to_owned() + &by_regime(report, Items, &["million/s", "x raw"], of_one)
}

fn pour(report: &Report<'_>) -> String {
    let text = format!(
        "\n## W9: a stream of {}\n\nFrom the plugin to the host, MiB per second.\n\n",
        bytes(usize::try_from(report.effort.bytes).unwrap_or(usize::MAX))
    );
    let of_one = |name, regime| {
        let rate = Figure::new(Bytes, regime, name, Metric::Rate);
        (cell(report.results.median(rate), f64::from(1 << 20)), cell(report.results.to_raw(rate), 1.0))
    };
    text + &by_regime(report, Bytes, &["MiB/s", "x raw"], of_one)
}

fn cpu(report: &Report<'_>) -> String {
    let rows = rows(report, Paced, |name| {
        let paced = Figure::new(Paced, Unpinned, name, Metric::Cpu);
        let silent = Figure::new(Silent, Unpinned, name, Metric::Cpu);
        let blocking = report.results.ratio(paced, paced.of(PLUGIN_CORE_BLOCK)).map(|ratio| ratio.median);
        let value = |figure| cell(report.results.median(figure), 1e3);
        vec![value(paced), cell(report.results.to_raw(paced), 1.0), cell(blocking, 1.0), value(silent)]
    });
    format!("\n## CPU time\n\nOf both sides together, unpinned: one caller at {PACE} calls per second, and nobody.\n\n")
        + &table(&["", "us per call", "x raw", "x plugin-core-block", "us per idle second"], &rows)
}

fn idle(report: &Report<'_>) -> String {
    let rows = rows(report, Idle, |name| {
        let of = |metric| report.results.median(Figure::new(Idle, Unpinned, name, metric));
        let thousand = |metric, unit: f64| cell(of(metric), unit / 1000.0);
        vec![
            thousand(Metric::Memory, f64::from(1 << 20)),
            thousand(Metric::Threads, 1.0),
            thousand(Metric::Cpu, 1e6),
            of(Metric::Count).map_or("-".into(), |count| format!("{count:.0}")),
        ]
    });
    "\n## W5: a thousand idle plugins\n\nOf host and plugins together, more than with one plugin; measured once, with the \
     number of plugins in the last column. Memory that processes share is divided among them.\n\n"
        .to_owned()
        + &table(&["", "MiB", "threads", "CPU, ms per s", "counted with"], &rows)
}

fn growth(report: &Report<'_>) -> String {
    let mut text = "\n## W6: growth, unpinned\n".to_owned();
    let callers: Vec<_> = report.effort.callers.iter().map(|&count| (count.to_string(), Callers(count))).collect();
    text += "\nCalls per second by the number of callers over one connection:\n\n";
    text += &by_size(report, &callers, |figure| cell(report.results.median(figure(Metric::Rate)), 1.0));
    text += "\nTheir p99 in us:\n\n";
    text += &by_size(report, &callers, |figure| cell(report.results.median(figure(Metric::P99)), 1e3));
    text += &chart(1);
    text += &chart(2);
    let sizes: Vec<_> = report.effort.payloads.iter().map(|&size| (bytes(size), Payload(size))).collect();
    text += "\nThe p50 of one caller in us, by the size of the argument:\n\n";
    text += &by_size(report, &sizes, |figure| cell(report.results.median(figure(Metric::P50)), 1e3));
    text += "\nAs a multiple of raw:\n\n";
    text += &by_size(report, &sizes, |figure| cell(report.results.to_raw(figure(Metric::P50)), 1.0));
    text + &chart(3)
}

fn notes(results: &Results) -> String {
    if results.notes.is_empty() {
        return String::new();
    }
    format!("\n## What is missing\n\n- {}\n", results.notes.join("\n- "))
}

fn chart(number: usize) -> String {
    let (file, title) = CHARTS[number];
    format!("\n![{title}]({file})\n")
}

/// The rows of those who can do `workload`.
fn rows(report: &Report<'_>, workload: Workload, of: impl Fn(&'static str) -> Vec<String>) -> Vec<Vec<String>> {
    let able = report.contenders.iter().filter(|contender| workload.suits(contender));
    able.map(|contender| [vec![title(contender)], of(contender.name)].concat()).collect()
}

/// Two columns for each regime.
fn by_regime(
    report: &Report<'_>,
    workload: Workload,
    units: &[&str; 2],
    of: impl Fn(&'static str, Regime) -> (String, String),
) -> String {
    let regimes = workload.regimes();
    let mut heads = vec![String::new()];
    for regime in regimes {
        heads.extend([format!("{}, {}", regime.name(), units[0]), units[1].to_owned()]);
    }
    let rows = rows(report, workload, |name| {
        regimes.iter().map(|&regime| of(name, regime)).flat_map(|(first, second)| [first, second]).collect()
    });
    table(&heads, &rows)
}

/// A column for each size.
fn by_size(
    report: &Report<'_>,
    sizes: &[(String, Workload)],
    of: impl Fn(&dyn Fn(Metric) -> Figure) -> String,
) -> String {
    let Some(&(_, any)) = sizes.first() else { return String::new() };
    let heads: Vec<_> = [String::new()].into_iter().chain(sizes.iter().map(|(name, _)| name.clone())).collect();
    let rows = rows(report, any, |name| {
        let column = |workload| of(&|metric| Figure::new(workload, Unpinned, name, metric));
        sizes.iter().map(|&(_, workload)| column(workload)).collect()
    });
    table(&heads, &rows)
}

fn title(contender: &Contender) -> String {
    match contender.program {
        Program::Here { .. } => contender.name.to_owned(),
        Program::Go(_) => format!("{} (Go)", contender.name),
    }
}

/// A table; its columns of figures are flush right.
fn table<T: AsRef<str>>(heads: &[T], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let is_figure = |cell: &String| cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
    let figures = |column: usize| rows.iter().all(|row| row.get(column).is_some_and(is_figure));
    let mut text = line(heads.iter().map(AsRef::as_ref).collect());
    text += &line((0..heads.len()).map(|column| if figures(column) { "---:" } else { "---" }).collect());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

fn cell(value: Option<f64>, unit: f64) -> String {
    value.map_or_else(|| "-".into(), |value| figure(value / unit))
}

/// Three digits that count, and thousands apart.
pub(crate) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        value if value < 0.1 => 3,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if value.abs() < 1000.0 {
        return text;
    }
    let mut grouped = String::new();
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && (text.len() - place) % 3 == 0 && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size as people say it.
pub(crate) fn bytes(size: usize) -> String {
    match size {
        size if size >= 1 << 20 => format!("{} MiB", size >> 20),
        size if size >= 1 << 10 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let written = [0.0, 0.0123, 0.5, 1.234, 12.34, 123.4, 1234.5, 1_234_567.0, -1234.0].map(figure);
        assert_eq!(written, ["0", "0.012", "0.50", "1.23", "12.3", "123", "1,234", "1,234,567", "-1,234"]);
    }

    #[test]
    fn sizes_are_said_shortly() {
        assert_eq!([16, 64 << 10, 16 << 20].map(bytes), ["16 B", "64 KiB", "16 MiB"]);
    }

    #[test]
    fn a_table_lines_figures_up_on_the_right() {
        let written = table(&["", "p50"], &[vec!["raw".into(), "8.1".into()]]);
        assert_eq!(written, "|  | p50 |\n| --- | ---: |\n| raw | 8.1 |\n");
    }

    #[test]
    fn every_peer_has_a_version() {
        assert_eq!(peers()[0].matches(", ").count(), 5, "{:?}", peers());
    }
}

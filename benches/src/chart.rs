//! The charts beside the report.

use std::{ops::Range, path::Path};

use plotters::{
    coord::{
        Shift,
        ranged1d::{IntoSegmentedCoord, SegmentValue},
    },
    prelude::*,
};

use crate::{
    Result,
    report::{Report, bytes, figure},
    results::{Figure, Metric},
    workload::{
        Regime::{Pinned, Unpinned},
        Workload::{self, Callers, Payload, Solo},
    },
};

/// Their files and titles, in the order in which the report shows them.
pub(crate) const CHARTS: [(&str, &str); 4] = [
    ("performance-one-caller.svg", "W1: a call's p50 as a multiple of the bare socket's"),
    ("performance-callers.svg", "W6: calls per second by callers, unpinned"),
    ("performance-callers-p99.svg", "W6: p99 by callers, unpinned"),
    ("performance-payload.svg", "W6: bandwidth by the size of the argument, unpinned"),
];

/// Distinct on white, with and without a full sense of colour (Okabe and Ito, and Tol).
const COLOURS: [RGBColor; 11] = [
    BLACK,
    RGBColor(136, 136, 136),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(136, 34, 85),
    RGBColor(153, 153, 51),
    RGBColor(51, 34, 136),
];

/// Draws all charts into a directory.
pub(crate) fn draw_all(report: &Report<'_>, directory: &Path) -> Result<()> {
    let results = report.results;
    draw(directory, 0, |area, title| bars(area, title, &ratios(report)))?;
    let callers: Vec<_> = report.effort.callers.iter().map(|&count| (count as f64, Callers(count))).collect();
    let rates = series(report, &callers, |figure, _| results.median(figure(Metric::Rate)));
    let of_callers = |unit| Axes { x: "callers", y: unit, base: 4.0, label: axis_label };
    draw(directory, 1, |area, title| lines(area, title, of_callers("calls/s"), &rates))?;
    let p99s = series(report, &callers, |figure, _| results.median(figure(Metric::P99)).map(|nanos| nanos / 1e3));
    draw(directory, 2, |area, title| lines(area, title, of_callers("us"), &p99s))?;
    let sizes: Vec<_> = report.effort.payloads.iter().map(|&size| (size as f64, Payload(size))).collect();
    let bandwidths = series(report, &sizes, |figure, size| {
        results.median(figure(Metric::Rate)).map(|rate| rate * size / f64::from(1 << 20))
    });
    let axes = Axes { x: "size of the argument", y: "MiB/s", base: 16.0, label: size_label };
    draw(directory, 3, |area, title| lines(area, title, axes, &bandwidths))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive and whole")]
fn size_label(size: f64) -> String {
    bytes(size as usize)
}

/// Powers of ten without digits that say nothing.
fn axis_label(value: f64) -> String {
    if value < 1000.0 { format!("{}", (value * 1000.0).round() / 1000.0) } else { figure(value) }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(directory: &Path, number: usize, body: impl Fn(&Area<'_>, &str) -> Result<()>) -> Result<()> {
    let (file, title) = CHARTS[number];
    let path = directory.join(file);
    let area = SVGBackend::new(&path, (900, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    body(&area, title)?;
    Ok(area.present()?)
}

/// A line: its name, its colour and its points.
struct Series {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// A line for each contender that has points.
fn series(
    report: &Report<'_>,
    sizes: &[(f64, Workload)],
    of: impl Fn(&dyn Fn(Metric) -> Figure, f64) -> Option<f64>,
) -> Vec<Series> {
    let all = report.contenders.iter().zip(COLOURS.into_iter().cycle()).map(|(contender, colour)| {
        let point = |&(size, workload): &(f64, Workload)| {
            let figure = |metric| Figure::new(workload, Unpinned, contender.name, metric);
            Some((size, of(&figure, size)?))
        };
        Series { name: contender.name, colour, points: sizes.iter().filter_map(point).collect() }
    });
    all.filter(|series| !series.points.is_empty()).collect()
}

/// What two logarithmic axes are called, and how the horizontal one is divided.
#[derive(Clone, Copy)]
struct Axes {
    x: &'static str,
    y: &'static str,
    base: f64,
    label: fn(f64) -> String,
}

fn lines(area: &Area<'_>, title: &str, axes: Axes, all: &[Series]) -> Result<()> {
    let points = || all.iter().flat_map(|series| &series.points);
    let (Some(x), Some(y)) = (range(points().map(|point| point.0)), range(points().map(|point| point.1))) else {
        return Ok(());
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(x.log_scale().base(axes.base), y.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&|x| (axes.label)(*x))
        .y_label_formatter(&|y| axis_label(*y))
        .draw()?;
    for series in all {
        let style = series.colour.stroke_width(2);
        let line = LineSeries::new(series.points.iter().copied(), style).point_size(3);
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style);
        chart.draw_series(line)?.label(series.name).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// From the least to the most, with some room.
fn range(values: impl Iterator<Item = f64> + Clone) -> Option<Range<f64>> {
    let low = values.clone().reduce(f64::min)?;
    let high = values.reduce(f64::max)?;
    Some(low / 1.2..high * 1.2)
}

/// A contender's ratio to raw, pinned and unpinned.
fn ratios(report: &Report<'_>) -> Vec<(&'static str, [f64; 2])> {
    let ratio = |name, regime| report.results.to_raw(Figure::new(Solo, regime, name, Metric::P50)).unwrap_or(0.0);
    // From below, so that the first is on top.
    let all = report.contenders.iter().rev();
    let all = all.map(|it| (it.name, [Pinned, Unpinned].map(|regime| ratio(it.name, regime))));
    all.filter(|(_, ratios)| ratios.iter().any(|&ratio| ratio > 0.0)).collect()
}

/// Two bars for each name: pinned and unpinned.
fn bars(area: &Area<'_>, title: &str, all: &[(&'static str, [f64; 2])]) -> Result<()> {
    let Some(most) = all.iter().flat_map(|(_, ratios)| *ratios).reduce(f64::max) else { return Ok(()) };
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => all.get(*place).map_or_else(String::new, |(name, _)| (*name).into()),
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..most * 1.1, (0..all.len()).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_max_light_lines(1)
        .y_labels(all.len() + 1)
        .y_label_formatter(&name)
        .x_label_formatter(&|ratio| axis_label(*ratio))
        .x_desc("x raw; less is faster")
        .draw()?;
    for (regime, colour, label) in [(0, COLOURS[3], "pinned to one CPU"), (1, COLOURS[7], "unpinned")] {
        let margins = if regime == 0 { (18, 4) } else { (4, 18) };
        let bars = all.iter().enumerate().map(|(place, (_, ratios))| {
            let corners = [(0.0, SegmentValue::Exact(place)), (ratios[regime], SegmentValue::Exact(place + 1))];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(margins.0, margins.1, 0, 0);
            bar
        });
        let sample = move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled());
        chart.draw_series(bars)?.label(label).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

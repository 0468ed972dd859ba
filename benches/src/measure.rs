//! One workload on one contender.

use std::{path::Path, thread, time::Duration};

use crate::{
    Result,
    contenders::Contender,
    order::{Flow, Load, Order, Sample, nanos},
    results::Metric,
    session::Session,
    stats, system,
    workload::{CROWD, Effort, LARGE, NEIGHBOUR_MILLIS, PACE, Regime, SMALL, Workload},
};

/// What came out.
pub(crate) type Figures = Vec<(Metric, f64)>;

/// Measures `workload` with a host and a plugin that are started for it.
pub(crate) fn measure(
    contender: &Contender,
    workload: Workload,
    regime: Regime,
    effort: &Effort,
    go: Option<&Path>,
) -> Result<Figures> {
    let mut session = Session::open(contender, regime, go)?;
    let load = Load { callers: 1, payload: SMALL, millis: millis(effort.load), ..Load::default() };
    match workload {
        Workload::Solo => call(&mut session, load),
        Workload::Crowd => call(&mut session, Load { callers: CROWD, ..load }),
        Workload::Bulk => call(&mut session, Load { payload: LARGE, ..load }),
        Workload::Neighbour => call(&mut session, Load { neighbour_millis: NEIGHBOUR_MILLIS, ..load }),
        Workload::Callers(callers) => call(&mut session, Load { callers, ..load }),
        Workload::Payload(payload) => call(&mut session, Load { payload, ..load }),
        Workload::Callbacks => flow(&mut session, Flow::Callbacks, effort.items / 10),
        Workload::Items => flow(&mut session, Flow::Items, effort.items),
        Workload::Bytes => flow(&mut session, Flow::Bytes, effort.bytes),
        Workload::Start => start(&mut session, effort.starts),
        Workload::Paced => pace(&mut session, Load { rate: PACE, millis: millis(effort.watch), ..load }),
        Workload::Silent => keep_silent(&mut session, load, effort.watch),
        Workload::Idle => keep(&mut session, (contender.idle / effort.idle_part).max(1), effort.watch),
    }
}

fn millis(duration: Duration) -> u64 {
    nanos(duration) / 1_000_000
}

/// Calls without counting, that everything is there that the first calls bring about, and then counts.
fn call(session: &mut Session, load: Load) -> Result<Figures> {
    let sample = call_warm(session, load)?;
    Ok(vec![(Metric::P50, sample.p50 as f64), (Metric::P99, sample.p99 as f64), (Metric::Rate, sample.rate())])
}

/// So many callbacks, items or bytes in one go, behind a tenth of that which does not count.
fn flow(session: &mut Session, flow: Flow, count: u64) -> Result<Figures> {
    session.order(&Order::Start)?;
    let load = Load { callers: 1, payload: SMALL, flow, count, ..Load::default() };
    session.order(&Order::Load(Load { count: count / 10, ..load }))?;
    let sample = session.order(&Order::Load(load))?;
    Ok(vec![(Metric::Rate, sample.rate())])
}

fn call_warm(session: &mut Session, load: Load) -> Result<Sample> {
    session.order(&Order::Start)?;
    session.order(&Order::Load(Load { millis: load.millis / 5, ..load }))?;
    session.order(&Order::Load(load))
}

fn start(session: &mut Session, times: usize) -> Result<Figures> {
    // The first start reads the program from the disk.
    session.order(&Order::Start)?;
    let mut nanos = (0..times)
        .map(|_| session.order(&Order::Start).map(|sample| sample.nanos as f64))
        .collect::<Result<Vec<_>>>()?;
    Ok(vec![(Metric::P50, stats::median(&mut nanos).unwrap_or(f64::NAN))])
}

/// The CPU time of both sides for each call.
fn pace(session: &mut Session, load: Load) -> Result<Figures> {
    call_warm(session, Load { millis: load.millis / 5, ..load })?;
    let before = system::cpu_time_of_tree(session.process())?;
    let sample = session.order(&Order::Load(load))?;
    let spent = system::cpu_time_of_tree(session.process())?.saturating_sub(before);
    let cpu = nanos(spent) as f64 / sample.calls.max(1) as f64;
    Ok(vec![(Metric::Cpu, cpu), (Metric::P50, sample.p50 as f64), (Metric::P99, sample.p99 as f64)])
}

/// The CPU time of both sides in a second without a call.
fn keep_silent(session: &mut Session, load: Load, watch: Duration) -> Result<Figures> {
    call_warm(session, load)?;
    Ok(vec![(Metric::Cpu, idle_cpu(session, watch)?)])
}

/// What an idle plugin uses, of both sides.
fn keep(session: &mut Session, count: usize, watch: Duration) -> Result<Figures> {
    // The host's own share, and what the first plugin brings about, are no plugin's cost.
    session.order(&Order::Start)?;
    let before = system::usage_of_tree(session.process());
    session.order(&Order::Keep { count })?;
    let after = system::usage_of_tree(session.process());
    let each = |more: u64| more as f64 / count as f64;
    Ok(vec![
        (Metric::Cpu, idle_cpu(session, watch)? / (count + 1) as f64),
        (Metric::Memory, each(after.memory.saturating_sub(before.memory))),
        (Metric::Threads, each(after.threads.saturating_sub(before.threads))),
        (Metric::Count, count as f64),
    ])
}

fn idle_cpu(session: &Session, watch: Duration) -> Result<f64> {
    // What calls and starts have left to do is not idleness.
    thread::sleep((watch / 4).max(Duration::from_millis(250)));
    let before = system::cpu_time_of_tree(session.process())?;
    thread::sleep(watch);
    let spent = system::cpu_time_of_tree(session.process())?.saturating_sub(before);
    Ok(nanos(spent) as f64 / watch.as_secs_f64())
}

//! Calls plugins, and takes the time of every call.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    contenders::{Blocking, Running},
    order::{Flow, Load, Sample, nanos},
};

/// Takes the times of one caller's calls.
pub(crate) struct Watch {
    times: Vec<u64>,
    call: Instant,
    end: Instant,
    pace: Option<Duration>,
}

/// What a caller does after a call.
pub(crate) enum Next {
    Call,
    /// Waits, says [`Watch::resume`], and calls.
    Pause(Duration),
    Stop,
}

impl Watch {
    /// The first call begins now.
    pub(crate) fn start(load: &Load) -> Self {
        let call = Instant::now();
        let pace = (load.rate > 0).then(|| Duration::from_secs(1) / u32::try_from(load.rate).unwrap_or(u32::MAX));
        Self { times: Vec::with_capacity(1 << 14), call, end: call + Duration::from_millis(load.millis), pace }
    }

    /// A call has ended, and unless told otherwise the next one begins.
    pub(crate) fn lap(&mut self) -> Next {
        let (began, now) = (self.call, Instant::now());
        self.times.push(nanos(now - began));
        self.call = now;
        match self.pace {
            _ if now >= self.end => Next::Stop,
            Some(pace) => Next::Pause((began + pace).saturating_duration_since(now)),
            None => Next::Call,
        }
    }

    /// The next call begins now.
    pub(crate) fn resume(&mut self) {
        self.call = Instant::now();
    }

    pub(crate) fn into_times(self) -> Vec<u64> {
        self.times
    }
}

impl<T: Blocking> Running for T {
    fn greet(&self) -> Result<()> {
        self.echo(b"").map(drop)
    }

    fn load(&self, load: &Load) -> Result<Sample> {
        let payload = vec![0x5a; load.payload];
        let start = Instant::now();
        match load.flow {
            Flow::Echo => {}
            Flow::Callbacks => self.call_back(&payload, load.count)?,
            Flow::Items => self.items(load.count)?,
            Flow::Bytes => self.bytes(load.count)?,
        }
        if load.flow != Flow::Echo {
            return Ok(Sample::of(load.count, start.elapsed()));
        }
        if load.callers == 1 && load.neighbour_millis == 0 {
            let start = Instant::now();
            return Ok(Sample::new(call(self, load, &payload)?, start.elapsed()));
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let neighbour = scope.spawn(|| disturb(self, load.neighbour_millis, &done));
            let sample = call_from_threads(self, load, &payload);
            done.store(true, Relaxed);
            neighbour.join().map_err(|_| "the neighbour panicked")??;
            sample
        })
    }
}

fn call_from_threads(plugin: &impl Blocking, load: &Load, payload: &[u8]) -> Result<Sample> {
    let ready = Barrier::new(load.callers + 1);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..load.callers)
            .map(|_| {
                let caller = || {
                    ready.wait();
                    call(plugin, load, payload)
                };
                thread::Builder::new().stack_size(512 << 10).spawn_scoped(scope, caller)
            })
            .collect::<Result<_, _>>()?;
        ready.wait();
        let start = Instant::now();
        let mut times = Vec::new();
        for caller in callers {
            times.append(&mut caller.join().map_err(|_| "a caller panicked")??);
        }
        Ok(Sample::new(times, start.elapsed()))
    })
}

fn call(plugin: &impl Blocking, load: &Load, payload: &[u8]) -> Result<Vec<u64>> {
    let mut watch = Watch::start(load);
    loop {
        check(plugin.echo(payload)?, payload.len())?;
        match watch.lap() {
            Next::Call => {}
            Next::Pause(time) => {
                thread::sleep(time);
                watch.resume();
            }
            Next::Stop => return Ok(watch.into_times()),
        }
    }
}

fn disturb(plugin: &impl Blocking, millis: u64, done: &AtomicBool) -> Result<()> {
    while millis > 0 && !done.load(Relaxed) {
        plugin.sleep(millis)?;
    }
    Ok(())
}

/// That as much came back as was sent.
pub(crate) fn check(received: usize, sent: usize) -> Result<()> {
    if received == sent { Ok(()) } else { Err(format!("{received} bytes came back, {sent} were sent").into()) }
}

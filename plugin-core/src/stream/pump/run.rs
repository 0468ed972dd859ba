//! Producing on a thread or as a task, until there is no more or nobody wants it.

use std::{
    cell::RefCell,
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    Phase, Pump, Unsendable, discard, flusher,
    production::{Next, Production, Tail, interrupted, panicked},
};
use crate::{
    connection::{lock, yield_once},
    protocol::frame::MAX_PAYLOAD,
    server::panics,
    stream::ending::Ending,
};

/// After how many frames a task lets others of its executor run.
const TURN: usize = 16;

/// One run of a pump. If it is dropped before its end, because what it runs on has ended, the reader is told.
pub(super) struct Run {
    pub(super) pump: Arc<Pump>,
    pub(super) production: Option<Box<Production>>,
}

thread_local! {
    /// What this thread produces.
    static PRODUCING: RefCell<Option<Arc<Pump>>> = const { RefCell::new(None) };
}

/// A thread that produces, until this is dropped.
struct Producing(Option<Arc<Pump>>);

impl Producing {
    fn enter(pump: &Arc<Pump>) -> Self {
        Self(PRODUCING.replace(Some(Arc::clone(pump))))
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        PRODUCING.set(self.0.take());
    }
}

/// Whether this thread produces a stream that nobody reads any more: an iterator that only passes over what it reads itself would
/// never come to an end.
pub(in crate::stream) fn is_for_nobody() -> bool {
    PRODUCING.try_with(|pump| pump.borrow().as_ref().is_some_and(|pump| pump.is_released())).unwrap_or(false)
}

/// What has come of a part of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    /// The run has ended.
    Over,
}

impl Run {
    pub(super) fn start(self) {
        let Some(production) = &self.production else { return };
        let pool = Arc::clone(&self.pump.pool);
        if production.produce.blocks() {
            pool.run(Box::new(move || self.run()));
        } else {
            let runtime = production.produce.runtime();
            runtime.spawn(&pool, self.run_async());
        }
    }

    /// On a thread that may be kept.
    fn run(mut self) {
        let _producing = Producing::enter(&self.pump);
        while self.send() == Flow::On {
            self.advance();
        }
    }

    /// Sends what there is to send, and rests where the reader's window is closed.
    fn send(&mut self) -> Flow {
        loop {
            let Some(production) = &mut self.production else { return Flow::Over };
            if self.pump.is_released() {
                return self.stop();
            }
            let gathers = production.produce.gathers() && self.pump.is_flushed.load(Ordering::Relaxed);
            match production.next_frame(!gathers) {
                Next::Frame(frame, gathered) => {
                    let (count, is_full) = (frame.taken(), frame.bytes.len() >= MAX_PAYLOAD);
                    if let Err(why) = self.pump.outlet.send(frame) {
                        return self.unsendable(&why);
                    }
                    gathered.allowed = self.pump.sent(count);
                    if !is_full && production.produce.gathers() && !gathers {
                        // From here on there may be more soon.
                        self.pump.is_flushed.store(true, Ordering::Relaxed);
                        if !flusher::watch(&self.pump) {
                            self.pump.is_flushed.store(false, Ordering::Relaxed);
                        }
                    }
                }
                Next::More => return Flow::On,
                Next::Ended => return self.finish(),
                Next::Closed => {
                    if self.rest() == Flow::Over {
                        return Flow::Over;
                    }
                }
            }
        }
    }

    /// Rests until more is demanded, unless that has happened.
    fn rest(&mut self) -> Flow {
        // Before anybody can begin another run, and not under the other lock: the flusher takes them the other way round.
        self.pump.leave_stage();
        let mut state = lock(&self.pump.state);
        let Some(mut production) = self.production.take() else { return Flow::Over };
        let owed = state.supply.owed();
        if owed > 0 || self.pump.is_released() {
            if let Some(gathered) = &mut production.gathered {
                gathered.allowed = owed;
            }
            self.production = Some(production);
            return Flow::On;
        }
        state.phase = Phase::Resting(production);
        Flow::Over
    }

    /// Looks for more, for as long as that takes, and packs it.
    fn advance(&mut self) {
        let Some(production) = &mut self.production else { return };
        let is_staged = self.pump.is_flushed.load(Ordering::Relaxed);
        if is_staged && !self.pump.enter_stage(&mut production.gathered) {
            return; // What has been gathered is to be sent here.
        }
        let mut context = Context::from_waker(Waker::noop());
        let found = panics::catch(|| production.produce.advance(&mut context));
        if is_staged {
            production.gathered = lock(&self.pump.stage).gathered.take();
        }
        match found {
            // What blocks is never pending.
            Ok(Poll::Pending) => production.tail = Tail::Ended(Some(interrupted())),
            Ok(Poll::Ready(step)) => production.pack(step, self.pump.outlet.max_item()),
            Err(panic) => production.tail = Tail::Ended(Some(panicked(&panic))),
        }
    }

    /// As a task.
    async fn run_async(mut self) {
        let mut frames = 0;
        loop {
            let Some(production) = &mut self.production else { return };
            if production.is_closed() {
                let Some(allowed) = poll_fn(|context| self.pump.poll_allowed(context)).await else {
                    self.stop();
                    return;
                };
                production.allow(allowed);
            }
            if poll_fn(|context| production.poll_gather(context, &self.pump)).await == Flow::Over {
                self.stop();
                return;
            }
            loop {
                match production.next_frame(true) {
                    Next::Frame(frame, gathered) => {
                        let count = frame.taken();
                        if let Err(why) = self.pump.outlet.send_async(frame).await {
                            self.unsendable(&why);
                            return;
                        }
                        gathered.allowed = self.pump.sent(count);
                        frames += 1;
                        if frames % TURN == 0 {
                            // A source that is always ready, and a reader that keeps up, would never let it rest.
                            yield_once().await;
                        }
                    }
                    Next::More | Next::Closed => break,
                    Next::Ended => {
                        self.finish();
                        return;
                    }
                }
            }
        }
    }

    /// Ends a run that cannot send what it has.
    fn unsendable(&mut self, why: &Unsendable) -> Flow {
        match (why, &mut self.production) {
            (Unsendable::Refused(error), Some(production)) => {
                production.refuse(error);
                self.finish()
            }
            _ => self.stop(),
        }
    }

    /// Ends a run whose stream nobody reads any more.
    fn stop(&mut self) -> Flow {
        self.pump.leave_stage();
        lock(&self.pump.state).phase = Phase::Over;
        if let Some(production) = self.production.take() {
            discard(production);
        }
        Flow::Over
    }

    /// Ends a run that has sent everything.
    fn finish(&mut self) -> Flow {
        self.pump.leave_stage();
        lock(&self.pump.state).phase = Phase::Over;
        let Some(mut production) = self.production.take() else { return Flow::Over };
        let why = production.tail.take();
        // Before the reader is told: its end is that of all it has held.
        discard(production);
        if !self.pump.is_released() {
            self.pump.outlet.end(why.map(Ending::encode).unwrap_or_default());
        }
        Flow::Over
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(production) = &mut self.production {
            production.tail = Tail::Ended(Some(interrupted()));
            self.finish();
        }
    }
}

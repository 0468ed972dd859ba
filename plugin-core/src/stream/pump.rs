//! Running what produces a stream, while its reader asks for more.
//!
//! A pump holds a [`Produce`] and rests until bytes are [demanded](Pump::demanded). What blocks then runs on a thread of the pool,
//! which it gives back when the reader's window is closed; what is polled is a task. Either gathers what comes quickly into
//! frames. A task sends what it has when it must wait; a thread cannot know that it will have to, so the [`flusher`] sends for it.

mod production;
mod run;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{flusher, producer::Produce, runtime::Pool};
use crate::{
    buffer::Buffer,
    codec::EncodeError,
    connection::lock,
    protocol::{Violation, flow::Supply, items::Cut},
    server::panics,
    signal::wake,
};
use production::{Gathered, Production, Tail};
pub(super) use run::is_for_nobody;
use run::{Flow, Run};

/// A stream's way to its reader.
pub(crate) trait Outlet: Send + Sync {
    /// Sends the next bytes, waiting for room.
    fn send(&self, items: Cut) -> Result<(), Unsendable>;

    /// As [`send`](Self::send), without waiting, of bytes that refer to nothing; gives back what there is no room for.
    fn try_send(&self, items: Buffer) -> Result<(), Buffer>;

    /// As [`send`](Self::send), for a task.
    fn send_async(&self, items: Cut) -> Pin<Box<dyn Future<Output = Result<(), Unsendable>> + Send + '_>>;

    /// The most bytes that an item may have.
    fn max_item(&self) -> usize;

    /// Says that there is no more. Never waits.
    fn end(&self, why: Vec<u8>);
}

/// Why bytes could not be sent.
#[derive(Debug)]
pub(crate) enum Unsendable {
    /// Nobody takes them any more.
    Unread,
    /// They refer to what may not be sent, and are the last.
    Refused(EncodeError),
}

/// What sends the items of one stream.
pub(crate) struct Pump {
    outlet: Box<dyn Outlet>,
    pool: Arc<dyn Pool>,
    state: Mutex<State>,
    stage: Mutex<Stage>,
    /// Nobody reads any more.
    is_released: AtomicBool,
    /// The flusher looks here; only it stops that, with the stage locked.
    is_flushed: AtomicBool,
}

struct State {
    supply: Supply,
    phase: Phase,
    /// To be woken by a demand, and when nobody reads any more.
    task: Option<Waker>,
}

enum Phase {
    /// Until bytes are demanded.
    Resting(Box<Production>),
    Running,
    Over,
}

/// What a thread that may be kept has gathered.
#[derive(Default)]
struct Stage {
    gathered: Option<Box<Gathered>>,
    /// No thread will gather more for now.
    is_resting: bool,
}

impl Pump {
    pub(crate) fn new(produce: Box<dyn Produce>, outlet: Box<dyn Outlet>, pool: Arc<dyn Pool>) -> Arc<Self> {
        let production = Production { produce, gathered: Some(Box::default()), tail: Tail::Open };
        let state = State { supply: Supply::default(), phase: Phase::Resting(Box::new(production)), task: None };
        Arc::new(Self {
            outlet,
            pool,
            state: Mutex::new(state),
            stage: Mutex::default(),
            is_released: AtomicBool::new(false),
            is_flushed: AtomicBool::new(false),
        })
    }

    /// The reader wants `bytes` more. Never blocks.
    pub(crate) fn demanded(self: &Arc<Self>, bytes: u32) -> Result<(), Violation> {
        let (task, production) = {
            let mut state = lock(&self.state);
            state.supply.demanded(bytes)?;
            (state.task.take(), state.begin())
        };
        if let Some(task) = task {
            wake(task);
        }
        if let Some(production) = production {
            let run = Run { pump: Arc::clone(self), production: Some(production) };
            run.start();
        }
        Ok(())
    }

    /// Nobody reads any more. Never blocks: the source is dropped elsewhere.
    pub(crate) fn release(&self) {
        // Before the lock: whoever rests later finds it, whoever rests now is found.
        self.is_released.store(true, Ordering::Release);
        let (task, production) = {
            let mut state = lock(&self.state);
            let production = state.begin();
            state.phase = Phase::Over;
            (state.task.take(), production)
        };
        if let Some(task) = task {
            wake(task);
        }
        if let Some(production) = production {
            self.pool.run(Box::new(move || discard(production)));
        }
    }

    /// Whether it rests until bytes are demanded.
    #[cfg(test)]
    pub(super) fn rests(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Resting(_))
    }

    fn is_released(&self) -> bool {
        self.is_released.load(Ordering::Acquire)
    }

    /// Takes note of `count` bytes that have been sent; gives how many more may be.
    fn sent(&self, count: usize) -> usize {
        let mut state = lock(&self.state);
        state.supply.sent(count);
        state.supply.owed()
    }

    /// Waits for bytes to be demanded; gives how many. Nothing where nobody reads any more.
    fn poll_allowed(&self, context: &Context<'_>) -> Poll<Option<usize>> {
        self.wakes(context);
        let state = lock(&self.state);
        if self.is_released() {
            return Poll::Ready(None);
        }
        if state.supply.owed() > 0 { Poll::Ready(Some(state.supply.owed())) } else { Poll::Pending }
    }

    /// Whether nobody reads any more; if anybody does, has the task woken when not.
    fn poll_released(&self, context: &Context<'_>) -> bool {
        self.wakes(context);
        self.is_released()
    }

    /// Has the task woken by a demand, and when nobody reads any more: by what comes behind this.
    fn wakes(&self, context: &Context<'_>) {
        if !lock(&self.state).task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            let waker = context.waker().clone();
            let last = lock(&self.state).task.replace(waker);
            drop(last); // Without the lock, as it was cloned: a waker is code of somebody else's.
        }
    }

    /// Leaves what has been gathered to the flusher; `false` if that does not come any more.
    fn enter_stage(&self, gathered: &mut Option<Box<Gathered>>) -> bool {
        let mut stage = lock(&self.stage);
        let is_flushed = self.is_flushed.load(Ordering::Relaxed);
        if is_flushed {
            *stage = Stage { gathered: gathered.take(), is_resting: false };
        }
        is_flushed
    }

    /// Says that nothing will be gathered for now.
    fn leave_stage(&self) {
        lock(&self.stage).is_resting = true;
    }

    /// Sends what a thread has gathered that has not come back since; whether to come again.
    pub(super) fn flush(&self) -> bool {
        // Whoever holds it is awake.
        let Ok(mut stage) = self.stage.try_lock() else { return true };
        let is_resting = stage.is_resting;
        let Some(gathered) = &mut stage.gathered else {
            self.is_flushed.store(!is_resting, Ordering::Relaxed);
            return !is_resting;
        };
        // What refers to something is sent by the pump itself.
        let Some(Cut { bytes: frame, .. }) = gathered.packer.cut(gathered.allowed) else {
            self.is_flushed.store(false, Ordering::Relaxed);
            return false;
        };
        let count = frame.len();
        match self.outlet.try_send(frame) {
            Ok(()) => gathered.allowed = self.sent(count),
            Err(frame) => gathered.packer.put_back(frame),
        }
        true
    }
}

impl State {
    /// What is to be run from now on, if it rests.
    fn begin(&mut self) -> Option<Box<Production>> {
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Resting(production) => Some(production),
            phase => {
                self.phase = phase;
                None
            }
        }
    }
}

/// Drops what produced, which is somebody else's code.
fn discard(production: Box<Production>) {
    if panics::catch(|| drop(production)).is_err() {
        tracing::warn!("what produced a stream has panicked when it was dropped");
    }
}

//! Sending what producers that block have gathered and not sent.
//!
//! An iterator that gives items quickly has them gathered into frames, and may then keep its thread for hours until it gives the
//! next. So while such producers run, one thread for all of them looks every millisecond whether they have left anything. It is
//! told of a producer that has been quiet and begins again, and forgets one of which it finds nothing: producers that are slow
//! send each item at once, and cost one look.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::pump::Pump;
use crate::connection::lock;

/// How often to look.
const LOOK: Duration = Duration::from_millis(1);

/// How long the thread stays without anything to look after.
const IDLE: Duration = Duration::from_secs(2);

static FLUSHER: Flusher = Flusher {
    state: Mutex::new(State { pumps: Vec::new(), is_running: false, is_asleep: false }),
    changed: Condvar::new(),
};

struct Flusher {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pumps: Vec<Arc<Pump>>,
    is_running: bool,
    /// The thread waits for something to look after.
    is_asleep: bool,
}

/// Has a pump looked after until there is nothing to flush; `false` where no thread can be started.
pub(super) fn watch(pump: &Arc<Pump>) -> bool {
    let mut state = lock(&FLUSHER.state);
    if !state.is_running {
        let started = thread::Builder::new().name("plugin-core flusher".into()).spawn(|| FLUSHER.run());
        if started.is_err() {
            return false;
        }
        state.is_running = true;
    }
    state.pumps.push(Arc::clone(pump));
    if std::mem::take(&mut state.is_asleep) {
        FLUSHER.changed.notify_one();
    }
    true
}

impl Flusher {
    fn run(&self) {
        let mut pumps = Vec::new();
        while self.take(&mut pumps) {
            thread::sleep(LOOK);
            // Without the lock: those forgotten may hold the last handle of something.
            pumps.retain(|pump: &Arc<Pump>| pump.flush());
        }
    }

    /// Adds those that are new, waiting for one if there are none; `false` where none came for long.
    fn take(&self, pumps: &mut Vec<Arc<Pump>>) -> bool {
        let mut state = lock(&self.state);
        if pumps.is_empty() && state.pumps.is_empty() {
            state.is_asleep = true;
            let is_idle = |state: &mut State| state.pumps.is_empty();
            let waited = self.changed.wait_timeout_while(state, IDLE, is_idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_asleep = false;
        }
        pumps.append(&mut state.pumps);
        state.is_running = !pumps.is_empty();
        state.is_running
    }
}

//! Watching the thread that reads: where a handler holds it up, somebody else is to read.

use std::{io, time::Duration};

use super::{
    pace::{Pace, Place},
    service::Service,
};
use crate::{
    buffer,
    connection::{Connection, Recalled, lock},
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    },
};

/// How often to look, and how often while a method runs that has never been called before. A handler that is seen twice
/// holds up the reading.
const TICK: Duration = Duration::from_millis(8);
const URGENT: Duration = Duration::from_millis(1);

/// After how many looks without a handler to sleep until there is one.
const PATIENCE: u32 = 8;

#[derive(Default)]
pub(super) struct Watchdog {
    /// Twice the number of the last handler, plus one while it runs.
    last: AtomicU64,
    /// What that handler runs, packed.
    place: AtomicU64,
    is_asleep: AtomicBool,
    /// That handler's method has never been called before.
    is_urgent: AtomicBool,
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    is_started: bool,
    is_stopping: bool,
    /// Of which the reading is lent.
    connection: Weak<Connection>,
}

impl Watchdog {
    /// A handler begins on the thread that reads.
    pub(super) fn begin(&self, handler: u64, place: Place, known: Pace) {
        self.place.store(pack(place), Ordering::Relaxed);
        let is_urgent = known == Pace::Unknown;
        if is_urgent {
            self.is_urgent.store(true, Ordering::Relaxed);
        }
        self.last.store(2 * handler + 1, Ordering::SeqCst);
        // After the store: either the watchdog sees the handler before it sleeps, or it is seen asleep here.
        if is_urgent || self.is_asleep.load(Ordering::SeqCst) {
            self.is_asleep.store(false, Ordering::SeqCst);
            drop(lock(&self.state));
            self.woken.notify_one();
        }
    }

    /// It has ended.
    pub(super) fn end(&self, handler: u64) {
        // Another thread may lead by now, and run another.
        let ended = self.last.compare_exchange(2 * handler + 1, 2 * handler, Ordering::Relaxed, Ordering::Relaxed);
        if ended.is_ok() {
            self.is_urgent.store(false, Ordering::Relaxed);
        }
    }

    /// Watches the handlers of `connection`.
    pub(super) fn start(&self, service: &Arc<Service>, connection: &Arc<Connection>) -> io::Result<()> {
        lock(&self.state).connection = Arc::downgrade(connection);
        self.prepare(service)
    }

    /// Starts the thread, once.
    pub(super) fn prepare(&self, service: &Arc<Service>) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !state.is_started {
            buffer::look_after();
            let service = Arc::clone(service);
            let watch = move || service.watchdog.watch(&service);
            thread::Builder::new().name("plugin-core watchdog".into()).spawn(watch)?;
            state.is_started = true;
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        lock(&self.state).is_stopping = true;
        self.woken.notify_one();
    }

    fn watch(&self, service: &Service) {
        let (mut seen, mut looks) = (0, 0);
        // What large messages have left behind is let go, too, before there is nothing more to look at.
        while self.wait(!buffer::settle() && looks > PATIENCE) {
            let last = self.last.load(Ordering::SeqCst);
            if last != seen {
                (seen, looks) = (last, 0);
                continue;
            }
            looks += 1;
            if last % 2 == 1 {
                // Looked up before the reading is taken away: while it is lent for this handler, no other begins.
                let place = unpack(self.place.load(Ordering::SeqCst));
                let connection = lock(&self.state).connection.upgrade();
                let Some(connection) = connection else { return };
                match connection.recall(last / 2) {
                    Recalled::NotLent => {}
                    Recalled::Taken => service.paces.mark_slow(place),
                    Recalled::Free => {
                        service.paces.mark_slow(place);
                        service.lead_again(&connection);
                    }
                }
                // It is not of interest any more.
                self.end(last / 2);
            }
        }
    }

    /// Waits for the next look, or until there is something to look at; `false` at the end.
    fn wait(&self, may_sleep: bool) -> bool {
        let state = lock(&self.state);
        let is_asleep = may_sleep && {
            self.is_asleep.store(true, Ordering::SeqCst);
            self.last.load(Ordering::SeqCst) % 2 == 0
        };
        let mut state = state;
        if is_asleep {
            while self.is_asleep.load(Ordering::SeqCst) && !state.is_stopping {
                state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        } else {
            self.is_asleep.store(false, Ordering::SeqCst);
            if !state.is_stopping {
                let tick = if self.is_urgent.load(Ordering::Relaxed) { URGENT } else { TICK };
                state = self.woken.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        !state.is_stopping
    }
}

fn pack(place: Place) -> u64 {
    u64::from(place.target) << 16 | u64::from(place.method)
}

#[expect(clippy::cast_possible_truncation, reason = "the two parts of what was packed")]
fn unpack(place: u64) -> Place {
    Place { target: (place >> 16) as u32, method: place as u16 }
}

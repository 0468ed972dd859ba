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

/// A handler that runs where the reading was: the how manieth of which loan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watched(u64);

/// How many handlers one loan may be for.
const STEPS: u64 = 1 << 16;

impl Watched {
    pub(super) fn first_of(loan: u64) -> Self {
        Self(loan * STEPS)
    }

    pub(super) fn loan(self) -> u64 {
        self.0 / STEPS
    }

    fn next(self) -> Option<Self> {
        Some(Self(self.0 + 1)).filter(|next| next.loan() == self.loan())
    }

    /// As it is noted while it runs: odd.
    fn running(self) -> u64 {
        2 * self.0 + 1
    }

    fn ended(self) -> u64 {
        2 * self.0
    }

    fn of(last: u64) -> Self {
        Self(last / 2)
    }
}

#[derive(Default)]
pub(super) struct Watchdog {
    /// The last handler, running or ended.
    last: AtomicU64,
    /// What that handler runs, packed, and what the one before it ran: in turn, so that the one is not overwritten by the next
    /// before that has begun.
    places: [AtomicU64; 2],
    is_asleep: AtomicBool,
    /// That handler's method has never been called before.
    is_urgent: AtomicBool,
    /// How often it has looked.
    looks: AtomicU64,
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
    pub(super) fn begin(&self, handler: Watched, place: Place, known: Pace) {
        self.place(handler).store(pack(place), Ordering::Relaxed);
        let is_urgent = known == Pace::Unknown;
        if is_urgent {
            self.is_urgent.store(true, Ordering::Relaxed);
        }
        self.last.store(handler.running(), Ordering::SeqCst);
        // After the store: either the watchdog sees the handler before it sleeps, or it is seen asleep here.
        if is_urgent || self.is_asleep.load(Ordering::SeqCst) {
            self.is_asleep.store(false, Ordering::SeqCst);
            drop(lock(&self.state));
            self.woken.notify_one();
        }
    }

    /// It has ended, and another one begins on the same loan: which, unless the reading is being taken away. At no time is
    /// there none, so the watchdog does not fall asleep.
    pub(super) fn next(&self, handler: Watched, place: Place) -> Option<Watched> {
        let next = handler.next()?;
        self.place(next).store(pack(place), Ordering::Relaxed);
        let went_on =
            self.last.compare_exchange(handler.running(), next.running(), Ordering::SeqCst, Ordering::Relaxed);
        went_on.is_ok().then_some(next)
    }

    /// It has ended, or is not of interest any more; `false` where it was not the last.
    pub(super) fn end(&self, handler: Watched) -> bool {
        // Another thread may lead by now, and run another.
        let ended =
            self.last.compare_exchange(handler.running(), handler.ended(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if ended {
            self.is_urgent.store(false, Ordering::Relaxed);
        }
        ended
    }

    /// How often it has looked so far: while handlers run, this changes with every [`TICK`].
    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn place(&self, handler: Watched) -> &AtomicU64 {
        &self.places[usize::from(handler.0 % 2 == 1)]
    }

    /// The handlers to watch are those of `connection`.
    pub(super) fn look_after(&self, connection: &Arc<Connection>) {
        lock(&self.state).connection = Arc::downgrade(connection);
    }

    /// Starts the thread, once.
    pub(super) fn start(&self, service: &Arc<Service>) -> io::Result<()> {
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
            self.looks.fetch_add(1, Ordering::Relaxed);
            let last = self.last.load(Ordering::SeqCst);
            if last != seen {
                (seen, looks) = (last, 0);
                continue;
            }
            looks += 1;
            if last % 2 == 1 {
                let connection = lock(&self.state).connection.upgrade();
                let Some(connection) = connection else { return };
                self.take_from(service, &connection, Watched::of(last));
            }
        }
    }

    /// Has somebody else read than the thread of `handler`, unless that has ended after all.
    fn take_from(&self, service: &Service, connection: &Arc<Connection>, handler: Watched) {
        // Looked up before its thread is kept from going on: until then it stays there if the handler is still the last.
        let place = unpack(self.place(handler).load(Ordering::Relaxed));
        if !self.end(handler) {
            return;
        }
        match connection.recall(handler.loan()) {
            Recalled::NotLent => {}
            Recalled::Taken => service.paces.mark_slow(place),
            Recalled::Free => {
                service.paces.mark_slow(place);
                service.lead_again(connection);
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

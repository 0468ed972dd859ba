//! Threads that read requests and run quick handlers themselves.
//!
//! One of them leads: it reads, and runs the handlers of quick methods where it stands, so that such a call is answered
//! without waking another thread. While a handler runs, the reading is lent back to the connection. Should the handler be slow
//! after all, the [`watchdog`](super::watchdog) takes the reading from its thread and wants another leader; the slow one goes on
//! with its handler and is then free to lead again.

use std::{cell::Cell, io, time::Duration};

use super::{
    pace::{Pace, Place},
    panics,
    service::{Service, Task},
    watchdog::Watched,
};
use crate::{
    connection::{Connection, Progress, Reading, lock},
    sync::{Arc, Condvar, Instant, Mutex, PoisonError, thread, thread_local},
};

/// How long a thread that is not needed stays.
const IDLE: Duration = Duration::from_secs(10);

/// For how long answers may be held back to go out together.
const HELD_BACK: Duration = Duration::from_micros(100);

thread_local! {
    /// What this thread has lent while it runs a handler.
    static LOAN: Cell<Option<Loan>> = const { Cell::new(None) };
}

/// A reading that was lent for the time of a handler, or of several in a row. If that makes a call of its own, it takes the reading back to wait for the
/// answer, and lends it again.
#[derive(Debug, Clone, Copy)]
struct Loan {
    /// The address of the connection, which lives while the handler runs.
    connection: usize,
    watched: Watched,
    place: Place,
    pace: Pace,
}

impl Loan {
    /// The loan of this thread that concerns `connection`.
    fn of(connection: &Arc<Connection>) -> Option<Self> {
        // A thread that ends may call in the destructors of its own values.
        let loan = LOAN.try_with(Cell::get).ok().flatten();
        loan.filter(|loan| loan.connection == Arc::as_ptr(connection) as usize)
    }
}

impl Loan {
    /// Goes on with a handler of another method; `false` where the reading is being taken away.
    fn goes_on(self, service: &Service, place: Place) -> bool {
        let Some(watched) = service.watchdog.next(self.watched, place) else { return false };
        LOAN.with(|own| own.set(Some(Self { watched, place, ..self })));
        true
    }
}

/// How many handlers in a row are timed together at most, where each takes hardly longer than to look at the clock.
const TOGETHER: u32 = 8;

/// What a leader does between two times of reading.
#[derive(Default)]
struct Turn {
    /// Since when answers have been held back.
    since: Option<Instant>,
    /// When the last handler ended that was timed.
    now: Option<Instant>,
    /// What that was, and how often the watchdog had looked then.
    timed: Option<(Place, u64)>,
    /// How many have run since.
    untimed: u32,
}

/// Since when a handler runs, and how many have run since then, with it; 0 where it is not to be timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) began: Instant,
    pub(super) count: u32,
}

impl Turn {
    /// A handler begins; how it is timed.
    ///
    /// It is not where it is the next of several of one method that takes no time. Should one of them take long after all, that is
    /// noticed when the watchdog looks the next time, or with the last of them.
    fn begin(&mut self, service: &Service, connection: &Arc<Connection>, method: Place, pace: Pace) -> Timing {
        let present = Some((method, service.watchdog.looks()));
        let is_next = self.timed == present && service.paces.is_instant(method);
        if is_next && self.untimed + 1 < TOGETHER {
            self.untimed += 1;
            return Timing { began: self.now(), count: 0 };
        }
        let mut count = self.untimed + 1;
        if !is_next && self.untimed > 0 {
            (self.now, count) = (None, 1);
        }
        (self.timed, self.untimed) = (present, 0);
        if self.writes(connection, pace) {
            count = 1;
        }
        Timing { began: self.now(), count }
    }

    /// Writes where the next handler may take long, for it must not keep the answers of those before it.
    fn writes(&mut self, connection: &Arc<Connection>, pace: Pace) -> bool {
        let now = self.now();
        let since = *self.since.get_or_insert(now);
        let is_time = pace == Pace::Unknown || now.duration_since(since) > HELD_BACK;
        if is_time {
            connection.write_now();
            self.now = None;
            self.since = Some(self.now());
        }
        is_time
    }

    /// A handler has ended.
    fn end(&mut self, timing: Timing, ended: Instant) {
        if timing.count == 0 && ended != timing.began {
            self.untimed = 0; // It has waited, and was timed for that.
        }
        self.now = Some(ended);
    }

    fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }
}

/// What has come of a request.
pub(super) struct Answered {
    /// When the handler ended, or has been left to an executor.
    pub(super) ended: Instant,
    /// The number of the call, if that has been answered and is to be forgotten.
    pub(super) is_over: Option<u32>,
}

#[derive(Default)]
pub(super) struct Leaders {
    state: Mutex<State>,
    /// Signalled when a leader is wanted, has finished a handler, or all are to stop.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What nobody leads, and somebody should.
    wanted: Option<Arc<Connection>>,
    /// Threads that wait to be wanted, or have been started to; `idle <= threads`.
    idle: usize,
    threads: usize,
    /// Threads that run a handler.
    busy: usize,
    is_stopping: bool,
}

impl Leaders {
    /// Sees to it that somebody leads.
    pub(super) fn want(&self, service: &Arc<Service>, connection: &Arc<Connection>) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.is_stopping {
            return Ok(());
        }
        state.wanted = Some(Arc::clone(connection));
        if state.idle > 0 {
            drop(state);
            self.changed.notify_all();
            return Ok(());
        }
        let spawned = spawn(&mut state, service);
        // If there are others, one of them leads once its handler is done.
        if state.threads > 0 { Ok(()) } else { spawned }
    }

    /// Has a thread ready that will soon be wanted. If there can be none, whoever wants it tries again.
    pub(super) fn prepare(&self, service: &Arc<Service>) {
        let _ = spawn(&mut lock(&self.state), service);
    }

    /// Stops leading; waits for handlers that run, but not past `deadline`.
    pub(super) fn stop(&self, deadline: Instant) {
        let mut state = lock(&self.state);
        state.is_stopping = true;
        let unwanted = state.wanted.take();
        self.changed.notify_all();
        let left = deadline.saturating_duration_since(Instant::now());
        state = self
            .changed
            .wait_timeout_while(state, left, |state| state.busy > 0)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        drop(state);
        drop(unwanted);
    }

    fn serve(&self, service: &Service) {
        while let Some(connection) = self.wait_wanted() {
            if let Some(reading) = connection.take_reading() {
                self.lead(service, &connection, reading);
            }
            drop(connection);
            lock(&self.state).idle += 1;
        }
    }

    /// Waits to be wanted; for nothing if that does not happen.
    fn wait_wanted(&self) -> Option<Arc<Connection>> {
        let is_idle = |state: &mut State| state.wanted.is_none() && !state.is_stopping;
        let waited = self.changed.wait_timeout_while(lock(&self.state), IDLE, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        let connection = state.wanted.take();
        if connection.is_none() {
            state.threads -= 1;
        }
        connection
    }

    /// Reads and runs handlers until the link ends or the reading is taken away.
    fn lead(&self, service: &Service, connection: &Arc<Connection>, mut reading: Box<Reading>) {
        loop {
            let mut turn = Turn::default();
            let mut next = service.next_quick(None);
            while let Some(task) = next {
                match service.pace(&task) {
                    Pace::Slow => {
                        service.submit(connection, task); // It was found to be while this one waited.
                        next = service.next_quick(None);
                    }
                    pace => match self.run(service, connection, reading, (task, pace), &mut turn) {
                        Some((reclaimed, rest)) => (reading, next) = (reclaimed, rest),
                        None => return,
                    },
                }
            }
            if let Progress::Over = connection.read_on(&mut reading, None) {
                return;
            }
        }
    }

    /// Runs a handler with the reading lent back, and others behind it while these are quick; gives the reading, unless it was
    /// taken away, and what is to be done next.
    fn run(
        &self,
        service: &Service,
        connection: &Arc<Connection>,
        reading: Box<Reading>,
        (task, pace): (Task, Pace),
        turn: &mut Turn,
    ) -> Option<(Box<Reading>, Option<Task>)> {
        if !self.begin() {
            connection.leave(reading);
            service.refuse_task(connection, &task);
            return None;
        }
        let loan = Loan {
            connection: Arc::as_ptr(connection) as usize,
            watched: Watched::default(),
            place: task.place(),
            pace,
        };
        LOAN.with(|own| own.set(Some(loan)));
        Self::lend(service, connection, reading);
        let mut next = None;
        // A panic here is one of a value's `Drop`; it must not take the thread along.
        let _ = panics::catch(|| {
            service.enter(connection, || next = Self::run_on(service, connection, (task, pace), turn));
        });
        let reading = Self::take_back(service, connection);
        LOAN.with(|own| own.set(None));
        self.end();
        let Some(reading) = reading else {
            // Whoever leads now may wait for bytes already.
            if let Some(task) = next {
                service.submit(connection, task);
            }
            connection.write_rest();
            return None;
        };
        Some((reading, next.or_else(|| service.next_quick(None))))
    }

    /// Runs one handler after the other, as long as they are known to be quick and the reading is not taken away; gives the task
    /// that is left over.
    fn run_on(
        service: &Service,
        connection: &Arc<Connection>,
        (mut task, pace): (Task, Pace),
        turn: &mut Turn,
    ) -> Option<Task> {
        let mut timing = turn.begin(service, connection, task.place(), pace);
        let mut last = None;
        loop {
            let Answered { ended, is_over } = service.answer_leading(connection, task, &mut last, timing);
            turn.end(timing, ended);
            // Looked at before another is taken: from here on, somebody else may be there for it.
            let Some(loan) = Loan::of(connection).filter(|_| pace == Pace::Quick) else {
                if let Some(number) = is_over {
                    service.forget(number);
                }
                return None;
            };
            task = service.next_quick(is_over)?;
            if service.pace(&task) != Pace::Quick || !loan.goes_on(service, task.place()) {
                return Some(task);
            }
            timing = turn.begin(service, connection, task.place(), Pace::Quick);
        }
    }

    /// Lends the reading for the handler that this thread runs, or leaves it to others where it runs none, or has been found to
    /// be slow.
    pub(super) fn lend(service: &Service, connection: &Arc<Connection>, reading: Box<Reading>) {
        let Some(loan) = Loan::of(connection) else { return connection.leave(reading) };
        let Some(number) = connection.lend(reading) else { return LOAN.with(|own| own.set(None)) };
        let watched = Watched::first_of(number);
        // A method that is called for the first time is watched closely until it makes a call of its own.
        LOAN.with(|own| own.set(Some(Loan { watched, pace: Pace::Quick, ..loan })));
        // Only for a reading that is in use: the watchdog looks after one handler.
        service.watchdog.begin(watched, loan.place, loan.pace);
    }

    /// Takes back what this thread has lent, unless somebody else has it.
    pub(super) fn take_back(service: &Service, connection: &Arc<Connection>) -> Option<Box<Reading>> {
        let loan = Loan::of(connection)?;
        service.watchdog.end(loan.watched);
        let reading = connection.reclaim(loan.watched.loan());
        if reading.is_none() {
            // Another thread leads now.
            LOAN.with(|own| own.set(None));
        }
        reading
    }

    fn begin(&self) -> bool {
        let mut state = lock(&self.state);
        state.busy += usize::from(!state.is_stopping);
        !state.is_stopping
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        state.busy -= 1;
        if state.is_stopping {
            self.changed.notify_all();
        }
    }
}

/// Starts a thread that waits to be wanted.
fn spawn(state: &mut State, service: &Arc<Service>) -> io::Result<()> {
    let service = Arc::clone(service);
    let lead = move || service.leaders.serve(&service);
    thread::Builder::new().name("plugin-core reader".into()).spawn(lead)?;
    // It finds itself counted: it takes the lock, too.
    (state.threads, state.idle) = (state.threads + 1, state.idle + 1);
    Ok(())
}

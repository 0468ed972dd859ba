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

/// A reading that was lent for the time of a handler. If that makes a call of its own, it takes the reading back to wait for the
/// answer, and lends it again.
#[derive(Debug, Clone, Copy)]
struct Loan {
    /// The address of the connection, which lives while the handler runs.
    connection: usize,
    handler: u64,
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
            let (mut held_back_since, mut now) = (None, None);
            while let Some(task) = service.next_quick() {
                let mut began = now.unwrap_or_else(Instant::now);
                let since = *held_back_since.get_or_insert(began);
                // A handler that may take long must not keep the answers of those before it.
                let pace = service.pace(&task);
                if pace == Pace::Slow {
                    service.submit(connection, task); // It was found to be while this one waited.
                    continue;
                }
                if pace == Pace::Unknown || began.duration_since(since) > HELD_BACK {
                    connection.write_now();
                    began = Instant::now();
                    held_back_since = Some(began);
                }
                match self.run(service, connection, reading, task, began) {
                    Some((reclaimed, ended)) => (reading, now) = (reclaimed, ended),
                    None => return,
                }
            }
            if let Progress::Over = connection.read_on(&mut reading, None) {
                return;
            }
        }
    }

    /// Runs a handler with the reading lent back; gives the reading, unless it was taken away, and when the handler ended.
    fn run(
        &self,
        service: &Service,
        connection: &Arc<Connection>,
        reading: Box<Reading>,
        task: Task,
        began: Instant,
    ) -> Option<(Box<Reading>, Option<Instant>)> {
        if !self.begin() {
            connection.leave(reading);
            service.refuse_task(connection, &task);
            return None;
        }
        let loan = Loan {
            connection: Arc::as_ptr(connection) as usize,
            handler: 0,
            place: task.place(),
            pace: service.pace(&task),
        };
        LOAN.with(|own| own.set(Some(loan)));
        Self::lend(service, connection, reading);
        // A panic here is one of a value's `Drop`; it must not take the thread along.
        let ended = panics::catch(|| service.answer(connection, task, began).1).ok();
        let reading = Self::take_back(service, connection);
        LOAN.with(|own| own.set(None));
        self.end();
        if reading.is_none() {
            connection.write_rest();
        }
        reading.map(|reading| (reading, ended))
    }

    /// Lends the reading for the handler that this thread runs, or leaves it to others where it runs none, or has been found to
    /// be slow.
    pub(super) fn lend(service: &Service, connection: &Arc<Connection>, reading: Box<Reading>) {
        let Some(loan) = Loan::of(connection) else { return connection.leave(reading) };
        let Some(handler) = connection.lend(reading) else { return LOAN.with(|own| own.set(None)) };
        // A method that is called for the first time is watched closely until it makes a call of its own.
        LOAN.with(|own| own.set(Some(Loan { handler, pace: Pace::Quick, ..loan })));
        // Only for a reading that is in use: the watchdog looks after one handler.
        service.watchdog.begin(handler, loan.place, loan.pace);
    }

    /// Takes back what this thread has lent, unless somebody else has it.
    pub(super) fn take_back(service: &Service, connection: &Arc<Connection>) -> Option<Box<Reading>> {
        let loan = Loan::of(connection)?;
        service.watchdog.end(loan.handler);
        let reading = connection.reclaim(loan.handler);
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

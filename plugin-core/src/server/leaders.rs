//! Threads that read requests and run quick handlers themselves.
//!
//! One of them leads: it reads, and runs the handlers of quick methods where it stands, so that such a call is answered
//! without waking another thread. While a handler runs, the reading is lent back to the connection. Should the handler be slow
//! after all, the [`watchdog`](super::watchdog) takes the reading from its thread and wants another leader; the slow one goes on
//! with its handler and is then free to lead again.

use std::{io, time::Duration};

use super::{
    pace::Pace,
    panics,
    service::{Service, Task},
};
use crate::{
    connection::{Connection, Progress, Reading, lock},
    sync::{Arc, Condvar, Instant, Mutex, PoisonError, thread},
};

/// How long a thread that is not needed stays.
const IDLE: Duration = Duration::from_secs(10);

/// For how long answers may be held back to go out together.
const HELD_BACK: Duration = Duration::from_micros(100);

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
            let mut held_back_since = None;
            while let Some(task) = service.next_quick() {
                let began = Instant::now();
                let since = *held_back_since.get_or_insert(began);
                // A handler that may take long must not keep the answers of those before it.
                let pace = service.pace(&task);
                if pace == Pace::Slow {
                    service.submit(connection, task); // It was found to be while this one waited.
                    continue;
                }
                if pace == Pace::Unknown || began.duration_since(since) > HELD_BACK {
                    connection.write_now();
                    held_back_since = Some(began);
                }
                match self.run(service, connection, reading, task) {
                    Some(reclaimed) => reading = reclaimed,
                    None => return,
                }
            }
            if let Progress::Over = connection.read_on(&mut reading, None) {
                return;
            }
        }
    }

    /// Runs a handler with the reading lent back; gives the reading, unless it was taken away.
    fn run(
        &self,
        service: &Service,
        connection: &Arc<Connection>,
        reading: Box<Reading>,
        task: Task,
    ) -> Option<Box<Reading>> {
        if !self.begin() {
            connection.leave(reading);
            return None;
        }
        let handler = connection.lend(reading);
        service.watchdog.begin(handler, task.place(), service.pace(&task));
        // A panic here is one of a value's `Drop`; it must not take the thread along.
        let _ = panics::catch(|| service.answer(connection, task));
        service.watchdog.end(handler);
        let reading = connection.reclaim(handler);
        self.end();
        if reading.is_none() {
            connection.write_rest();
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

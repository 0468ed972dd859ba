//! A task on the callers' own runtime that reads a plugin's connection for them, while any of them waits.
//!
//! So that an answer wakes the thread that its caller's executor sleeps in, and no other. Tasks of another executor, and those
//! that wait while the runtime is not running, are left to the host's watcher.

use std::{
    future::poll_fn,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::{self, Handle, RuntimeFlavor},
};

use crate::{
    connection::{Attendance, Connection, Progress, lock},
    transport::Link,
};

/// The driver of one connection, if it has one.
#[derive(Default)]
pub(super) struct Drivers {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    present: Option<Arc<Driver>>,
    /// The last runtime that could not wait for a link: one without an event loop, or one that has ended.
    unfit: Option<runtime::Id>,
}

/// What a driver is told by others.
struct Driver {
    runtime: runtime::Id,
    /// Its runtime runs only while a thread blocks on it.
    stands_still: bool,
    /// Of the link that it reads.
    generation: u64,
    is_called: AtomicBool,
    is_over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Drivers {
    /// Has a task of the runtime from which this is called wait for the link, or the one that does already; `false` where
    /// there is none.
    pub(super) fn drive(self: &Arc<Self>, connection: &Arc<Connection>) -> bool {
        let Some((link, generation)) = connection.present_link() else { return false };
        let runtime = Handle::try_current().ok();
        let mut state = lock(&self.state);
        let is_fit = |driver: &&Arc<Driver>| {
            driver.generation == generation && runtime.as_ref().is_none_or(|runtime| runtime.id() == driver.runtime)
        };
        if let Some(driver) = state.present.as_ref().filter(|driver| !driver.is_over()).filter(is_fit) {
            let driver = Arc::clone(driver);
            drop(state);
            driver.call();
            return true;
        }
        let Some(runtime) = runtime.filter(|runtime| state.unfit != Some(runtime.id())) else { return false };
        let driver = Arc::new(Driver {
            runtime: runtime.id(),
            stands_still: runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
            generation,
            is_called: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let other = state.present.replace(Arc::clone(&driver));
        drop(state);
        if let Some(other) = other {
            other.end();
        }
        let ends = Ends { drivers: Arc::clone(self), connection: Arc::downgrade(connection), driver };
        drop(runtime.spawn(drive(ends, Source(link))));
        true
    }

    /// Lets the driver go if it is on another runtime than the task that calls this, one that may be standing still: tasks of
    /// a current-thread runtime run while a thread blocks on it. Whether it was.
    pub(super) fn end_elsewhere(&self) -> bool {
        let mut state = lock(&self.state);
        let Some(driver) = state.present.take_if(|driver| driver.stands_still && !driver.is_here()) else {
            return false;
        };
        drop(state);
        driver.end();
        true
    }

    /// Lets the driver go: no task has called for a while.
    pub(super) fn end(&self) {
        let driver = lock(&self.state).present.take();
        if let Some(driver) = driver {
            driver.end();
        }
    }
}

impl Driver {
    /// Has it look whether there is something to read.
    fn call(&self) {
        self.is_called.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether its runtime is the one from which this is called.
    fn is_here(&self) -> bool {
        Handle::try_current().is_ok_and(|runtime| runtime.id() == self.runtime)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A driver that runs. However it ends, be it with its runtime, somebody else comes for the bytes then.
struct Ends {
    drivers: Arc<Drivers>,
    connection: Weak<Connection>,
    driver: Arc<Driver>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.driver.is_over() {
            lock(&self.drivers.state).unfit = Some(self.driver.runtime);
            self.driver.end();
        }
        // Whoever is in its place comes for the bytes, and if that ends, it comes here.
        if lock(&self.drivers.state).present.as_ref().is_some_and(|driver| !driver.is_over()) {
            return;
        }
        if let Some(connection) = self.connection.upgrade() {
            connection.unattended(self.driver.generation);
        }
    }
}

/// A link, as the runtime's event loop wants it.
struct Source(Arc<dyn Link>);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.pollable().map_or(-1, |link| link.as_fd().as_raw_fd())
    }
}

async fn drive(ends: Ends, source: Source) {
    #[allow(
        deprecated,
        reason = "what replaces it is younger than the tokio that is asked for, and the source keeps its link open"
    )]
    let source = match AsyncFd::with_interest(source, Interest::READABLE) {
        Ok(source) => source,
        Err(error) => return tracing::debug!(%error, "a runtime cannot wait for a plugin's connection"),
    };
    poll_fn(|context| ends.poll(context, &source)).await;
}

impl Ends {
    /// There is no link any more.
    fn over(&self) -> Poll<()> {
        self.driver.end();
        Poll::Ready(())
    }

    /// Reads what there is, until nothing is; ready when the driver is to end.
    fn poll(&self, context: &mut Context<'_>, source: &AsyncFd<Source>) -> Poll<()> {
        let driver = &*self.driver;
        // Before anything is looked at: who changes something wakes behind that.
        let waker = context.waker().clone();
        let last = lock(&driver.waker).replace(waker);
        drop(last); // Without the lock: a waker is code of somebody else's.
        loop {
            if driver.is_over() {
                return Poll::Ready(());
            }
            let is_called = driver.is_called.swap(false, Ordering::SeqCst);
            let readable = source.poll_read_ready(context);
            if readable.is_pending() && !is_called {
                return Poll::Pending;
            }
            let Some(connection) = self.connection.upgrade() else { return self.over() };
            // Whoever reads meanwhile calls this when it leaves, if any task still waits.
            let progress = connection.read_what_is_there(driver.generation, Attendance::Driven);
            match (progress, readable) {
                (Progress::Over, _) => return self.over(),
                // The runtime is ending.
                (_, Poll::Ready(Err(_))) => return Poll::Ready(()),
                (Progress::Some, _) => {
                    // Others are to have their turn before this goes on.
                    driver.is_called.store(true, Ordering::SeqCst);
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                (Progress::Nothing, Poll::Ready(Ok(mut ready))) => ready.clear_ready(),
                (Progress::Nothing, Poll::Pending) => {}
            }
        }
    }
}

//! A task on the callers' own runtime that reads a plugin's connection for them, while any of them waits.
//!
//! So that an answer wakes the thread that its caller's executor sleeps in, and no other. Tasks of another executor, and those
//! that wait while the runtime is not running, are left to the host's watcher.

use std::{
    future::poll_fn,
    os::fd::OwnedFd,
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

use crate::connection::{Attendance, Connection, Progress, lock};

/// The driver of one connection, if it has one.
#[derive(Default)]
pub(super) struct Drivers {
    state: Mutex<State>,
    /// Tasks of several executors have called.
    are_several: AtomicBool,
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
        // A descriptor of its own: a driver that is over stays in its event loop until its runtime runs, and a descriptor can be in
        // one but once.
        let file = link.pollable().map(|link| link.as_fd().try_clone_to_owned());
        let Some(Ok(file)) = file else { return false };
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
        drop(runtime.spawn(drive(ends, file)));
        true
    }

    /// Whether the driver is on another runtime than the task that calls this, one that may be standing still: tasks of a
    /// current-thread runtime run while a thread blocks on it. If the task `is_alone`, the driver is let go.
    pub(super) fn stand_still(&self, is_alone: bool) -> bool {
        if !is_alone && !self.are_several.load(Ordering::Relaxed) {
            return false; // Looking costs as much as a twentieth of a call.
        }
        let mut state = lock(&self.state);
        // One that is over was seen at its last moment.
        let Some(driver) = state.present.as_ref().filter(|driver| !driver.is_over()) else { return true };
        if !driver.stands_still || driver.is_here() {
            return false;
        }
        if is_alone {
            self.are_several.store(true, Ordering::Relaxed);
            let driver = state.present.take();
            drop(state);
            if let Some(driver) = driver {
                driver.end();
            }
        }
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
        let present = lock(&self.drivers.state).present.clone();
        if let Some(driver) = present.filter(|driver| !driver.is_over()) {
            // Whoever is in its place comes for the bytes, also for those that this one left; and if that ends, it comes here.
            return driver.call();
        }
        if let Some(connection) = self.connection.upgrade() {
            connection.unattended(self.driver.generation);
        }
    }
}

async fn drive(ends: Ends, file: OwnedFd) {
    #[allow(deprecated, reason = "what replaces it is younger than the tokio that is asked for")]
    let source = match AsyncFd::with_interest(file, Interest::READABLE) {
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
    fn poll(&self, context: &mut Context<'_>, source: &AsyncFd<OwnedFd>) -> Poll<()> {
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

#[cfg(test)]
mod tests {
    use tokio::{
        runtime::{Builder, Runtime},
        task::yield_now,
    };

    use super::*;
    use crate::{
        connection::{Options, tests::Reads},
        protocol::frame::Deframer,
        transport::local,
    };

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    impl Drivers {
        /// Whether the driver is one of that runtime, and has gone on for some turns.
        async fn drives_on(self: &Arc<Self>, connection: &Arc<Connection>) -> bool {
            assert!(self.drive(connection));
            for _ in 0..200 {
                yield_now().await;
            }
            let state = lock(&self.state);
            state.unfit.is_none() && state.present.as_ref().is_some_and(|driver| !driver.is_over() && driver.is_here())
        }
    }

    #[test]
    fn a_runtime_that_stood_still_drives_again() {
        let (link, _other) = local::pair().unwrap();
        let options = Options { max_message: usize::MAX, yields: false, ticks: false };
        let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(Reads), options).unwrap();
        let drivers = Arc::<Drivers>::default();
        let [first, second] = [runtime(), runtime()];
        for _ in 0..3 {
            assert!(first.block_on(drivers.drives_on(&connection)));
            assert!(!first.block_on(async { drivers.stand_still(true) }), "it is the caller's own");
            // Called from where there is no runtime: it is let go, and stays in its event loop meanwhile.
            assert!(drivers.stand_still(true));
            assert!(first.block_on(drivers.drives_on(&connection)));
            assert!(second.block_on(async { drivers.stand_still(false) }), "others may wait where it runs: it stays");
            assert!(second.block_on(drivers.drives_on(&connection)));
            drivers.end();
        }
    }
}

//! Where async handlers that are not done at once go on: on tokio, where there is a runtime of it, else on the threads that run
//! slow methods.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use super::workers::Workers;
use crate::{blocking, interface::Dispatch};

/// Runs futures to their end.
#[derive(Clone)]
pub(crate) enum Executor {
    /// On the threads of each service's own pool.
    Pool,
    #[cfg(feature = "tokio")]
    Tokio(tokio::runtime::Handle),
}

impl Executor {
    /// One for the methods of `dispatchers`: no runtime is started where none of them is async.
    pub(crate) fn of(dispatchers: &[Arc<dyn Dispatch>]) -> Self {
        let mut methods = dispatchers.iter().flat_map(|dispatcher| dispatcher.descriptor().methods);
        if methods.any(|method| method.is_async) { Self::here() } else { Self::Pool }
    }

    /// That of the runtime from which this is called, if there is one, else one that lasts as long as the process.
    pub(crate) fn here() -> Self {
        #[cfg(feature = "tokio")]
        {
            use std::sync::OnceLock;
            use tokio::runtime::{Handle, Runtime};
            static OWN: OnceLock<Option<Runtime>> = OnceLock::new();
            if let Ok(handle) = Handle::try_current() {
                return Self::Tokio(handle);
            }
            if let Some(runtime) = OWN.get_or_init(|| Runtime::new().ok()) {
                return Self::Tokio(runtime.handle().clone());
            }
        }
        Self::Pool
    }

    /// Runs `body` where futures may be polled.
    pub(super) fn enter<R>(&self, body: impl FnOnce() -> R) -> R {
        match self {
            Self::Pool => body(),
            #[cfg(feature = "tokio")]
            Self::Tokio(runtime) => {
                let _entered = runtime.enter();
                body()
            }
        }
    }

    /// Runs a future; if the pool is at its end, it is dropped.
    pub(super) fn spawn(&self, workers: &Arc<Workers>, future: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Pool => {
                let workers = Arc::clone(workers);
                let schedule = move |runnable: async_task::Runnable| {
                    // Where it is dropped, so is the future.
                    workers.go_on(Box::new(move || {
                        runnable.run();
                    }));
                };
                let (runnable, task) = async_task::spawn(future, schedule);
                task.detach();
                runnable.schedule();
            }
            #[cfg(feature = "tokio")]
            Self::Tokio(runtime) => drop(runtime.spawn(future)),
        }
    }

    /// Runs a future to its end on this thread, or until `deadline`; then gives how long that took.
    pub(crate) fn block_on<F: Future>(&self, deadline: Option<Instant>, future: F) -> Result<F::Output, Duration> {
        let mut future = pin!(future);
        self.enter(|| blocking::wait(deadline, |context| future.as_mut().poll(context)))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::mpsc,
        task::Poll,
        thread::{self, ThreadId},
        time::Duration,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Tells where it is dropped.
    struct Tells(mpsc::Sender<ThreadId>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn who_wakes_a_future_that_cannot_go_on_does_not_drop_it() {
        let workers = Arc::<Workers>::default();
        let ((polled, wakers), (dropped, places)) = (mpsc::channel(), mpsc::channel());
        let tells = Tells(dropped);
        Executor::Pool.spawn(&workers, async move {
            let _tells = tells;
            poll_fn(|context| {
                polled.send(context.waker().clone()).unwrap();
                Poll::<()>::Pending
            })
            .await;
        });
        let waker = wakers.recv_timeout(LONG).unwrap();
        assert!(workers.stop(LONG));
        waker.wake();
        assert_ne!(places.recv_timeout(LONG).unwrap(), thread::current().id());
    }
}

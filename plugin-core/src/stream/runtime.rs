//! Where async sources are polled: on the tokio runtime in which they were made, if there was one, else on threads of a pool.

use std::{future::Future, sync::Arc};

/// Threads that run what may block.
pub(crate) trait Pool: Send + Sync {
    /// Runs `job` soon, on another thread. Drops it where there is none any more.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// The runtime in which something was made, if it was made in one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runtime {
    #[cfg(feature = "tokio")]
    handle: Option<tokio::runtime::Handle>,
}

impl Runtime {
    /// That in which this is called.
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(feature = "tokio")]
            handle: tokio::runtime::Handle::try_current().ok(),
        }
    }

    /// Runs `body` in it.
    #[cfg_attr(not(feature = "tokio"), allow(clippy::unused_self, reason = "there is no runtime"))]
    pub(crate) fn enter<R>(&self, body: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tokio")]
        let _entered = self.handle.as_ref().map(tokio::runtime::Handle::enter);
        body()
    }

    /// Runs a future; if what it runs on has ended, it is dropped.
    #[cfg_attr(not(feature = "tokio"), allow(clippy::unused_self, reason = "there is no runtime"))]
    pub(crate) fn spawn(&self, pool: &Arc<dyn Pool>, future: impl Future<Output = ()> + Send + 'static) {
        #[cfg(feature = "tokio")]
        if let Some(handle) = &self.handle {
            return drop(handle.spawn(future));
        }
        let pool = Arc::clone(pool);
        let schedule = move |runnable: async_task::Runnable| {
            pool.run(Box::new(move || {
                runnable.run();
            }));
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        task.detach();
        runnable.schedule();
    }
}

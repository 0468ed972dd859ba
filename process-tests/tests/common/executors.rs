//! The executors on which async calls are tried.

use std::{future::Future, pin::Pin, sync::Arc};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a test runs, and its tasks.
#[derive(Clone)]
pub(crate) enum Executor {
    /// Smol's own threads.
    Smol,
    /// One thread that does nothing but poll: no reactor, no timers.
    Bare(Arc<smol::Executor<'static>>),
    #[cfg(feature = "tokio")]
    Tokio,
}

impl Executor {
    /// Runs `future` beside the others; what it gives.
    pub(crate) fn spawn<R: Send + 'static, F: Future<Output = R> + Send + 'static>(
        &self,
        future: F,
    ) -> impl Future<Output = R> + Send + use<R, F> {
        let (sender, receiver) = smol::channel::bounded(1);
        let job: Job = Box::pin(async move {
            // Nobody may wait for it any more.
            let _ = sender.send(future.await).await;
        });
        match self {
            Self::Smol => smol::spawn(job).detach(),
            Self::Bare(executor) => executor.spawn(job).detach(),
            #[cfg(feature = "tokio")]
            Self::Tokio => drop(tokio::spawn(job)),
        }
        async move { receiver.recv().await.expect("the task ends") }
    }
}

/// Runs `test` on every executor, one after the other.
pub(crate) fn on_each_executor<F: Future<Output = ()> + Send + 'static>(test: impl Fn(Executor) -> F) {
    smol::block_on(test(Executor::Smol));
    let bare = Arc::new(smol::Executor::new());
    smol::future::block_on(bare.run(test(Executor::Bare(Arc::clone(&bare)))));
    #[cfg(feature = "tokio")]
    for mut builder in [tokio::runtime::Builder::new_multi_thread(), tokio::runtime::Builder::new_current_thread()] {
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(test(Executor::Tokio));
    }
}

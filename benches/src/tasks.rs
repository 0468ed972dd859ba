//! Calls asynchronous plugins, from tasks.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Result,
    contenders::Running,
    load::{Next, Watch, check},
    order::{Load, Sample},
};

/// What tasks call through: a clone each.
pub(crate) trait Client: Clone + Send + 'static {
    /// Has `payload` sent back; gives its size.
    fn echo(&self, payload: Bytes) -> impl Future<Output = Result<usize>> + Send;

    /// Has the plugin sleep.
    fn sleep(&self, millis: u64) -> impl Future<Output = Result<()>> + Send;
}

/// A plugin called by the tasks of a runtime of one thread, as its users mostly have it when it is fast.
pub(crate) struct Tasks<C, P> {
    pub(crate) runtime: Runtime,
    pub(crate) client: C,
    /// What ends the plugin when it is dropped.
    pub(crate) _plugin: P,
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

impl<C: Client, P> Running for Tasks<C, P> {
    fn greet(&self) -> Result<()> {
        self.runtime.block_on(self.client.echo(Bytes::new())).map(drop)
    }

    fn load(&self, load: &Load) -> Result<Sample> {
        self.runtime.block_on(call_from_tasks(self.client.clone(), *load))
    }
}

async fn call_from_tasks<C: Client>(client: C, load: Load) -> Result<Sample> {
    let payload = Bytes::from(vec![0x5a; load.payload]);
    let done = Arc::new(AtomicBool::new(false));
    let neighbour = tokio::spawn(disturb(client.clone(), load.neighbour_millis, done.clone()));
    let start = Instant::now();
    let mut times = Vec::new();
    if load.callers == 1 {
        times = call(client, load, payload).await?;
    } else {
        let callers: Vec<_> =
            (0..load.callers).map(|_| tokio::spawn(call(client.clone(), load, payload.clone()))).collect();
        for caller in callers {
            times.append(&mut caller.await??);
        }
    }
    let sample = Sample::new(times, start.elapsed());
    done.store(true, Relaxed);
    neighbour.await??;
    Ok(sample)
}

async fn call<C: Client>(client: C, load: Load, payload: Bytes) -> Result<Vec<u64>> {
    let mut watch = Watch::start(&load);
    loop {
        check(client.echo(payload.clone()).await?, payload.len())?;
        match watch.lap() {
            Next::Call => {}
            Next::Pause(time) => {
                tokio::time::sleep(time).await;
                watch.resume();
            }
            Next::Stop => return Ok(watch.into_times()),
        }
    }
}

async fn disturb<C: Client>(client: C, millis: u64, done: Arc<AtomicBool>) -> Result<()> {
    while millis > 0 && !done.load(Relaxed) {
        client.sleep(millis).await?;
    }
    Ok(())
}

//! The async plugin that does what it is told.
#![allow(clippy::exit, reason = "that is what it is told")]

use std::{
    collections::HashSet,
    fs::OpenOptions,
    future::poll_fn,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use plugin_core::{Call, Error, Result, plugin_interface};
use process_tests::Nimble;

#[derive(Default)]
struct Real {
    gates: Mutex<Gates>,
    begun: AtomicU64,
    dropped: AtomicU64,
    noted: Mutex<Vec<u64>>,
}

/// Set when the runtime in which the plugin is served is to end.
static RUNTIME_IS_OVER: Mutex<Over> = Mutex::new(Over { is_over: false, waiting: None });

struct Over {
    is_over: bool,
    waiting: Option<Waker>,
}

#[derive(Default)]
struct Gates {
    open: HashSet<String>,
    waiting: Vec<Waker>,
}

/// Counts the calls that begin, and those that are dropped before they end.
struct Counted<'a> {
    dropped: Option<&'a AtomicU64>,
}

impl Counted<'_> {
    fn finish(mut self) {
        self.dropped = None;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Real {
    fn count(&self) -> Counted<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Counted { dropped: Some(&self.dropped) }
    }
}

#[plugin_interface]
impl Nimble for Real {
    fn add(&self, a: u64, b: u64) -> Result<u64> {
        Ok(a + b)
    }

    async fn add_async(&self, a: u64, b: u64) -> Result<u64> {
        Ok(a + b)
    }

    async fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        smol::future::yield_now().await;
        Ok(bytes.to_vec())
    }

    async fn nap(&self, number: u64, milliseconds: u64) -> Result<u64> {
        smol::Timer::after(Duration::from_millis(milliseconds)).await;
        Ok(number)
    }

    #[cfg(feature = "tokio")]
    async fn nap_on_tokio(&self, number: u64, milliseconds: u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        // As deep in its runtime as any task.
        let slept = tokio::spawn(async move { number }).await;
        slept.map_err(|error| Error::custom(error.to_string()))
    }

    #[cfg(not(feature = "tokio"))]
    async fn nap_on_tokio(&self, _number: u64, _milliseconds: u64) -> Result<u64> {
        Err(Error::custom("this plugin was built without tokio"))
    }

    async fn wait(&self, number: u64, gate: &str) -> Result<u64> {
        let counted = self.count();
        poll_fn(|context| {
            let mut gates = self.gates.lock().expect("nobody panics");
            if gates.open.contains(gate) {
                return Poll::Ready(());
            }
            gates.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
        counted.finish();
        Ok(number)
    }

    fn open(&self, gate: &str) -> Result<()> {
        let waiting = {
            let mut gates = self.gates.lock().expect("nobody panics");
            gates.open.insert(gate.into());
            std::mem::take(&mut gates.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        Ok(())
    }

    async fn linger(&self, awaits: u32) -> Result<()> {
        let _counted = self.count();
        for _ in 0..awaits {
            smol::future::yield_now().await;
        }
        std::future::pending().await
    }

    fn lingered(&self) -> Result<(u64, u64)> {
        Ok((self.begun.load(Ordering::SeqCst), self.dropped.load(Ordering::SeqCst)))
    }

    async fn step(&self, awaits: u32) -> Result<u32> {
        let counted = self.count();
        for _ in 0..awaits {
            smol::future::yield_now().await;
        }
        counted.finish();
        Ok(awaits)
    }

    async fn record(&self, number: u64) -> Result<u64> {
        smol::future::yield_now().await;
        self.record_at_once(number)
    }

    fn record_at_once(&self, number: u64) -> Result<u64> {
        let mut noted = self.noted.lock().expect("nobody panics");
        noted.push(number);
        Ok(noted.len() as u64 - 1)
    }

    fn sleep(&self, milliseconds: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(milliseconds));
        Ok(())
    }

    async fn remaining_deeper(&self) -> Result<(Option<u64>, bool)> {
        let program = std::env::current_exe().map_err(|error| Error::custom(error.to_string()))?;
        let deeper = plugin_core::connect_async::<dyn Nimble>(program).await?;
        smol::future::yield_now().await;
        deeper.remaining().await
    }

    fn end_runtime(&self) -> Result<()> {
        let waiting = {
            let mut over = RUNTIME_IS_OVER.lock().expect("nobody panics");
            over.is_over = true;
            over.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Ok(())
    }

    async fn block(&self, milliseconds: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(milliseconds));
        Ok(())
    }

    async fn panic_later(&self, message: &str) -> Result<()> {
        smol::future::yield_now().await;
        panic!("{message}")
    }

    async fn remaining(&self) -> Result<(Option<u64>, bool)> {
        smol::Timer::after(Duration::from_millis(1)).await;
        let call = Call::current();
        let left = call.remaining().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Ok((left, call.is_cancelled()))
    }

    async fn note_twice(&self, number: u64) -> Result<()> {
        self.noted.lock().expect("nobody panics").push(number);
        smol::Timer::after(Duration::from_millis(1)).await;
        self.noted.lock().expect("nobody panics").push(number);
        Ok(())
    }

    fn noted(&self) -> Result<Vec<u64>> {
        Ok(self.noted.lock().expect("nobody panics").clone())
    }

    async fn perform(&self, journal: &str) -> Result<usize> {
        let failed = |error: std::io::Error| Error::custom(error.to_string());
        let mut file = OpenOptions::new().create(true).append(true).open(journal).map_err(failed)?;
        file.write_all(b"run\n").map_err(failed)?;
        let runs = std::fs::read_to_string(journal).map_err(failed)?.lines().count();
        smol::future::yield_now().await;
        if runs == 1 {
            std::process::exit(3);
        }
        Ok(runs)
    }

    async fn exit(&self, code: i32) -> Result<()> {
        smol::future::yield_now().await;
        std::process::exit(code)
    }
}

fn main() -> Result<()> {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = std::env::var("NIMBLE_RUNTIME") {
        return serve_in(&runtime);
    }
    plugin_core::serve::<dyn Nimble>(Real::default())
}

/// Serves in a runtime of its own.
#[cfg(feature = "tokio")]
fn serve_in(runtime: &str) -> Result<()> {
    use tokio::runtime::Builder;
    let mut builder = if runtime == "multi" { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = builder.enable_all().build().map_err(|error| Error::custom(error.to_string()))?;
    let mut serving = Box::pin(plugin_core::serve_async::<dyn Nimble>(Real::default()));
    let over = poll_fn(|context| {
        let mut over = RUNTIME_IS_OVER.lock().expect("nobody panics");
        over.waiting = Some(context.waker().clone());
        if over.is_over { Poll::Ready(None) } else { Poll::Pending }
    });
    let served = runtime.block_on(smol::future::or(async { Some((&mut serving).await) }, over));
    served.unwrap_or_else(|| {
        drop(runtime);
        smol::future::block_on(serving)
    })
}

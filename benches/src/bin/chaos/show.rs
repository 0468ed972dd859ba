//! Watching a run: a bar for those who wait, and an end for one that hangs.

use std::{
    panic::resume_unwind,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use process_tests::chaos::Progress;

/// If no call ends for so long, something hangs: a call that finds no plugin fails long before.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Runs `body` beside a bar that shows how far `faults` are from `wanted`; ends this program if no call ends any more.
pub(crate) fn show<R: Send>(
    name: &'static str,
    wanted: u64,
    faults: &AtomicU64,
    progress: &Progress,
    body: impl FnOnce() -> R + Send,
) -> R {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {msg} calls, {elapsed}");
    let bar = ProgressBar::new(wanted).with_prefix(name);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (done, over) = channel::<()>();
    let result = thread::scope(|scope| {
        let running = scope.spawn(move || {
            // Dropped at the end, also by a panic: then the waiting below ends.
            let _done = done;
            body()
        });
        let mut last = (0, Instant::now());
        while over.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let calls = progress.calls.load(Relaxed);
            bar.set_position(faults.load(Relaxed));
            bar.set_message(calls.to_string());
            if calls != last.0 {
                last = (calls, Instant::now());
            } else if last.1.elapsed() > PATIENCE {
                give_up(name, calls);
            }
        }
        running.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    bar.finish_and_clear();
    result
}

#[expect(clippy::print_stderr, clippy::exit, reason = "nothing that hangs can be waited for")]
fn give_up(name: &str, calls: u64) -> ! {
    eprintln!("{name}: no call has ended for {PATIENCE:?}, after {calls} calls: it hangs");
    std::process::exit(2)
}

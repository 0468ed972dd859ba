//! Ending a test that hangs, and waiting for what must come about.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Runs `body`; if it has not ended after `seconds`, ends the whole test process with a message.
///
/// # Panics
/// When `body` does.
pub fn watchdog<R>(seconds: u64, body: impl FnOnce() -> R) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            #[expect(clippy::print_stderr, reason = "nothing else would tell why the process ends")]
            {
                eprintln!("watchdog: {name} hangs after {seconds} s");
            }
            std::process::abort();
        }
    });
    let result = body();
    drop(done);
    result
}

/// Waits until `condition` holds; `false` if it did not within `limit`.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

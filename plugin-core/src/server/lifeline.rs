//! Noticing that the host is gone, however it ended.
//!
//! The plugin's standard input is a pipe whose other end only the host holds. The operating system closes it with the
//! host's process, SIGKILL included, and the read here ends. (`PR_SET_PDEATHSIG` would follow the thread that spawned the
//! plugin, and exists on Linux alone.)

use std::{io::Read, sync::Arc, thread, time::Duration};

use super::{
    serve::GRACE,
    stop::{Stop, StopReason},
};

/// How long, after the handlers' grace, dropping values and unwinding `main` may take before the process is killed.
const UNWIND_LIMIT: Duration = Duration::from_millis(300);

/// Starts the thread that watches the host.
pub(super) fn watch(stop: &Arc<Stop>) {
    let stop = Arc::clone(stop);
    let watched = thread::Builder::new().name("plugin-core lifeline".into()).spawn(move || {
        wait_for_end_of_input();
        stop.request(StopReason::HostGone);
        // `serve` returns and `main` unwinds meanwhile, and with `main` this thread ends.
        thread::sleep(GRACE + UNWIND_LIMIT);
        end_now();
    });
    if let Err(error) = watched {
        // Without the lifeline the end of the connection still ends the plugin.
        tracing::warn!(%error, "the host's end will be noticed by the connection only");
    }
}

fn wait_for_end_of_input() {
    let mut input = std::io::stdin();
    let mut ignored = [0; 64];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

/// Sees to it that whatever else the plugin started ends with it, once nobody is left to see to that from outside.
#[cfg(unix)]
pub(super) fn end_group_at_exit() {
    extern "C" fn end_group() {
        if leads_group() && is_host_gone() {
            // Kills this process too, which is past its last line.
            let _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
        }
    }
    // SAFETY: `end_group` is an `extern "C"` function that does not unwind, touches no Rust state that could be gone by
    // then, and makes four system calls that are allowed in exit handlers.
    #[expect(unsafe_code, reason = "there is no safe way to register an exit handler")]
    let refused = unsafe { libc::atexit(end_group) };
    if refused != 0 {
        tracing::warn!("processes started by this plugin may outlive it");
    }
}

/// Whether the other end of the lifeline is closed, without waiting for it.
#[cfg(unix)]
fn is_host_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let input = rustix::stdio::stdin();
    let mut lifeline = [PollFd::new(&input, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut lifeline, Some(&now)).is_ok() && lifeline[0].revents().contains(PollFlags::HUP)
}

#[cfg(unix)]
fn leads_group() -> bool {
    rustix::process::getpgrp() == rustix::process::getpid()
}

#[cfg(unix)]
fn end_now() {
    use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
    // Neither can fail: one may always signal oneself.
    let _ = if leads_group() { kill_current_process_group(Signal::KILL) } else { kill_process(getpid(), Signal::KILL) };
}

/// The host's job object ends everything that the plugin started.
#[cfg(windows)]
pub(super) fn end_group_at_exit() {}

#[cfg(windows)]
#[expect(clippy::exit, reason = "the host is gone and the plugin did not end in time")]
fn end_now() {
    std::process::exit(1)
}

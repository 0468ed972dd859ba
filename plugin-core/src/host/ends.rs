//! Waiting for the ends of processes.
//!
//! Where the operating system tells that a process has ended as it tells that there is something to read, one thread waits for
//! all of them. What is done then may take a moment and runs users' code, so it has a thread of its own, which lives as long
//! as that takes. Elsewhere, and where that is refused, each process has its thread from the beginning.

use std::{io, thread};

/// Runs `wait`, which waits for the child process `pid` and goes on from there, on a thread of its own: if possible not before
/// it has ended.
pub(super) fn when_ended(pid: u32, wait: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let wait = match linux::watch(pid, Box::new(wait)) {
        Ok(()) => return Ok(()),
        Err(wait) => wait,
    };
    #[cfg(not(target_os = "linux"))]
    let _ = pid;
    spawn(wait)
}

fn spawn(wait: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("plugin-core wait".into()).spawn(wait).map(drop)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        os::fd::{AsFd, BorrowedFd, OwnedFd},
        sync::{Arc, Mutex},
    };

    use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

    use super::spawn;
    use crate::{
        connection::lock,
        host::attend::{self, Desk, Next, Source},
    };

    type Wait = Box<dyn FnOnce() + Send>;

    /// Has the process watched; gives `wait` back where that cannot be.
    pub(super) fn watch(pid: u32, wait: Wait) -> Result<(), Wait> {
        let Some(process) = open(pid) else { return Err(wait) };
        let left = Left(Arc::new(Mutex::new(Some(wait))));
        let attended = attend::attend(Ending { process, left });
        attended.map(drop).map_err(|refused| Box::new(move || refused.source.left.go_on()) as Wait)
    }

    /// A file of the child process that is ready to be read once it has ended.
    fn open(pid: u32) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // If somebody else reaps this host's children, it may be another's by now.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::PidFd(process.as_fd()), look).ok()?;
        Some(process)
    }

    /// What is left to do; shared, so that it is not lost where no thread can be had for it.
    #[derive(Clone)]
    struct Left(Arc<Mutex<Option<Wait>>>);

    impl Left {
        fn go_on(&self) {
            let wait = lock(&self.0).take();
            if let Some(wait) = wait {
                wait();
            }
        }
    }

    /// A process, and what is left to do at its end.
    struct Ending {
        process: OwnedFd,
        left: Left,
    }

    impl Source for Ending {
        fn file(&self) -> BorrowedFd<'_> {
            self.process.as_fd()
        }

        fn ready(&mut self, _desk: &mut Desk) -> Next {
            let left = self.left.clone();
            if spawn(move || left.go_on()).is_ok() { Next::Over } else { Next::Retry }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        process::{Command, Stdio},
        sync::mpsc::{RecvTimeoutError, channel},
        time::Duration,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn an_end_is_noticed_whether_it_is_to_come_or_has_been() {
        for has_ended in [false, true] {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let (pid, input) = (child.id(), child.stdin.take());
            let input = input.filter(|_| !has_ended);
            let (told, heard) = channel();
            when_ended(pid, move || told.send(child.wait().map(|status| status.success())).unwrap()).unwrap();
            let is_running = input.is_some();
            if is_running {
                assert!(matches!(heard.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout)));
            }
            drop(input);
            assert!(heard.recv_timeout(LONG).unwrap().unwrap());
        }
    }

    #[test]
    fn who_is_nobodys_child_is_waited_for_on_a_thread() {
        let (told, heard) = channel();
        // Waiting for it fails, which whoever waits has to hear.
        when_ended(std::process::id(), move || told.send(()).unwrap()).unwrap();
        heard.recv_timeout(LONG).unwrap();
    }
}

//! The operating system's process: started in a group of its own, signalled, and always reaped.

use std::{
    io,
    process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::Mutex,
};

use crate::connection::lock;

/// A child process until it is reaped.
#[derive(Debug)]
pub(super) struct Child {
    pid: u32,
    /// `None` once reaped: after that the process id may belong to somebody else, and nothing may be sent to it.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    process: std::process::Child,
    /// The writing end of the plugin's standard input. Nothing is ever written: its closing is the message.
    _lifeline: Option<ChildStdin>,
    #[cfg(windows)]
    job: super::job::Job,
}

/// A child just started, with the ends of its output.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// Starts `command` with its standard streams connected to this host.
pub(super) fn start(command: &mut Command) -> io::Result<Started> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // In a group of its own, so that a Ctrl-C in the host's terminal does not reach it, and that what it starts can be
    // ended along with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    let job = super::job::Job::new()?;
    let mut process = command.spawn()?;
    #[cfg(windows)]
    if let Err(error) = job.assign(&process) {
        let _ = process.kill();
        let _ = process.wait();
        return Err(error);
    }
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let running = Running {
        _lifeline: process.stdin.take(),
        #[cfg(windows)]
        job,
        process,
    };
    let pid = running.process.id();
    Ok(Started { child: Child { pid, running: Mutex::new(Some(running)) }, stdout, stderr })
}

impl Child {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the process and what it started to end.
    pub(super) fn terminate(&self) {
        if let Some(running) = &mut *lock(&self.running) {
            running.terminate();
        }
    }

    /// Ends the process and what it started.
    pub(super) fn kill(&self) {
        if let Some(running) = &mut *lock(&self.running) {
            running.kill();
        }
    }
}

#[cfg(unix)]
impl Child {
    /// Waits for the process to end, ends what it left running in its group, and reaps it.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        // Without reaping: while the dead process still has its id, the id and the group's cannot be reused.
        while let Err(error) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            if error != rustix::io::Errno::INTR {
                // Somebody else has reaped it: from here on its id may be anybody's.
                lock(&self.running).take();
                return Err(error.into());
            }
        }
        let mut place = lock(&self.running);
        let Some(mut running) = place.take() else { return Err(io::ErrorKind::NotFound.into()) };
        running.kill();
        running.process.wait()
    }
}

#[cfg(unix)]
impl Running {
    fn terminate(&mut self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Fails only where nobody of the group is left, which is what was wanted.
    fn signal(&self, signal: rustix::process::Signal) {
        use rustix::process::{Pid, kill_process, kill_process_group};
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, signal);
            // By itself too: it may have moved to another group.
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(windows)]
impl Child {
    /// Waits for the process to end, and ends what it left running.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        // The standard library's wait needs the child for itself, and `kill` needs it meanwhile: so look now and then.
        loop {
            {
                let mut place = lock(&self.running);
                let Some(running) = &mut *place else { return Err(io::ErrorKind::NotFound.into()) };
                if let Some(status) = running.process.try_wait()? {
                    running.kill();
                    *place = None;
                    return Ok(status);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[cfg(windows)]
impl Running {
    /// There is no gentler way that reaches a process without a window or console.
    fn terminate(&mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        self.job.terminate();
    }
}

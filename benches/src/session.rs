//! A host process that does what it is told.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use crate::{
    Result,
    contenders::{Contender, Program},
    order::{Order, Sample},
    system,
    workload::Regime,
};

/// The longest that a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A host of one contender, with all that it has started. It ends when this is dropped.
pub(crate) struct Session {
    host: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Session {
    /// Starts the host of `contender`; `go` is the program of those that are written in Go.
    pub(crate) fn open(contender: &Contender, regime: Regime, go: Option<&Path>) -> Result<Self> {
        let mut command = match contender.program {
            Program::Here { .. } => Command::new(env::current_exe()?),
            Program::Go(_) => Command::new(go.ok_or("Go is missing")?),
        };
        let name = match contender.program {
            Program::Here { .. } => contender.name,
            Program::Go(name) => name,
        };
        command.args(["host", name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        system::lead_group(&mut command);
        let mut host = match (regime, system::cpus().last()) {
            (Regime::Pinned, Some(&cpu)) => system::spawn_pinned(&mut command, cpu)?,
            (Regime::Pinned, None) => return Err("processes cannot be pinned to a CPU here".into()),
            (Regime::Unpinned | Regime::Busy, _) => command.spawn()?,
        };
        let (orders, output) = (host.stdin.take(), host.stdout.take().ok_or("the host has no standard output")?);
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || BufReader::new(output).lines().map_while(|line| sender.send(line.ok()?).ok()).count());
        Ok(Self { host, orders, answers })
    }

    /// Has the host do something, and waits until it is done.
    pub(crate) fn order(&mut self, order: &Order) -> Result<Sample> {
        let orders = self.orders.as_mut().ok_or("the host's standard input is closed")?;
        writeln!(orders, "{}", serde_json::to_string(order)?)?;
        let answer =
            self.answers.recv_timeout(PATIENCE).map_err(|error| format!("the host did not answer: {error}"))?;
        let sample: Sample = serde_json::from_str(&answer)?;
        match sample.error {
            Some(error) => Err(error.into()),
            None => Ok(sample),
        }
    }

    /// The host's process.
    pub(crate) fn process(&self) -> u32 {
        self.host.id()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It ends its plugins when its standard input ends, and its output ends with it.
        self.orders = None;
        while self.answers.recv_timeout(Duration::from_secs(20)).is_ok() {}
        // Not every system's plugins end when their host is killed.
        let _ = self.host.kill();
        system::kill_group(&self.host);
        let _ = self.host.wait();
    }
}

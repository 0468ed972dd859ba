//! Processes that keep the CPUs busy.

use std::{
    env, hint,
    io::{self, Read},
    process::{Child, Command, Stdio},
    thread,
};

use benches::machine;

use crate::{Result, system};

/// Two busy processes for each CPU, until this is dropped.
pub(crate) struct Busy(Vec<Child>);

impl Busy {
    pub(crate) fn start() -> Result<Self> {
        let program = env::current_exe()?;
        let command = || {
            let mut command = Command::new(&program);
            command.arg("spin").stdin(Stdio::piped());
            command
        };
        let cpus = system::cpus();
        let mut busy = Self(Vec::new());
        for process in 0..2 * machine::cpus() {
            // Where they cannot be pinned, the system spreads them.
            let child = match cpus.get(process % machine::cpus()) {
                Some(&cpu) => system::spawn_pinned(&mut command(), cpu)?,
                None => command().spawn()?,
            };
            busy.0.push(child);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Is busy until standard input ends: when whoever started it is gone.
pub(crate) fn spin() -> Result<()> {
    thread::spawn(|| {
        loop {
            hint::spin_loop();
        }
    });
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

//! The plugin that does what it is told.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "that is what it is told")]

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use plugin_core::{Error, Result};
use process_tests::{Other, Probe, ProbeError, Record};

struct Real;

static RECORDED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

impl Probe for Real {
    fn add(&self, a: u64, b: u64) -> Result<u64> {
        a.checked_add(b).ok_or_else(|| Error::custom("the sum is too large"))
    }

    fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }

    fn produce(&self, length: usize) -> Result<Vec<u8>> {
        Ok(vec![7; length])
    }

    fn measure(&self, bytes: Vec<u8>) -> Result<usize> {
        Ok(bytes.len())
    }

    fn check(&self, record: Record) -> Result<Record, ProbeError> {
        match record.parts.iter().position(|part| part.name.is_empty()) {
            Some(part) => Err(ProbeError::Nameless { part }),
            None => Ok(record),
        }
    }

    fn fail(&self, message: &str) -> Result<()> {
        Err(Error::custom(message))
    }

    fn sleep(&self, milliseconds: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(milliseconds));
        Ok(())
    }

    fn hang(&self) -> Result<()> {
        self.hang_forever()
    }

    fn hang_forever(&self) -> Result<()> {
        loop {
            thread::park();
        }
    }

    fn work(&self, number: u64) -> Result<()> {
        let call = plugin_core::Call::current();
        while !call.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        self.record(number)?;
        Ok(())
    }

    fn describe(&self) -> Result<String> {
        Ok("the probe's own".into())
    }

    fn panic(&self, message: &str) -> Result<()> {
        panic!("{message}")
    }

    fn exit(&self, code: i32, last_words: &str) -> Result<()> {
        eprintln!("{last_words}");
        std::process::exit(code)
    }

    fn print(&self, length: usize) -> Result<()> {
        let text = vec![b'x'; length];
        std::io::stdout().write_all(&text).and_then(|()| std::io::stdout().flush()).map_err(Error::custom)?;
        std::io::stderr().write_all(&text).map_err(Error::custom)
    }

    fn say(&self, stdout: &str, stderr: &str) -> Result<()> {
        println!("{stdout}");
        eprintln!("{stderr}");
        Ok(())
    }

    fn spawn(&self) -> Result<u32> {
        let program = std::env::current_exe().map_err(Error::custom)?;
        let child = Command::new(program).arg("--sleep").stdin(Stdio::null()).spawn().map_err(Error::custom)?;
        Ok(child.id())
    }

    fn variable(&self, name: &str) -> Result<Option<String>> {
        Ok(std::env::var(name).ok())
    }

    fn call_back_limit(&self) -> Result<u64> {
        let inner = plugin_core::in_process::<dyn Probe>(Real)?;
        let began = Instant::now();
        match inner.hang_forever() {
            Err(Error::Timeout { .. }) => self.record(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
            other => Err(Error::custom(format!("{other:?}"))),
        }
    }

    fn record(&self, number: u64) -> Result<u64> {
        let mut recorded = RECORDED.lock().map_err(Error::custom)?;
        recorded.push(number);
        Ok(recorded.len() as u64 - 1)
    }

    fn record_and_sleep(&self, number: u64, milliseconds: u64) -> Result<()> {
        self.record(number)?;
        self.sleep(milliseconds)
    }

    fn recorded(&self) -> Result<Vec<u64>> {
        Ok(RECORDED.lock().map_err(Error::custom)?.clone())
    }

    fn nested_timeout(&self) -> Result<()> {
        plugin_core::in_process::<dyn Probe>(Real)?.hang()
    }
}

impl Other for Real {
    fn other(&self, text: &str) -> Result<String> {
        Ok(text.to_owned())
    }
}

/// Leaves a file behind when the plugin ends in an orderly way.
impl Drop for Real {
    fn drop(&mut self) {
        if let Some(path) = std::env::var_os("PROBE_DROPPED") {
            let _ = std::fs::write(path, "dropped");
        }
    }
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--sleep") {
        // Long enough to be found by a test, short enough to forgive one that fails.
        thread::sleep(Duration::from_secs(60));
        return Ok(());
    }
    if std::env::var_os("PROBE_STUBBORN").is_some() {
        // Neither goodbye nor the end of `main` ends it.
        let _ = plugin_core::Server::new().with::<dyn Probe>(Real).with::<dyn Other>(Real).serve();
        thread::sleep(Duration::from_secs(60));
    }
    plugin_core::Server::new().with::<dyn Probe>(Real).with::<dyn Other>(Real).serve()
}

//! The plugin that does what it is told.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "that is what it is told")]

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use plugin_core::{Error, Result};
use process_tests::{Other, Probe, ProbeError, Record};

struct Real;

static RECORDED: Mutex<Vec<u64>> = Mutex::new(Vec::new());
/// Signalled when another is recorded.
static ANOTHER: Condvar = Condvar::new();
static RELEASED: Mutex<bool> = Mutex::new(false);
static RELEASE: Condvar = Condvar::new();

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
        ANOTHER.notify_all();
        Ok(recorded.len() as u64 - 1)
    }

    fn record_and_sleep(&self, number: u64, milliseconds: u64) -> Result<()> {
        self.record(number)?;
        self.sleep(milliseconds)
    }

    fn recorded(&self) -> Result<Vec<u64>> {
        Ok(RECORDED.lock().map_err(Error::custom)?.clone())
    }

    fn note(&self, number: u64) -> Result<()> {
        self.record(number).map(drop)
    }

    fn note_with(&self, number: u64, bytes: &[u8], length: usize) -> Result<(), ProbeError> {
        if bytes.len() != length {
            return Err(ProbeError::Nameless { part: bytes.len() });
        }
        Ok(self.note(number)?)
    }

    fn hold(&self, number: u64) -> Result<()> {
        let call = plugin_core::Call::current();
        let mut released = RELEASED.lock().map_err(Error::custom)?;
        while !*released && !call.is_cancelled() {
            released = RELEASE.wait_timeout(released, Duration::from_millis(1)).map_err(Error::custom)?.0;
        }
        *released = false;
        drop(released);
        self.note(number)
    }

    fn release(&self) -> Result<()> {
        *RELEASED.lock().map_err(Error::custom)? = true;
        RELEASE.notify_all();
        Ok(())
    }

    fn panic_in_turn(&self, message: &str) -> Result<()> {
        panic!("{message}")
    }

    fn note_remaining(&self) -> Result<()> {
        let remaining = plugin_core::Call::current().remaining();
        self.note(remaining.map_or(u64::MAX, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }

    fn say_in_turn(&self, text: &str) -> Result<()> {
        println!("{text}");
        Ok(())
    }

    fn recorded_at_last(&self, count: usize) -> Result<Vec<u64>> {
        let recorded = RECORDED.lock().map_err(Error::custom)?;
        let left = plugin_core::Call::current().remaining().unwrap_or_default();
        let waited = ANOTHER.wait_timeout_while(recorded, left, |recorded| recorded.len() < count);
        Ok(waited.map_err(Error::custom)?.0.clone())
    }

    fn perform(&self, journal: &str, script: &str) -> Result<usize> {
        let number = note(journal).map_err(Error::custom)?;
        match script.split_whitespace().take(number).last() {
            Some("exit") => self.exit(7, &format!("run {number} ends here"))?,
            Some("fail") => self.fail("as the script says")?,
            Some("hang") => self.hang_forever()?,
            Some("panic") => self.panic("as the script says")?,
            _ => {}
        }
        Ok(number)
    }

    fn perform_once(&self, journal: &str, script: &str) -> Result<usize> {
        self.perform(journal, script)
    }

    #[cfg(unix)]
    fn system_calls(&self) -> Result<[u64; 3]> {
        Ok(process_tests::system_calls())
    }

    fn nested_timeout(&self) -> Result<()> {
        plugin_core::in_process::<dyn Probe>(Real)?.hang()
    }
}

/// Adds a line to a file; how many there are now.
fn note(journal: &str) -> std::io::Result<usize> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(journal)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(std::fs::read_to_string(journal)?.lines().count())
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
    if std::env::var_os("PROBE_SLOW").is_some() {
        thread::sleep(Duration::from_millis(400));
    }
    if std::env::var_os("PROBE_STUBBORN").is_some() {
        // Neither goodbye nor the end of `main` ends it.
        let _ = plugin_core::Server::new().with::<dyn Probe>(Real).with::<dyn Other>(Real).serve();
        thread::sleep(Duration::from_secs(60));
    }
    plugin_core::Server::new().with::<dyn Probe>(Real).with::<dyn Other>(Real).serve()
}

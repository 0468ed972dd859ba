//! The machine that figures come from: without it they mean nothing.

use std::{fmt, fs, process::Command, thread};

/// What figures depend on, as far as it can be found out. Its [`Display`](fmt::Display) is a Markdown list.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// How many CPUs this process may use.
    pub cpus: usize,
    /// Total memory, in bytes; 0 if unknown.
    pub memory: u64,
    /// The operating system and its version.
    pub system: String,
    /// The compiler of this program.
    pub compiler: &'static str,
    /// The day, in UTC.
    pub date: String,
    /// The load averages of the last 1, 5 and 15 minutes, taken when this value was made.
    pub load: String,
}

impl Machine {
    /// Describes this machine, now.
    ///
    /// ```
    /// let machine = benches::machine::Machine::describe();
    /// assert!(machine.cpus >= 1);
    /// println!("{machine}");
    /// ```
    pub fn describe() -> Self {
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into()),
            cpus: cpus(),
            memory: field("/proc/meminfo", "MemTotal").map_or(0, |size| kibibytes(&size)),
            system: system(),
            compiler: env!("BENCHES_RUSTC"),
            date: time::OffsetDateTime::now_utc().date().to_string(),
            load: load(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- Processor: {}, {} CPUs", self.cpu, self.cpus)?;
        if self.memory > 0 {
            writeln!(f, "- Memory: {} MiB", self.memory >> 20)?;
        }
        writeln!(f, "- System: {}", self.system)?;
        writeln!(f, "- Compiler: {}", self.compiler)?;
        writeln!(f, "- Date: {} (UTC)", self.date)?;
        writeln!(f, "- Load averages at the start: {}", self.load)
    }
}

/// How many CPUs this process may use.
pub fn cpus() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The value of the first line `name: value` of a file of `/proc`.
pub fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What `123 kB` is in bytes; 0 if it is something else.
pub fn kibibytes(size: &str) -> u64 {
    size.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).map_or(0, |number| number << 10)
}

fn system() -> String {
    let output = Command::new("uname").arg("-srm").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if said.is_empty() { std::env::consts::OS.into() } else { said }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<_> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { "unknown".into() } else { averages.join(", ") }
}

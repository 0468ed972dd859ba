//! How a plugin's process ended.

use std::{fmt, process::ExitStatus};

/// How a plugin's process ended, and what it printed last.
///
/// Returned by [`Process::shutdown`](crate::Process::shutdown) and carried by the errors of calls that a death cut short.
#[derive(Debug, Clone, Default)]
pub struct ExitReport {
    status: Option<ExitStatus>,
    stderr: String,
}

impl ExitReport {
    pub(crate) fn new(status: Option<ExitStatus>, stderr: String) -> Self {
        Self { status, stderr }
    }

    /// The exit status; `None` where there is no process of ours to have one (attached and in-process plugins) or it is
    /// not known yet.
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// The end of what it printed to stderr, at most 64 KiB.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The last lines of stderr for an error message.
    pub(crate) fn quoted(&self) -> String {
        const LINES: usize = 10;
        const WIDTH: usize = 400;
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let shown: Vec<String> = last.iter().map(|line| line.chars().take(WIDTH).collect()).collect();
        format!("; its stderr ends with:\n  {}", shown.join("\n  "))
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("exit status unknown")?,
        }
        f.write_str(&self.quoted())
    }
}

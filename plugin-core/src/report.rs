//! How a plugin's process ended.

use std::{fmt, process::ExitStatus};

/// How a plugin's process ended, and what it printed last.
///
/// Returned by [`Process::shutdown`](crate::Process::shutdown) and carried by the errors of calls that a death cut short.
///
/// ```
/// # #[plugin_core::plugin_interface]
/// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
/// # struct Exact;
/// # impl Adder for Exact {
/// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
/// # }
/// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
/// let report = plugin_core::Plugin::process(&adder).shutdown()?;
/// assert!(report.status().is_none() && report.output().is_empty(), "there is no process of its own");
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// Displayed, it is the exit status and, unless that is success, the last ten lines of the output, without backtraces.
#[derive(Debug, Clone, Default)]
pub struct ExitReport {
    status: Option<ExitStatus>,
    output: String,
}

impl ExitReport {
    pub(crate) fn new(status: Option<ExitStatus>, output: String) -> Self {
        Self { status, output }
    }

    /// The exit status; `None` where there is no process of ours to have one (attached and in-process plugins) or it is
    /// not known yet.
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// The end of what it printed to standard error, at most 64 KiB; if that is nothing, of what it printed to standard
    /// output.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// The last lines of stderr for an error message.
    pub(crate) fn quoted(&self) -> String {
        const LINES: usize = 10;
        const WIDTH: usize = 400;
        let lines: Vec<&str> = without_backtraces(&self.output).collect();
        if lines.is_empty() {
            return String::new();
        }
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let shown: Vec<String> = last.iter().map(|line| line.chars().take(WIDTH).collect()).collect();
        format!("; its output ends with:\n  {}", shown.join("\n  "))
    }
}

/// The lines that say something: a backtrace would push out the message that it belongs to.
fn without_backtraces(text: &str) -> impl Iterator<Item = &str> {
    let mut is_in_backtrace = false;
    text.lines().filter(move |line| {
        is_in_backtrace = *line == "stack backtrace:" || (is_in_backtrace && line.starts_with(' '));
        let is_hint =
            line.starts_with("note: run with `RUST_BACKTRACE") || line.starts_with("note: Some details are omitted");
        !is_in_backtrace && !is_hint && !line.trim().is_empty()
    })
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) if status.success() => return write!(f, "{status}"),
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("exit status unknown")?,
        }
        f.write_str(&self.quoted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_does_not_push_out_the_message() {
        let mut output =
            String::from("starting\nthread 'main' panicked at src/main.rs:3:5:\nno config file\nstack backtrace:\n");
        output += &"   7: std::something\n             at /rustc/library/std.rs:7:1\n".repeat(50);
        output +=
            "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\nlast line\n";
        let report = ExitReport::new(None, output);
        let expected = "exit status unknown; its output ends with:\n  starting\n  thread 'main' panicked at src/main.rs:3:5:\n  \
                        no config file\n  last line";
        assert_eq!(report.to_string(), expected);
    }
}

//! Where what a plugin prints goes: what users say and see of it.

use std::{fmt, sync::Arc};

/// Where a plugin's standard output and standard error go.
///
/// Lines end at `\n`; a line of more than 64 KiB comes in parts; bytes that are no UTF-8 are replaced. Whatever is chosen,
/// the plugin is never blocked by its printing, and the last 64 KiB of its standard error are kept for error messages. If
/// the lines are not taken as fast as they come, up to 1024 (and 8 MiB) wait, the rest are dropped, and a line says how many.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Output {
    /// To `tracing`, as events of level `INFO` and target `plugin_core::output` with the fields `plugin` and `stream`, if a
    /// global subscriber is set; else to the host's standard error, prefixed with the plugin's name. The default.
    ///
    /// Errors quote the last lines of standard error whatever is chosen, so a host that prints both shows them twice.
    #[default]
    Forward,
    /// Nowhere.
    Discard,
    /// To a function, which is called on a thread of its own. See [`Output::lines`].
    Lines(Arc<dyn Fn(&OutputLine<'_>) + Send + Sync>),
}

impl Output {
    /// Gives each line to `take`.
    ///
    /// ```
    /// use plugin_core::{Launcher, Output};
    ///
    /// let launcher = Launcher::new("target/debug/english")
    ///     .output(Output::lines(|line| println!("{} said on {}: {}", line.plugin, line.stream, line.text)));
    /// ```
    pub fn lines(take: impl Fn(&OutputLine<'_>) + Send + Sync + 'static) -> Self {
        Self::Lines(Arc::new(take))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "Forward",
            Self::Discard => "Discard",
            Self::Lines(_) => "Lines(..)",
        })
    }
}

/// A line that a plugin printed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OutputLine<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// Where it printed it.
    pub stream: OutputStream,
    /// The line, without its end.
    pub text: &'a str,
}

/// One of the two streams that a plugin prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for OutputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

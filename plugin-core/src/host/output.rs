//! What a plugin prints: read as fast as it comes, forwarded line by line, its end kept for error messages.
//!
//! Two threads per plugin read its pipes and never wait for anybody else, so that printing never blocks a plugin; handing the
//! lines on is another's work ([`forward`](super::forward)).

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::forward::{Forwarder, Line};
use crate::connection::lock;

/// How much of its end is kept for error messages, in bytes per stream.
const TAIL: usize = 64 * 1024;

/// A longer line is forwarded in parts of this many bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

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

/// The reading of one plugin's output.
#[derive(Debug)]
pub(super) struct Drains {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plugin: Arc<str>,
    tails: Mutex<Tails>,
    ended: Condvar,
    forwarder: Option<Arc<Forwarder>>,
    output: Output,
}

#[derive(Debug, Default)]
struct Tails {
    stdout: VecDeque<u8>,
    stderr: VecDeque<u8>,
    /// Streams still being read.
    open: usize,
}

impl Tails {
    fn of(&mut self, stream: OutputStream) -> &mut VecDeque<u8> {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

impl Drains {
    pub(super) fn new(plugin: Arc<str>, output: Output) -> Self {
        let forwarder = match output {
            Output::Discard => None,
            Output::Forward => Some(Forwarder::shared()),
            // A function that blocks must not hold up what other plugins print.
            Output::Lines(_) => Some(Forwarder::start()),
        };
        Self { shared: Arc::new(Shared { plugin, tails: Mutex::default(), ended: Condvar::new(), forwarder, output }) }
    }

    /// Reads `pipe` until it ends, on a thread of its own.
    pub(super) fn drain(&self, stream: OutputStream, pipe: impl io::Read + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        lock(&shared.tails).open += 1;
        let spawned = thread::Builder::new().name(format!("plugin-core {stream}")).spawn(move || {
            shared.read(stream, pipe);
            lock(&shared.tails).open -= 1;
            shared.ended.notify_all();
        });
        if spawned.is_err() {
            lock(&self.shared.tails).open -= 1;
        }
        spawned.map(drop)
    }

    /// Waits until both streams have ended and their lines are forwarded, but not past `limit`.
    ///
    /// A process that the plugin started and that outlives it holds the streams open: that is why there is a limit.
    pub(super) fn finish(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let tails = lock(&self.shared.tails);
        let waited = self.shared.ended.wait_timeout_while(tails, limit, |tails| tails.open > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        if let Some(forwarder) = &self.shared.forwarder {
            forwarder.flush(deadline.saturating_duration_since(Instant::now()));
        }
    }

    /// The end of what was printed to standard error, or where that is nothing, to standard output.
    pub(super) fn tail(&self) -> String {
        let mut tails = lock(&self.shared.tails);
        let stream = if tails.stderr.is_empty() { OutputStream::Stdout } else { OutputStream::Stderr };
        String::from_utf8_lossy(tails.of(stream).make_contiguous()).into_owned()
    }
}

impl Shared {
    fn read(&self, stream: OutputStream, mut pipe: impl io::Read) {
        let mut chunk = vec![0; 16 * 1024];
        let mut line = Vec::new();
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    self.keep(stream, &chunk[..count]);
                    self.split(stream, &chunk[..count], &mut line);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if !line.is_empty() {
            self.forward(stream, &line);
        }
    }

    fn keep(&self, stream: OutputStream, bytes: &[u8]) {
        let mut tails = lock(&self.tails);
        let tail = tails.of(stream);
        tail.extend(bytes);
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
    }

    /// Forwards the lines that end in `bytes`; `line` holds the one that has begun.
    fn split(&self, stream: OutputStream, bytes: &[u8], line: &mut Vec<u8>) {
        if self.forwarder.is_none() {
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() >= MAX_LINE {
                self.forward(stream, line);
                line.clear();
            }
        }
    }

    fn forward(&self, stream: OutputStream, line: &[u8]) {
        let Some(forwarder) = &self.forwarder else { return };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        forwarder.push(Line {
            plugin: Arc::clone(&self.plugin),
            stream,
            text: String::from_utf8_lossy(line).into_owned(),
            output: self.output.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(printed: &[u8]) -> (Vec<String>, String) {
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let output = Output::lines({
            let taken = Arc::clone(&taken);
            move |line| taken.lock().unwrap().push(line.text.to_owned())
        });
        let drains = Drains::new("test".into(), output);
        drains.drain(OutputStream::Stderr, io::Cursor::new(printed.to_vec())).unwrap();
        drains.finish(Duration::from_secs(20));
        let lines = taken.lock().unwrap().clone();
        (lines, drains.tail())
    }

    #[test]
    fn output_is_cut_into_lines() {
        let (lines, tail) = lines_of(b"one\r\ntwo\n\nlast");
        assert_eq!(lines, ["one", "two", "", "last"]);
        assert_eq!(tail, "one\r\ntwo\n\nlast");
    }

    #[test]
    fn an_endless_line_comes_in_parts_and_its_end_is_kept() {
        let (lines, tail) = lines_of(&vec![b'x'; 1 << 20]);
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), 1 << 20);
        assert!(lines.iter().all(|line| line.len() <= 2 * MAX_LINE));
        assert_eq!(tail.len(), TAIL);
    }
}

//! What a plugin prints: read as fast as it comes, forwarded line by line, its end kept for error messages.
//!
//! Whoever reads the pipes, one thread for all plugins where pipes can be waited for ([`attend`](super::attend)), never waits for
//! anybody else, so that printing never blocks a plugin; handing the lines on is another's work ([`forward`](super::forward)).

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Output, OutputStream,
    forward::{Forwarder, Line},
};
use crate::connection::lock;

/// How much of its end is kept for error messages, in bytes per stream.
const TAIL: usize = 64 * 1024;

/// A longer line is forwarded in parts of this many bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

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
    pub(super) fn new(plugin: Arc<str>, output: &Output) -> Self {
        let forwarder = match output {
            Output::Discard => None,
            Output::Forward => Some(Forwarder::shared()),
            // A function that blocks must not hold up what other plugins print.
            Output::Lines(_) => Some(Forwarder::new(output.clone())),
        };
        Self { shared: Arc::new(Shared { plugin, tails: Mutex::default(), ended: Condvar::new(), forwarder }) }
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
            forwarder.flush(deadline);
        }
    }

    /// The end of what was printed to standard error, or where that is nothing, to standard output.
    pub(super) fn tail(&self) -> String {
        let mut tails = lock(&self.shared.tails);
        let stream = if tails.stderr.is_empty() { OutputStream::Stdout } else { OutputStream::Stderr };
        String::from_utf8_lossy(tails.of(stream).make_contiguous()).into_owned()
    }
}

#[cfg(unix)]
impl Drains {
    /// Has `pipe` read until it ends.
    pub(super) fn drain(&self, stream: OutputStream, pipe: impl Into<std::os::fd::OwnedFd>) -> io::Result<()> {
        let pipe = pipe.into();
        // This end alone: the plugin's is another file, and waits as it always did.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let reading = Reading::begin(&self.shared, stream);
        super::attend::attend(Pipe { pipe, reading }).map(drop).map_err(|refused| refused.error)
    }
}

/// What a plugin prints to, and its reading.
#[cfg(unix)]
struct Pipe {
    pipe: std::os::fd::OwnedFd,
    reading: Reading,
}

#[cfg(unix)]
impl super::attend::Source for Pipe {
    fn file(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.pipe)
    }

    fn ready(&mut self, desk: &mut super::attend::Desk) -> super::attend::Next {
        use super::attend::Next;
        match rustix::io::read(&self.pipe, &mut desk.buffer[..]) {
            Ok(0) => Next::Over,
            Ok(count) => {
                self.reading.take(&desk.buffer[..count]);
                Next::Wait
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Next::Wait,
            Err(_) => Next::Over,
        }
    }
}

#[cfg(windows)]
impl Drains {
    /// Reads `pipe` until it ends, on a thread of its own.
    pub(super) fn drain(&self, stream: OutputStream, mut pipe: impl io::Read + Send + 'static) -> io::Result<()> {
        let mut reading = Reading::begin(&self.shared, stream);
        let read = move || {
            let mut chunk = vec![0; 16 * 1024];
            loop {
                match pipe.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => reading.take(&chunk[..count]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        };
        std::thread::Builder::new().name(format!("plugin-core {stream}")).spawn(read).map(drop)
    }
}

/// The reading of one stream, which ends when this is dropped.
struct Reading {
    shared: Arc<Shared>,
    stream: OutputStream,
    /// The line that has begun.
    line: Vec<u8>,
}

impl Reading {
    fn begin(shared: &Arc<Shared>, stream: OutputStream) -> Self {
        lock(&shared.tails).open += 1;
        Self { shared: Arc::clone(shared), stream, line: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.keep(bytes);
        if self.shared.forwarder.is_none() {
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() >= MAX_LINE {
                self.forward();
            }
        }
    }

    fn keep(&self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(TAIL)..];
        let mut tails = lock(&self.shared.tails);
        let tail = tails.of(self.stream);
        // First, or it would be given room for more than it keeps.
        let excess = (tail.len() + bytes.len()).saturating_sub(TAIL);
        tail.drain(..excess);
        tail.extend(bytes);
    }

    /// Forwards the line that has begun.
    fn forward(&mut self) {
        let Some(forwarder) = &self.shared.forwarder else { return };
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line).into_owned();
        forwarder.push(Line { plugin: Arc::clone(&self.shared.plugin), stream: self.stream, text });
        self.line.clear();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.forward();
        }
        lock(&self.shared.tails).open -= 1;
        self.shared.ended.notify_all();
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
        let drains = Drains::new("test".into(), &output);
        let mut reading = Reading::begin(&drains.shared, OutputStream::Stderr);
        printed.chunks(1000).for_each(|part| reading.take(part));
        drop(reading);
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

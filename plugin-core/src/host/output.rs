//! What a plugin prints: read as fast as it comes, forwarded line by line, its end kept for error messages.
//!
//! Two threads per plugin read its pipes and never wait for anybody else, so that printing never blocks a plugin. Another
//! thread, one for all plugins unless a function takes the lines, hands them on; if whoever takes them is slow, lines are
//! dropped and counted.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::connection::lock;

/// How much of its end is kept for error messages, in bytes per stream.
const TAIL: usize = 64 * 1024;

/// A longer line is forwarded in parts of this many bytes.
const MAX_LINE: usize = 64 * 1024;

/// How many lines wait for a slow taker before further ones are dropped.
const QUEUE: usize = 1024;

/// About how many bytes of lines wait at most.
const QUEUE_BYTES: usize = 8 << 20;

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

/// A thread that hands lines on. It ends with the last plugin whose lines it has.
#[derive(Debug)]
struct Forwarder {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
    /// Bytes of the lines that wait.
    waiting: Arc<AtomicUsize>,
}

struct Line {
    plugin: Arc<str>,
    stream: OutputStream,
    text: String,
    output: Output,
}

enum Item {
    Line(Line),
    /// Answered once all lines before it are handed on.
    Flush(Sender<()>),
}

impl Forwarder {
    /// The one for all plugins whose lines go where the host's own do.
    fn shared() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Forwarder>> = Mutex::new(Weak::new());
        let mut current = lock(&CURRENT);
        if let Some(forwarder) = current.upgrade() {
            return forwarder;
        }
        let forwarder = Self::start();
        *current = Arc::downgrade(&forwarder);
        forwarder
    }

    fn start() -> Arc<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let forwarder = Arc::new(Self { queue: sender, dropped: Arc::default(), waiting: Arc::default() });
        let (dropped, waiting) = (Arc::clone(&forwarder.dropped), Arc::clone(&forwarder.waiting));
        let spawned = thread::Builder::new()
            .name("plugin-core output".into())
            .spawn(move || hand_on(&receiver, &dropped, &waiting));
        if let Err(error) = spawned {
            tracing::warn!(%error, "what plugins print will not be forwarded");
        }
        forwarder
    }

    fn push(&self, line: Line) {
        let length = line.text.len();
        let is_too_much = self.waiting.fetch_add(length, Ordering::Relaxed) > QUEUE_BYTES;
        if is_too_much || matches!(self.queue.try_send(Item::Line(line)), Err(TrySendError::Full(_))) {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self, limit: Duration) {
        let (sender, receiver) = channel();
        if self.queue.try_send(Item::Flush(sender)).is_ok() {
            // Whoever takes the lines may be slow or stuck; then this is as far as they came.
            let _: Result<(), RecvTimeoutError> = receiver.recv_timeout(limit);
        }
    }
}

fn hand_on(queue: &Receiver<Item>, dropped: &AtomicU64, waiting: &AtomicUsize) {
    while let Ok(item) = queue.recv() {
        match item {
            Item::Line(line) => {
                waiting.fetch_sub(line.text.len(), Ordering::Relaxed);
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let text = format!("({lost} lines were dropped: they came faster than they were taken)");
                    take(&Line {
                        text,
                        plugin: Arc::clone(&line.plugin),
                        stream: line.stream,
                        output: line.output.clone(),
                    });
                }
                take(&line);
            }
            Item::Flush(done) => {
                // Whoever asked may have given up.
                let _ = done.send(());
            }
        }
    }
}

/// Hands a line on. A panic of whoever takes it must not end the forwarding; the panic hook has told it.
fn take(line: &Line) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take_or_panic(line)));
}

fn take_or_panic(line: &Line) {
    let Line { plugin, stream, text, output } = line;
    match output {
        Output::Discard => {}
        Output::Lines(take) => take(&OutputLine { plugin, stream: *stream, text }),
        Output::Forward if has_subscriber() => {
            tracing::info!(target: "plugin_core::output", plugin = &**plugin, stream = %stream, "{text}");
        }
        Output::Forward => {
            use io::Write;
            // Nobody is left to tell if the host's own standard error is gone.
            let _ = writeln!(io::stderr(), "[{plugin}] {text}");
        }
    }
}

fn has_subscriber() -> bool {
    tracing::dispatcher::get_default(|subscriber| !subscriber.is::<tracing::subscriber::NoSubscriber>())
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

    #[test]
    fn a_slow_taker_loses_lines_and_is_told_how_many() {
        let (sender, receiver) = sync_channel(QUEUE);
        let forwarder = Forwarder { queue: sender, dropped: Arc::default(), waiting: Arc::default() };
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let output = Output::lines({
            let taken = Arc::clone(&taken);
            move |line| taken.lock().unwrap().push(line.text.to_owned())
        });
        for number in 0..QUEUE + 5 {
            let text = number.to_string();
            forwarder.push(Line { plugin: "test".into(), stream: OutputStream::Stdout, text, output: output.clone() });
        }
        let (dropped, waiting) = (Arc::clone(&forwarder.dropped), Arc::clone(&forwarder.waiting));
        drop(forwarder);
        hand_on(&receiver, &dropped, &waiting);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        let taken = taken.lock().unwrap();
        assert_eq!(taken[0], "(5 lines were dropped: they came faster than they were taken)");
        assert_eq!(taken.len(), QUEUE + 1);
    }

    #[test]
    fn lines_that_wait_are_bounded_in_bytes_too() {
        let (sender, _receiver) = sync_channel(QUEUE);
        let forwarder = Forwarder { queue: sender, dropped: Arc::default(), waiting: Arc::default() };
        for _ in 0..2 * QUEUE_BYTES / MAX_LINE {
            let (plugin, text) = ("test".into(), "x".repeat(MAX_LINE));
            forwarder.push(Line { plugin, stream: OutputStream::Stdout, text, output: Output::Discard });
        }
        assert!(forwarder.waiting.load(Ordering::Relaxed) <= QUEUE_BYTES + MAX_LINE);
        assert!(forwarder.dropped.load(Ordering::Relaxed) > 0);
    }
}

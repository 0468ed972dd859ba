//! Handing on what plugins print, on a thread that may be slow: lines that come faster are dropped and counted.
//!
//! One thread serves all plugins whose lines go where the host's own do; a function that takes lines has a thread of its own. It
//! is there while lines come, so that plugins that print nothing cost none.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use super::output::{Output, OutputLine, OutputStream};
use crate::connection::lock;

/// How many lines wait for a slow taker before further ones are dropped.
const QUEUE: usize = 1024;

/// About how many bytes of lines wait at most.
const QUEUE_BYTES: usize = 8 << 20;

/// How long a thread waits for another line before it ends.
const IDLE: Duration = Duration::from_secs(1);

/// What hands lines on to one taker.
#[derive(Debug)]
pub(super) struct Forwarder {
    output: Output,
    queue: Arc<Queue>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) plugin: Arc<str>,
    pub(super) stream: OutputStream,
    pub(super) text: String,
}

/// The lines that wait to be handed on.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Signalled when there is a line, and when no more will come.
    added: Condvar,
    /// Signalled when a line is handed on.
    handed_on: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// Of their texts.
    bytes: usize,
    /// How many lines had no room since the last was handed on.
    dropped: u64,
    /// How many were added, ever.
    added: u64,
    /// How many of these are handed on.
    handed_on: u64,
    has_thread: bool,
    is_over: bool,
}

impl Forwarder {
    /// The one for all plugins whose lines go where the host's own do.
    pub(super) fn shared() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Forwarder>> = Mutex::new(Weak::new());
        let mut current = lock(&CURRENT);
        if let Some(forwarder) = current.upgrade() {
            return forwarder;
        }
        let forwarder = Self::new(Output::Forward);
        *current = Arc::downgrade(&forwarder);
        forwarder
    }

    pub(super) fn new(output: Output) -> Arc<Self> {
        Arc::new(Self { output, queue: Arc::default() })
    }

    /// Adds a line, if there is room. Never waits for whoever takes them.
    pub(super) fn push(&self, line: Line) {
        let mut state = lock(&self.queue.state);
        if state.lines.len() >= QUEUE || state.bytes > QUEUE_BYTES {
            state.dropped += 1;
            return;
        }
        state.bytes += line.text.len();
        state.added += 1;
        state.lines.push_back(line);
        self.see_to(&mut state);
        drop(state);
        self.queue.added.notify_one();
    }

    /// Sees to it that there is a thread. If none can be had, the lines wait until somebody asks for one again.
    fn see_to(&self, state: &mut State) {
        if state.has_thread || state.lines.is_empty() {
            return;
        }
        let (queue, output) = (Arc::clone(&self.queue), self.output.clone());
        let spawned = thread::Builder::new().name("plugin-core output".into()).spawn(move || queue.hand_on(&output));
        state.has_thread = spawned.is_ok();
    }

    /// Waits until the lines added so far are handed on, but not past `deadline`.
    pub(super) fn flush(&self, deadline: Instant) {
        let mut state = lock(&self.queue.state);
        self.see_to(&mut state);
        let added = state.added;
        // Whoever takes the lines may be slow or stuck; then this is as far as they came.
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.queue.handed_on.wait_timeout_while(state, left, |state| state.handed_on < added);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        lock(&self.queue.state).is_over = true;
        self.queue.added.notify_one();
        if let Output::Lines(take) = std::mem::take(&mut self.output) {
            // What the function owns may take long to drop, and whoever lets go of this must not wait: so not here, unless no
            // thread can be had.
            let _ = thread::Builder::new().name("plugin-core output".into()).spawn(move || drop(take));
        }
    }
}

impl Queue {
    /// Hands lines on until none come any more.
    fn hand_on(&self, output: &Output) {
        while let Some((line, dropped)) = self.next() {
            if dropped > 0 {
                let text = format!("({dropped} lines were dropped: they came faster than they were taken)");
                take(output, &Line { text, plugin: Arc::clone(&line.plugin), stream: line.stream });
            }
            take(output, &line);
            lock(&self.state).handed_on += 1;
            self.handed_on.notify_all();
        }
    }

    /// The next line, if one comes soon, and how many were dropped before it.
    fn next(&self) -> Option<(Line, u64)> {
        let is_idle = |state: &mut State| state.lines.is_empty() && !state.is_over;
        let waited = self.added.wait_timeout_while(lock(&self.state), IDLE, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let Some(line) = state.lines.pop_front() else {
            // Under the lock that `push` looks under: what is added after this finds no thread and starts one.
            state.has_thread = false;
            return None;
        };
        state.bytes -= line.text.len();
        Some((line, std::mem::take(&mut state.dropped)))
    }
}

/// Hands a line on. A panic of whoever takes it must not end the forwarding; the panic hook has told it.
fn take(output: &Output, line: &Line) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take_or_panic(output, line)));
}

fn take_or_panic(output: &Output, line: &Line) {
    let Line { plugin, stream, text } = line;
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
    use crate::host::drain::MAX_LINE;

    fn line(text: String) -> Line {
        Line { plugin: "test".into(), stream: OutputStream::Stdout, text }
    }

    /// A forwarder whose thread is not started, and what it hands on.
    fn without_thread() -> (Arc<Forwarder>, Arc<Mutex<Vec<String>>>) {
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let output = Output::lines({
            let taken = Arc::clone(&taken);
            move |line| taken.lock().unwrap().push(line.text.to_owned())
        });
        let forwarder = Forwarder::new(output);
        lock(&forwarder.queue.state).has_thread = true;
        (forwarder, taken)
    }

    #[test]
    fn a_slow_taker_loses_lines_and_is_told_how_many() {
        let (forwarder, taken) = without_thread();
        for number in 0..QUEUE + 5 {
            forwarder.push(line(number.to_string()));
        }
        let (queue, output) = (Arc::clone(&forwarder.queue), forwarder.output.clone());
        drop(forwarder);
        queue.hand_on(&output);
        assert_eq!(lock(&queue.state).bytes, 0);
        let taken = taken.lock().unwrap();
        assert_eq!(taken[0], "(5 lines were dropped: they came faster than they were taken)");
        assert_eq!(taken.len(), QUEUE + 1);
    }

    #[test]
    fn lines_that_wait_are_bounded_in_bytes_too() {
        let (forwarder, _) = without_thread();
        for _ in 0..2 * QUEUE_BYTES / MAX_LINE {
            forwarder.push(line("x".repeat(MAX_LINE)));
        }
        let state = lock(&forwarder.queue.state);
        assert!(state.bytes <= QUEUE_BYTES + MAX_LINE);
        assert!(state.dropped > 0);
    }

    #[test]
    fn there_is_a_thread_only_while_lines_come() {
        let limit = Instant::now() + Duration::from_secs(20);
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let output = Output::lines({
            let taken = Arc::clone(&taken);
            move |line| taken.lock().unwrap().push(line.text.to_owned())
        });
        let forwarder = Forwarder::new(output);
        let has_thread = || lock(&forwarder.queue.state).has_thread;
        forwarder.flush(limit);
        assert!(!has_thread());
        for text in ["one", "two"] {
            forwarder.push(line(text.into()));
            assert!(has_thread());
            forwarder.flush(limit);
            assert_eq!(taken.lock().unwrap().last().map(String::as_str), Some(text));
            while has_thread() {
                assert!(Instant::now() < limit, "the thread stays");
                thread::yield_now();
            }
        }
    }
}

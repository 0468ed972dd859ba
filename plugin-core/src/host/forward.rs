//! Handing on what plugins print, on a thread that may be slow: lines that come faster are dropped and counted.
//!
//! One thread serves all plugins whose lines go where the host's own do; a function that takes lines has a thread of its own.

use std::{
    io,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use super::output::{Output, OutputLine, OutputStream};
use crate::connection::lock;

/// How many lines wait for a slow taker before further ones are dropped.
const QUEUE: usize = 1024;

/// About how many bytes of lines wait at most.
const QUEUE_BYTES: usize = 8 << 20;

/// A thread that hands lines on. It ends with the last plugin whose lines it has.
#[derive(Debug)]
pub(super) struct Forwarder {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
    /// Bytes of the lines that wait.
    waiting: Arc<AtomicUsize>,
}

pub(super) struct Line {
    pub(super) plugin: Arc<str>,
    pub(super) stream: OutputStream,
    pub(super) text: String,
    pub(super) output: Output,
}

enum Item {
    Line(Line),
    /// Answered once all lines before it are handed on.
    Flush(Sender<()>),
}

impl Forwarder {
    /// The one for all plugins whose lines go where the host's own do.
    pub(super) fn shared() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Forwarder>> = Mutex::new(Weak::new());
        let mut current = lock(&CURRENT);
        if let Some(forwarder) = current.upgrade() {
            return forwarder;
        }
        let forwarder = Self::start();
        *current = Arc::downgrade(&forwarder);
        forwarder
    }

    pub(super) fn start() -> Arc<Self> {
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

    pub(super) fn push(&self, line: Line) {
        let length = line.text.len();
        let is_too_much = self.waiting.fetch_add(length, Ordering::Relaxed) > QUEUE_BYTES;
        if is_too_much || matches!(self.queue.try_send(Item::Line(line)), Err(TrySendError::Full(_))) {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn flush(&self, limit: Duration) {
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
    use crate::host::output::MAX_LINE;

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

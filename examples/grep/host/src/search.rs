//! Following a search: one thread prints what it finds, another shows how far it is.

use std::{
    io::{self, Write},
    panic,
    path::Path,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use grep_api::{Found, Line, Search, SearchError, Searcher, Summary};
use plugin_core::{Error, Plugin, Stream, within};

use crate::{bar::Bar, command::Command, complain, interrupt};

/// How often Ctrl-C is looked for while nothing is found, and lines are printed while they are.
const OFTEN: Duration = Duration::from_millis(50);

/// How long a search may take to end that is over or stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many bytes are printed at once.
const MANY: usize = 64 << 10;

/// Why a search did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Interrupt(#[from] ctrlc::Error),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("the plugin did not end the search within {PATIENCE:?} and was killed")]
    Stuck,
    #[error(transparent)]
    Plugin(#[from] Error),
}

/// Why nothing more was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There was no more.
    Complete,
    /// So many lines are enough.
    Enough,
    /// Ctrl-C.
    Interrupted,
}

/// What came of a search.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    /// How many lines were printed.
    pub(crate) lines: u64,
    /// How many files and directories could not be read.
    pub(crate) problems: u64,
    pub(crate) summary: Summary,
}

/// Searches, and prints what is found.
pub(crate) fn follow(
    searcher: &Plugin<dyn Searcher>,
    command: &Command,
    output: &mut dyn Write,
) -> Result<Outcome, Failure> {
    let Search { found, running } = searcher.search(&command.query)?;
    let bar = Bar::new();
    thread::scope(|scope| {
        let (over, is_over) = channel::<()>();
        let bar = &bar;
        let watching = scope.spawn(move || {
            let _over = over;
            running.progress(&mut |progress| bar.show(progress))
        });
        let mut printer = Printer::new(bar, output);
        let ending = printer.print_all(found, command.max);
        // The stream is gone, and with it the search, so this is soon over, unless the plugin hangs.
        if is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            Plugin::process(searcher).kill()?;
            return Err(Failure::Stuck);
        }
        let summary = watching.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        let Printer { lines, problems, .. } = printer;
        Ok(Outcome { ending: ending?, lines, problems, summary: summary? })
    })
}

struct Printer<'a> {
    bar: &'a Bar,
    output: &'a mut dyn Write,
    /// Lines that have not been printed. One by one they would make the bar flicker.
    buffer: Vec<u8>,
    /// When lines were printed last.
    printed: Instant,
    lines: u64,
    problems: u64,
}

impl<'a> Printer<'a> {
    fn new(bar: &'a Bar, output: &'a mut dyn Write) -> Self {
        Self { bar, output, buffer: Vec::new(), printed: Instant::now(), lines: 0, problems: 0 }
    }

    /// Prints until there is no more, or no need for more. The stream is dropped then, which is what stops the search.
    fn print_all(&mut self, mut found: Stream<Found>, max: Option<u64>) -> Result<Ending, Failure> {
        let ending = self.print_until(&mut found, max);
        drop(found);
        self.flush()?;
        ending
    }

    fn print_until(&mut self, found: &mut Stream<Found>, max: Option<u64>) -> Result<Ending, Failure> {
        while !interrupt::has_come() {
            // Where it has come to the end of the time, the stream can be read on.
            match within(OFTEN, || found.read()) {
                None => return Ok(Ending::Complete),
                Some(Err(Error::Timeout { .. })) => {}
                Some(item) => self.print(item?),
            }
            if Some(self.lines) == max {
                return Ok(Ending::Enough);
            }
            if self.buffer.len() >= MANY || self.printed.elapsed() >= OFTEN {
                self.flush()?;
            }
        }
        Ok(Ending::Interrupted)
    }

    fn print(&mut self, found: Found) {
        match found {
            Found::Line(Line { path, number, text }) => {
                self.lines += 1;
                self.buffer.extend_from_slice(format!("{}:{number}:", shown(&path)).as_bytes());
                self.buffer.extend_from_slice(&text);
                self.buffer.push(b'\n');
            }
            Found::Binary { path, offset } => {
                let message = format!("{}: binary file, searched up to its byte {offset}", shown(&path));
                self.bar.aside(|| complain(&message));
            }
            Found::Problem(problem) => {
                self.problems += 1;
                self.bar.aside(|| complain(&problem.message));
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.printed = Instant::now();
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Self { bar, output, buffer, .. } = self;
        bar.aside(|| output.write_all(buffer).and_then(|()| output.flush()))?;
        buffer.clear();
        Ok(())
    }
}

/// Without the working directory in front, which goes without saying.
fn shown(path: &str) -> &str {
    Path::new(path).strip_prefix(".").ok().and_then(Path::to_str).unwrap_or(path)
}

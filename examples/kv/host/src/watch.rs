//! Printing changes while commands make them.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use kv_api::{Change, Entry, Store};
use plugin_core::{Error, Stream, within};

use crate::{
    command::{self, Command},
    report,
    run::{Failure, run, shown},
};

/// How often a thread that waits for changes looks whether there will be more.
const OFTEN: Duration = Duration::from_millis(50);

/// How long the plugin may take to tell of a change that it has made.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the commands that come on `input`, one a line, and prints what changes meanwhile, until the input ends.
pub(crate) fn watch(
    store: &dyn Store,
    prefix: &str,
    input: &mut dyn BufRead,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let changes = store.watch(prefix)?;
    let (output, session) = (Mutex::new(output), Session::default());
    thread::scope(|scope| {
        let printing = scope.spawn(|| print_changes(changes, &session, &output));
        // Without its changes there is no use in going on.
        let ran = session.run_all(store, prefix, input, &output, || !printing.is_finished());
        session.end();
        let printed = printing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        printed.and(ran)
    })
}

/// What the two threads know of each other.
#[derive(Default)]
struct Session(Mutex<State>);

#[derive(Default)]
struct State {
    /// The changes that commands have made here and the plugin has not told of.
    untold: VecDeque<Change>,
    /// There will be no more commands.
    ended: Option<Instant>,
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }

    /// Runs commands until there are no more, whatever becomes of each, or `goes_on` says otherwise.
    fn run_all(
        &self,
        store: &dyn Store,
        prefix: &str,
        input: &mut dyn BufRead,
        output: &Mutex<&mut (dyn Write + Send)>,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), Failure> {
        let mut failed = 0;
        for line in input.lines() {
            let line = line?;
            if !goes_on() {
                break;
            }
            match self.run(store, prefix, &line, output) {
                Ok(()) => {}
                Err(Failure::Io(error)) => return Err(error.into()),
                Err(failure) => {
                    report(&failure);
                    failed += 1;
                }
            }
        }
        if failed == 0 { Ok(()) } else { Err(Failure::Commands(failed)) }
    }

    /// Runs the command in `line`.
    fn run(
        &self,
        store: &dyn Store,
        prefix: &str,
        line: &str,
        output: &Mutex<&mut (dyn Write + Send)>,
    ) -> Result<(), Failure> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let command = command::in_line(line).ok_or_else(|| Failure::NoCommand(line.into()))?;
        let change = change_by(&command).filter(|change| change.key().starts_with(prefix));
        // Before it is made: the plugin may tell of it first.
        self.state().untold.extend(change.clone());
        let mut output = locked(output);
        let ran = run(store, &command, &mut io::empty(), &mut **output);
        if ran.is_err() && change.is_some() {
            self.state().untold.pop_back();
        }
        ran?;
        if matches!(command, Command::Get { .. }) {
            writeln!(output)?;
        }
        Ok(output.flush()?)
    }

    fn told(&self, change: &Change) {
        let mut state = self.state();
        if state.untold.front() == Some(change) {
            state.untold.pop_front();
        }
    }

    fn end(&self) {
        self.state().ended = Some(Instant::now());
    }

    /// Whether all is told, and no more will be done.
    fn is_over(&self) -> Result<bool, Failure> {
        let state = self.state();
        match state.ended {
            Some(ended) if !state.untold.is_empty() && ended.elapsed() > PATIENCE => Err(Failure::Untold(PATIENCE)),
            ended => Ok(ended.is_some() && state.untold.is_empty()),
        }
    }
}

/// What `command` changes, if it succeeds.
fn change_by(command: &Command<'_>) -> Option<Change> {
    match *command {
        Command::Put { key, value: Some(value) } => {
            Some(Change::Put(Entry { key: key.into(), value: value.as_bytes().into() }))
        }
        Command::Delete { key } => Some(Change::Deleted { key: key.into() }),
        _ => None,
    }
}

/// Prints changes until the session is over.
fn print_changes(
    mut changes: Stream<Change>,
    session: &Session,
    output: &Mutex<&mut (dyn Write + Send)>,
) -> Result<(), Failure> {
    while !session.is_over()? {
        // Where it has come to the end of the time, the stream can be read on.
        let change = match within(OFTEN, || changes.read()) {
            Some(Err(Error::Timeout { .. })) => continue,
            Some(change) => change?,
            None => return Err(Failure::NoMoreChanges),
        };
        let mut output = locked(output);
        match &change {
            Change::Put(Entry { key, value }) => writeln!(output, "put\t{key}\t{}", shown(value))?,
            Change::Deleted { key } => writeln!(output, "delete\t{key}")?,
        }
        output.flush()?;
        drop(output);
        session.told(&change);
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

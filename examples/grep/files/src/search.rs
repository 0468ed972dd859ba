//! A search: one thread lists the files, others search them, until all is done or nobody reads what they find.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use grep_api::{Found, Problem, Query, SearchError};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};
use plugin_core::{Error, StreamSender};

use crate::{
    file::FileSearch,
    running::{Searching, Tally},
};

/// How many files are listed ahead of the search at most.
const AHEAD: usize = 4096;

/// More threads than this wait for the disk rather than search.
const MAX_THREADS: usize = 8;

/// What all threads of a search share.
pub(crate) struct Shared {
    pub(crate) matcher: RegexMatcher,
    pub(crate) found: StreamSender<Found>,
    pub(crate) tally: Arc<Tally>,
}

/// Begins a search; what it finds goes to `found`.
pub(crate) fn start(query: &Query, found: StreamSender<Found>) -> Result<Arc<Tally>, SearchError> {
    // Told here, rather than by a search that finds nothing.
    fs::metadata(&query.root)
        .map_err(|error| SearchError::BadRoot { root: query.root.clone(), message: error.to_string() })?;
    let matcher = RegexMatcherBuilder::new()
        .case_insensitive(query.ignore_case)
        .line_terminator(Some(b'\n'))
        .build(&query.pattern)
        .map_err(|error| SearchError::BadPattern { message: error.to_string() })?;
    let walk = WalkBuilder::new(&query.root).standard_filters(!query.all).build();
    let tally = Arc::new(Tally::default());
    let shared = Shared { matcher, found, tally: Arc::clone(&tally) };
    let search = thread::Builder::new().name("search".into());
    search.spawn(move || run(walk, &shared)).map_err(Error::custom)?;
    Ok(tally)
}

/// Searches what `walk` comes across.
fn run(walk: Walk, shared: &Shared) {
    let _searching = Searching(Arc::clone(&shared.tally));
    let (sender, files) = sync_channel(AHEAD);
    let files = Arc::new(Mutex::new(files));
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
    thread::scope(|scope| {
        for _ in 0..threads {
            let files = Arc::clone(&files);
            scope.spawn(move || search(shared, &files));
        }
        // From here on the files are those threads' alone: what lists them ends with the last of them.
        drop(files);
        list(walk, shared, &sender);
        drop(sender);
    });
}

/// Hands the files that are to be searched to those who do.
fn list(walk: Walk, shared: &Shared, files: &SyncSender<PathBuf>) {
    for entry in walk {
        match entry {
            Ok(entry) if is_file(&entry) => {
                shared.tally.files.fetch_add(1, Relaxed);
                if files.send(entry.into_path()).is_err() {
                    break; // They have all left, since nobody reads.
                }
            }
            Ok(_) => {}
            Err(error) => shared.tell(Found::Problem(Problem { message: error.to_string() })),
        }
        if shared.is_stopped() {
            return;
        }
    }
    shared.tally.all_files.store(true, Relaxed);
}

/// Pipes and devices might never end, so they are left out.
fn is_file(entry: &DirEntry) -> bool {
    // What is given as the root may be a link to a file; others are not followed.
    entry.file_type().is_some_and(|kind| kind.is_file()) || (entry.depth() == 0 && entry.path().is_file())
}

/// Searches one file after the other.
fn search(shared: &Shared, files: &Mutex<Receiver<PathBuf>>) {
    let mut search = FileSearch::new(shared);
    while !shared.is_stopped() {
        let file = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(file) = file else { return };
        if let Err(error) = search.run(&file) {
            shared.tell(Found::Problem(Problem { message: format!("{}: {error}", file.display()) }));
        }
    }
}

impl Shared {
    /// Tells whoever reads, waiting for that where it is behind.
    pub(crate) fn tell(&self, found: Found) {
        // It fails if nobody reads any more, which is looked for behind everything that is told.
        let _ = self.found.send(found);
    }

    /// Whether nobody reads any more, so that the search is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        let is_stopped = self.found.is_unread();
        if is_stopped {
            self.tally.stopped.store(true, Relaxed);
        }
        is_stopped
    }
}

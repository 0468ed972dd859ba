//! How far a search is, as the search counts it and others see it.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use grep_api::{Progress, Running, SearchError, Summary};
use plugin_core::{Call, Error};

/// How often those who watch are told.
const OFTEN: Duration = Duration::from_millis(50);

/// What a search counts.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) files: AtomicU64,
    pub(crate) all_files: AtomicBool,
    pub(crate) searched: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) lines: AtomicU64,
    pub(crate) binary: AtomicU64,
    pub(crate) stopped: AtomicBool,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Tally {
    fn progress(&self) -> Progress {
        Progress {
            files: self.files.load(Relaxed),
            all_files: self.all_files.load(Relaxed),
            searched: self.searched.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            lines: self.lines.load(Relaxed),
        }
    }

    /// Waits for a moment; gives what the search came to, if it is over.
    fn wait(&self) -> Option<Summary> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(over, OFTEN, |over| !*over);
        let over = *waited.unwrap_or_else(PoisonError::into_inner).0;
        over.then(|| Summary {
            progress: self.progress(),
            binary: self.binary.load(Relaxed),
            stopped: self.stopped.load(Relaxed),
        })
    }
}

/// Whoever holds this searches. Dropping it ends the search, be it by a panic, for those who watch.
pub(crate) struct Searching(pub(crate) Arc<Tally>);

impl Drop for Searching {
    fn drop(&mut self) {
        *self.0.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.ended.notify_all();
    }
}

/// The object that the host gets.
pub(crate) struct Watched(pub(crate) Arc<Tally>);

impl Running for Watched {
    fn progress(&self, each: &mut dyn FnMut(Progress)) -> Result<Summary, SearchError> {
        let mut last = None;
        while !Call::current().is_cancelled() {
            let summary = self.0.wait();
            let progress = summary.map_or_else(|| self.0.progress(), |summary| summary.progress);
            if last != Some(progress) {
                last = Some(progress);
                each(progress);
            }
            if let Some(summary) = summary {
                return Ok(summary);
            }
        }
        Err(Error::custom("nobody waits for the end of the search").into())
    }
}

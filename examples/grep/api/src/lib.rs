//! What the `grep` host and its plugins share: the interfaces, and the types that cross them.

use std::path::PathBuf;

use plugin_core::{Remote, Stream};
use serde::{Deserialize, Serialize};

/// Finds lines.
#[plugin_core::plugin_interface(version = "1.0")]
pub trait Searcher {
    /// Begins a search, and does not wait for it.
    ///
    /// # Errors
    /// [`SearchError::BadPattern`] and [`SearchError::BadRoot`] where there is nothing to begin with; [`SearchError::Plugin`] if
    /// the plugin cannot be asked.
    fn search(&self, query: &Query) -> Result<Search, SearchError>;
}

/// A search that has begun.
#[plugin_core::plugin_interface]
pub trait Running {
    /// Tells `each` how far the search is, now and then, and returns when it is over: all is searched, or nobody reads
    /// [`Search::found`] any more. A search whose stream is neither read nor dropped stands still.
    ///
    /// # Errors
    /// [`SearchError::Plugin`] if the plugin cannot be asked, or ends.
    #[method(timeout = "none")]
    fn progress(&self, each: &mut dyn FnMut(Progress)) -> Result<Summary, SearchError>;
}

/// What to look for, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Query {
    /// A regular expression, matched against each line.
    pub pattern: String,
    /// A directory, of which all files are searched, or a file.
    pub root: PathBuf,
    /// Whether case makes no difference.
    pub ignore_case: bool,
    /// Whether hidden files are searched, too, and those that a `.gitignore` names.
    pub all: bool,
}

/// A search: its results as they come, and the search itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Search {
    /// What was found, in the order of lines within each file, files mixed. Dropping it stops the search.
    pub found: Stream<Found>,
    /// The search itself.
    pub running: Remote<dyn Running>,
}

/// What a search comes across.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// A line in which the pattern was found.
    Line(Line),
    /// A file with such lines turned out to be binary, and was searched only up to there.
    Binary {
        /// The file.
        path: String,
        /// Where its first zero byte is.
        offset: u64,
    },
    /// A file or a directory that could not be read. The search goes on.
    Problem(Problem),
}

/// A line in which the pattern was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its file, beginning with the query's root; what is not Unicode is replaced.
    pub path: String,
    /// Its number, counted from 1.
    pub number: u64,
    /// The line without its end, as it is in the file.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

/// A file or a directory that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Why not, with its path.
    pub message: String,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How many files there are to be searched, as far as is known.
    pub files: u64,
    /// Whether that is all of them.
    pub all_files: bool,
    /// How many have been searched.
    pub searched: u64,
    /// How many bytes have been read of them.
    pub bytes: u64,
    /// How many lines have been found.
    pub lines: u64,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How far it came.
    pub progress: Progress,
    /// How many of the files were binary.
    pub binary: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Why there is no search.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum SearchError {
    /// The pattern is no regular expression for lines.
    #[error("the pattern cannot be used: {message}")]
    BadPattern {
        /// What the regex engine said.
        message: String,
    },
    /// There is nothing to search.
    #[error("{}: {message}", root.display())]
    BadRoot {
        /// The query's root.
        root: PathBuf,
        /// What the operating system said.
        message: String,
    },
    /// The plugin could not be asked.
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}

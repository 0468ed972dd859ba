//! The `grep` plugin that searches the files below a directory, by the libraries of which ripgrep is made.

mod file;
mod running;
mod search;

use grep_api::{Query, Search, SearchError, Searcher};
use plugin_core::{Remote, Stream};

use crate::running::Watched;

struct Files;

impl Searcher for Files {
    fn search(&self, query: &Query) -> Result<Search, SearchError> {
        let (sender, found) = Stream::channel();
        let tally = search::start(query, sender)?;
        Ok(Search { found, running: Remote::new(Watched(tally)) })
    }
}

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Searcher>(Files)
}

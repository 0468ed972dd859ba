//! Searching one file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::atomic::Ordering::Relaxed,
};

use grep_api::{Found, Line};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkFinish, SinkMatch};

use crate::search::Shared;

/// A file with a longer line than this is not searched to its end: the line would have to fit memory, and a message.
const MAX_LINE: usize = 16 << 20;

/// Searches files, one after the other, with the same buffers.
pub(crate) struct FileSearch<'a> {
    shared: &'a Shared,
    searcher: Searcher,
}

impl<'a> FileSearch<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let mut searcher = SearcherBuilder::new();
        searcher.line_number(true).binary_detection(BinaryDetection::quit(0)).heap_limit(Some(MAX_LINE));
        Self { shared, searcher: searcher.build() }
    }

    /// Searches `file`, unless the search is stopped meanwhile.
    pub(crate) fn run(&mut self, file: &Path) -> io::Result<()> {
        let shared = self.shared;
        let reader = Watched { file: File::open(file)?, shared };
        let sink = Lines { path: file.display().to_string(), has_any: false, shared };
        self.searcher.search_reader(&shared.matcher, reader, sink)?;
        shared.tally.searched.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// A file of which what is read counts, and which ends where the search is stopped, be it without a line to tell.
struct Watched<'a> {
    file: File,
    shared: &'a Shared,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.is_stopped() {
            return Ok(0);
        }
        let count = self.file.read(buffer)?;
        self.shared.tally.bytes.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

/// Tells the lines of a file.
struct Lines<'a> {
    path: String,
    has_any: bool,
    shared: &'a Shared,
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _searcher: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        self.has_any = true;
        self.shared.tally.lines.fetch_add(1, Relaxed);
        let text = line.bytes();
        self.shared.tell(Found::Line(Line {
            path: self.path.clone(),
            number: line.line_number().unwrap_or_default(),
            text: text.strip_suffix(b"\n").unwrap_or(text).to_vec(),
        }));
        Ok(!self.shared.is_stopped())
    }

    fn finish(&mut self, _searcher: &Searcher, end: &SinkFinish) -> io::Result<()> {
        let Some(offset) = end.binary_byte_offset() else { return Ok(()) };
        self.shared.tally.binary.fetch_add(1, Relaxed);
        if self.has_any {
            self.shared.tell(Found::Binary { path: self.path.clone(), offset });
        }
        Ok(())
    }
}

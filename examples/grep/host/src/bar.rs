//! The bar that shows how far a search is, where standard error is a terminal.

use std::time::Duration;

use grep_api::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// A bar that is there until this is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:40} {pos}/{len} files, {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows how far it is.
    pub(crate) fn show(&self, progress: Progress) {
        let Progress { files, all_files, searched, bytes, lines } = progress;
        self.0.set_length(files);
        self.0.set_position(searched);
        let more = if all_files { "" } else { ", more files to come" };
        self.0.set_message(format!("{} read, {lines} lines found{more}", HumanBytes(bytes)));
    }

    /// Prints with the bar out of the way.
    pub(crate) fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.0.suspend(print)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

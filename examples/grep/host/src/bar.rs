//! The bar that shows how far a search is, where standard error is a terminal.

use grep_api::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that is there from the first word of the search until this is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows how far it is, which is not known before.
    pub(crate) fn show(&self, progress: Progress) {
        let Progress { files, all_files, searched, bytes, lines } = progress;
        if self.0.is_hidden() {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
        }
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

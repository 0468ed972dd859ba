//! How far it is, on a terminal.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use fetch_api::Fetcher;
use indicatif::{ProgressBar, ProgressStyle};
use plugin_core::Plugin;

/// How often the plugin is asked.
const OFTEN: Duration = Duration::from_millis(50);

/// A bar on standard error, if that is a terminal, seen to by a thread that asks the plugin: one that calls and blocks, beside
/// the tasks that call through the same handle and do not.
pub(crate) struct Progress {
    asking: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    pub(crate) fn start(fetcher: Plugin<dyn Fetcher>, pages: usize) -> Self {
        let bar = ProgressBar::new(pages as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} pages, {msg}") {
            bar.set_style(style);
        }
        let (finish, finished) = channel::<()>();
        let ask = move || {
            while let Ok(tally) = fetcher.tally() {
                bar.set_position(tally.fetched + tally.failed);
                bar.set_message(format!("{} under way", tally.under_way));
                if finished.recv_timeout(OFTEN) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            bar.finish_and_clear();
        };
        // Without a thread there is no bar.
        let asking = thread::Builder::new().name("progress".into()).spawn(ask).ok();
        Self { asking: asking.map(|asking| (finish, asking)) }
    }
}

impl Drop for Progress {
    /// Waits for the last look, so that nothing is printed into the bar.
    fn drop(&mut self) {
        if let Some((finish, asking)) = self.asking.take() {
            drop(finish);
            let _ = asking.join();
        }
    }
}

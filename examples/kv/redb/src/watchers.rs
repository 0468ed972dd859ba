//! Those who watch the store.

use std::time::Duration;

use kv_api::Change;
use plugin_core::{Error, Stream, StreamSender, within};

/// How long a change waits for a watcher that is behind. All changes wait for that, so it is short.
const PATIENCE: Duration = Duration::from_millis(100);

/// Those who watch, each with a prefix.
#[derive(Default)]
pub(crate) struct Watchers(Vec<(String, StreamSender<Change>)>);

impl Watchers {
    /// Takes in one more.
    pub(crate) fn add(&mut self, prefix: &str) -> Stream<Change> {
        // Those who watch what never changes would otherwise add up.
        self.0.retain(|(_, watcher)| !watcher.is_unread());
        let (watcher, changes) = Stream::channel();
        self.0.push((prefix.to_owned(), watcher));
        changes
    }

    /// Tells those whom it concerns. Who does not read any more is forgotten; who is too far behind is told so.
    pub(crate) fn tell(&mut self, change: &Change) {
        let concerns = |prefix: &str| change.key().starts_with(prefix);
        for (prefix, watcher) in std::mem::take(&mut self.0) {
            let told = if concerns(&prefix) { within(PATIENCE, || watcher.send(change.clone())) } else { Ok(()) };
            match told {
                Ok(()) => self.0.push((prefix, watcher)),
                Err(Error::Timeout { .. }) => {
                    watcher.fail(Error::custom("the reader is too far behind the changes; watch again, and scan then"));
                }
                // Nobody reads.
                Err(_) => {}
            }
        }
    }
}

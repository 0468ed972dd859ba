//! Counting what becomes of fetches, those included that end without a word since nobody waits for them any more.

use std::future::Future;

use fetch_api::Tally;
use tokio::sync::watch;

/// The tally, and whoever waits for it to change.
#[derive(Default)]
pub(crate) struct Counter(watch::Sender<Tally>);

impl Counter {
    /// Counts what `fetch` comes to, or that it was dropped before.
    pub(crate) async fn count<T, E>(&self, fetch: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.0.send_modify(|tally| tally.under_way += 1);
        let mut counted = Counted { counter: self, end: |tally| tally.cancelled += 1 };
        let outcome = fetch.await;
        counted.end = if outcome.is_ok() { |tally| tally.fetched += 1 } else { |tally| tally.failed += 1 };
        outcome
    }

    pub(crate) fn tally(&self) -> Tally {
        *self.0.borrow()
    }

    /// Waits until nothing is under way.
    pub(crate) async fn settled(&self) -> Tally {
        let mut changes = self.0.subscribe();
        // Fails only without a sender, and `self` holds it.
        changes.wait_for(|tally| tally.under_way == 0).await.map_or_else(|_| self.tally(), |tally| *tally)
    }
}

/// A fetch under way. However it ends, this is dropped: be it that its handler was, at the place where it awaits.
struct Counted<'a> {
    counter: &'a Counter,
    end: fn(&mut Tally),
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.counter.0.send_modify(|tally| {
            tally.under_way -= 1;
            (self.end)(tally);
        });
    }
}

//! What whoever watches a link must know and do while no caller reads it.

use super::{Connection, Presence, lock, read::Progress};
use crate::{
    sync::{Arc, Instant},
    transport::Link,
};

impl Connection {
    /// The link there is, and which it is.
    pub(crate) fn present_link(&self) -> Option<(Arc<dyn Link>, u64)> {
        let outbox = lock(&self.outbox);
        Some((Arc::clone(outbox.present()?), outbox.generation()))
    }

    /// Who reads the link of that generation.
    pub(crate) fn presence(&self, generation: u64) -> Presence {
        lock(&self.calls).baton.presence(generation)
    }

    /// Reads without waiting, if nobody else reads.
    pub(crate) fn read_what_is_there(self: &Arc<Self>) {
        let Some(mut reading) = self.take_reading() else { return };
        let now = Instant::now();
        loop {
            match self.read_on(&mut reading, Some(now)) {
                Progress::Some => {}
                Progress::Nothing => return self.leave(reading),
                Progress::Over => return,
            }
        }
    }
}

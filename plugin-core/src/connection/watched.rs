//! What whoever watches a link must know and do while no caller reads it.

use super::{Attendance, Connection, Presence, baton::Left, lock, read::Progress};
use crate::{sync::Arc, transport::Link};

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

    /// Notes that somebody waits for the bytes of the link of `generation`, while nobody reads it.
    pub(crate) fn attend(&self, generation: u64, attendance: Attendance) {
        lock(&self.calls).baton.attend(generation, attendance);
    }

    /// Notes that whoever waited for the bytes of the link of `generation` does so no more.
    #[cfg(feature = "tokio")]
    pub(crate) fn unattended(self: &Arc<Self>, generation: u64) {
        self.attend(generation, Attendance::Nobody);
        let is_awaited = {
            let mut calls = lock(&self.calls);
            calls.tasks.count > 0 && calls.baton.attendance() == Some(Attendance::Nobody)
        };
        if is_awaited {
            // The watcher's: whoever calls this may be part of a runtime that is ending.
            self.handler.neglected(self);
        }
        self.handler.unread(self);
    }

    /// Reads what there is without waiting, if nobody else reads; whether the link of `generation` is still the one.
    /// The `attendance` is that of whoever calls this, and goes on waiting for the link's bytes.
    pub(crate) fn read_what_is_there(self: &Arc<Self>, generation: u64, attendance: Attendance) -> bool {
        let Some(mut reading) = self.take_reading() else { return self.presence(generation) != Presence::Gone };
        if self.read_at_once(&mut reading) == Progress::Over {
            return false;
        }
        let read = reading.generation;
        let is_taken = {
            let mut calls = lock(&self.calls);
            let is_taken = calls.leave(reading) == Left::Taken;
            calls.baton.attend(generation, attendance);
            is_taken
        };
        // Others have left their messages to this thread, which promised to write them. Whoever has it now does so, too.
        if !is_taken && self.write_before_waiting(read) {
            self.handler.stalled(self);
        }
        read == generation
    }
}

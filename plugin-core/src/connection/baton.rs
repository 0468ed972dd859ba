//! Who reads: at most one thread holds the reading of a link at a time.
//!
//! A caller that waits for its answer reads for itself, and for everybody else meanwhile: so an answer needs no second
//! thread to be woken. The reading is a baton. It lies [free](Place::Free), or somebody [holds](Place::Held) it; a thread
//! that runs a handler for the other side [lends](Place::Lent) it back, so that it can be taken from a handler that is slow.
//!
//! Everything here happens under the lock of the calls, and that is what makes handing over safe: a caller decides between
//! reading and sleeping in the same step in which a reader that leaves looks for one that sleeps. Either the caller finds the
//! reading free, or the reader finds the caller asleep.

use super::{calls::Calls, read::Brought, wait::Patience};
use crate::{protocol::frame::Deframer, sync::Arc, transport::Link};

/// What it takes to read a link.
pub(crate) struct Reading {
    pub(super) link: Arc<dyn Link>,
    /// Which link this is. One that is not the latest brings nothing any more.
    pub(super) generation: u64,
    pub(super) deframer: Deframer,
    pub(super) patience: Patience,
    /// How many frames the last turn took.
    pub(super) last_frames: usize,
    /// Nothing has been taken from the deframer yet.
    pub(super) is_fresh: bool,
    /// The last turn has left bytes in the link, as far as is known.
    pub(super) has_left_some: bool,
    /// What a turn has brought; empty between turns.
    pub(super) brought: Brought,
}

impl Reading {
    pub(super) fn new(link: Arc<dyn Link>, generation: u64, deframer: Deframer, patience: Patience) -> Self {
        Self {
            link,
            generation,
            deframer,
            patience,
            last_frames: 0,
            is_fresh: true,
            has_left_some: false,
            brought: Brought::default(),
        }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Where the reading of the latest link is.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// There is no link, or a thread that does nothing else reads it.
    #[default]
    Nowhere,
    /// Here, for whoever comes.
    Free(Box<Reading>),
    /// A thread has it.
    Held,
    /// A thread has it and runs a handler, the one of this number; it may be taken from it.
    Lent { handler: u64, reading: Box<Reading> },
}

/// The reading of the latest link, and who wants it.
#[derive(Debug, Default)]
pub(super) struct Baton {
    place: Place,
    /// Of the latest link.
    generation: u64,
    /// Callers that sleep, the last to come at the end. Some have been answered since.
    parked: Vec<u32>,
    /// How often it has been taken.
    turns: u64,
    last_handler: u64,
    attendance: Attendance,
}

/// Who waits for a link's bytes without holding the reading, and comes when there are some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// Nobody is known to.
    #[default]
    Nobody,
    /// The thread that watches all links, or somebody has been asked to.
    Watched,
    /// A task, on the executor of those that wait.
    #[cfg_attr(not(unix), allow(dead_code, reason = "links are not driven where they cannot be waited for"))]
    Driven,
}

/// Who reads a link, and how often the reading has been taken so far.
#[cfg(any(unix, test))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Read {
        turns: u64,
    },
    Unread {
        turns: u64,
    },
    /// The link has been replaced, or was the last.
    Gone,
}

/// What has become of a reading that was given back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Somebody else has it, or it was outdated.
    Taken,
    /// Nobody has it now.
    Free,
}

impl Baton {
    /// A new link in place of any other, or none, or one that only a thread of its own reads.
    pub(super) fn renew(&mut self, generation: u64, reading: Option<Box<Reading>>) {
        self.generation = generation;
        self.attendance = Attendance::Nobody;
        self.place = reading.map_or(Place::Nowhere, Place::Free);
    }

    /// The reading, if it lies free.
    pub(super) fn take(&mut self) -> Option<Box<Reading>> {
        match std::mem::replace(&mut self.place, Place::Held) {
            Place::Free(reading) => {
                self.turns += 1;
                self.attendance = Attendance::Nobody;
                Some(reading)
            }
            place => {
                self.place = place;
                None
            }
        }
    }

    /// Notes who waits for the bytes of the link of `generation` while nobody reads it.
    #[cfg(any(unix, test))]
    pub(super) fn attend(&mut self, generation: u64, attendance: Attendance) {
        if generation == self.generation && matches!(self.place, Place::Free(_)) {
            self.attendance = attendance;
        }
    }

    /// Who comes when there is something to read; `None` while somebody reads. Where nobody does, somebody is to from now on.
    pub(super) fn attendance(&mut self) -> Option<Attendance> {
        let Place::Free(_) = self.place else { return None };
        let attendance = self.attendance;
        if attendance == Attendance::Nobody {
            self.attendance = Attendance::Watched;
        }
        Some(attendance)
    }

    /// Notes that whoever was to come for the bytes may not, and that the thread that watches all links is asked to, too.
    pub(super) fn leave_to_watcher(&mut self) {
        if let Place::Free(_) = self.place {
            self.attendance = Attendance::Watched;
        }
    }

    /// How often the reading has been taken.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    #[cfg(any(unix, test))]
    pub(super) fn presence(&self, generation: u64) -> Presence {
        let turns = self.turns;
        match &self.place {
            _ if generation != self.generation => Presence::Gone,
            Place::Nowhere => Presence::Gone,
            Place::Free(_) if self.attendance == Attendance::Driven => Presence::Read { turns },
            Place::Free(_) => Presence::Unread { turns },
            Place::Held | Place::Lent { .. } => Presence::Read { turns },
        }
    }

    /// Lends it while a handler runs; the handler's number, unless the link has been replaced.
    pub(super) fn lend(&mut self, reading: Box<Reading>) -> Option<u64> {
        if reading.generation != self.generation || matches!(self.place, Place::Nowhere) {
            return None;
        }
        self.last_handler += 1;
        self.place = Place::Lent { handler: self.last_handler, reading };
        Some(self.last_handler)
    }

    /// Takes it back, unless it was taken away or is outdated.
    pub(super) fn reclaim(&mut self, handler: u64) -> Option<Box<Reading>> {
        match std::mem::replace(&mut self.place, Place::Held) {
            Place::Lent { handler: lent, reading } if lent == handler => Some(reading),
            place => {
                self.place = place;
                None
            }
        }
    }
}

impl Calls {
    /// Gives back a reading: to a caller that sleeps, or to nobody in particular.
    pub(super) fn leave(&mut self, reading: Box<Reading>) -> Left {
        if reading.generation != self.baton.generation || matches!(self.baton.place, Place::Nowhere) {
            return Left::Taken; // Its link is gone.
        }
        self.baton.place = Place::Free(reading);
        self.promote()
    }

    /// Lets a caller that sleeps read, if the reading lies free.
    pub(super) fn promote(&mut self) -> Left {
        let Some(mut reading) = self.baton.take() else { return Left::Taken };
        while let Some(call) = self.baton.parked.pop() {
            let Some(waiter) = self.waiter(call) else { continue };
            match waiter.promote(reading) {
                None => return Left::Taken,
                Some(unwanted) => reading = unwanted,
            }
        }
        self.baton.place = Place::Free(reading);
        Left::Free
    }

    /// Notes that the caller of `call` is going to sleep.
    pub(super) fn park(&mut self, call: u32) {
        // Those answered meanwhile are left in the list until somebody looks for one to promote, or there are too many.
        if self.baton.parked.len() > 2 * self.len() + 64 {
            let mut parked = std::mem::take(&mut self.baton.parked);
            // Those that look around now and then are there more than once. Numbers grow, so the order stays.
            parked.sort_unstable();
            parked.dedup();
            parked.retain(|call| self.waiter(*call).is_some());
            self.baton.parked = parked;
        }
        self.baton.parked.push(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::waiter::Waiter;

    #[test]
    fn who_parks_again_and_again_is_remembered_once() {
        let mut calls = Calls::default();
        let numbers = [(); 2].map(|()| calls.register(&Waiter::take()).unwrap());
        (0..10_000).for_each(|round| calls.park(numbers[round % 2]));
        assert!(calls.baton.parked.len() < 100, "{}", calls.baton.parked.len());
    }
}

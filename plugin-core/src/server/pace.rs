//! How quick each method is, learnt from its calls: quick ones run on the thread that read their request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{interface::Dispatch, objects::interfaces, protocol::metadata::FIRST_OBJECT};

/// A method that takes no longer than this runs on the thread that reads: handing it to another would take as long.
const QUICK: u32 = 100;

/// As little is hardly told apart: so many microseconds of one call do not add to a mean.
const INSTANT: u32 = SHARE;

/// What a method is taken to need that was found to hold up the reading: it is quick again after some forty quick calls.
const SLOW: u32 = 10_000;

/// The weight of one call: an eighth.
const SHARE: u32 = 8;

/// What is known of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It has not been called yet.
    Unknown,
    Quick,
    Slow,
}

/// The running mean of the microseconds that each method takes, plus one; 0 where it has not been called.
pub(super) struct Paces(Vec<Box<[AtomicU32]>>);

/// Which method: its interface's place in the greeting, or what stands for it as one of objects, and its own in the interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: u32,
    pub(super) method: u16,
}

impl Paces {
    pub(super) fn new(dispatchers: &[Arc<dyn Dispatch>]) -> Self {
        let methods = |dispatcher: &Arc<dyn Dispatch>| {
            dispatcher.descriptor().methods.iter().map(|_| AtomicU32::new(0)).collect()
        };
        Self(dispatchers.iter().map(methods).collect())
    }

    fn mean(&self, place: Place) -> Option<&AtomicU32> {
        if let Some(interface) = place.target.checked_sub(FIRST_OBJECT) {
            return interfaces::note(interface, place.method);
        }
        self.0.get(place.target as usize)?.get(usize::from(place.method))
    }

    pub(super) fn of(&self, place: Place) -> Pace {
        match self.mean(place).map(|mean| mean.load(Ordering::Relaxed)) {
            None | Some(0) => Pace::Unknown,
            Some(mean) if mean <= QUICK => Pace::Quick,
            Some(_) => Pace::Slow,
        }
    }

    /// Whether the method takes so little time that several of its calls may be timed together: some microseconds at most.
    pub(super) fn is_instant(&self, place: Place) -> bool {
        self.mean(place).is_some_and(|mean| (1..=INSTANT).contains(&mean.load(Ordering::Relaxed)))
    }

    /// Takes note of a call that took so long. Where two end at once, one of them may be forgotten.
    pub(super) fn note(&self, place: Place, took: Option<Duration>) {
        let (Some(mean), Some(took)) = (self.mean(place), took) else { return };
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).min(SLOW * SHARE);
        let before = mean.load(Ordering::Relaxed);
        let after = if before == 0 { took } else { before - 1 - (before - 1) / SHARE + took / SHARE };
        mean.store(after + 1, Ordering::Relaxed);
    }

    /// Takes note that a call has held up the reading and goes on.
    pub(super) fn mark_slow(&self, place: Place) {
        if let Some(mean) = self.mean(place) {
            mean.fetch_max(SLOW, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { target: 0, method: 0 };

    fn paces() -> Paces {
        Paces(vec![Box::new([AtomicU32::new(0)])])
    }

    #[test]
    fn a_method_is_what_its_calls_were() {
        let paces = paces();
        assert_eq!(paces.of(PLACE), Pace::Unknown);
        paces.note(PLACE, Some(Duration::from_micros(5)));
        assert!(paces.of(PLACE) == Pace::Quick && paces.is_instant(PLACE));
        paces.note(PLACE, None);
        assert!(paces.is_instant(PLACE), "what was not looked at says nothing");
        paces.note(PLACE, Some(Duration::from_micros(90)));
        assert!(paces.of(PLACE) == Pace::Quick && !paces.is_instant(PLACE));
        for _ in 0..20 {
            paces.note(PLACE, Some(Duration::from_micros(5)));
        }
        assert!(paces.is_instant(PLACE), "one call that took longer is forgotten");
        paces.note(PLACE, Some(Duration::from_millis(20)));
        assert_eq!(paces.of(PLACE), Pace::Slow);
        for _ in 0..60 {
            paces.note(PLACE, Some(Duration::from_micros(5)));
        }
        assert_eq!(paces.of(PLACE), Pace::Quick, "one slow call is forgotten");
    }

    #[test]
    fn a_method_that_holds_up_the_reading_is_slow_before_it_ends() {
        let paces = paces();
        paces.mark_slow(PLACE);
        assert_eq!(paces.of(PLACE), Pace::Slow);
        paces.note(PLACE, Some(Duration::MAX));
        assert_eq!(paces.of(PLACE), Pace::Slow);
        assert_eq!(paces.of(Place { target: 7, method: 7 }), Pace::Unknown);
    }
}

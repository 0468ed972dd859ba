//! How many bytes of a stream may be under way: a window that the consumer opens again as it reads.
//!
//! Both sides hold one half: the producer's [`Supply`] what it was asked for and has not sent, the consumer's [`Demand`] what it
//! has asked for and not received. An honest producer's is never the larger one, so it never overruns.

use super::Violation;

/// How many bytes of one stream are under way at most, or wait to be read.
pub(crate) const WINDOW: u32 = 1 << 20;

/// How many bytes a producer may owe at most.
const MAX_DEMAND: u32 = 1 << 31;

/// The producing side's half.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    /// Asked for and not sent.
    owed: u32,
}

impl Supply {
    /// Takes note that the consumer wants `bytes` more.
    pub(crate) fn demanded(&mut self, bytes: u32) -> Result<(), Violation> {
        let owed = self.owed.checked_add(bytes).filter(|owed| *owed <= MAX_DEMAND);
        self.owed = owed.ok_or(Violation::DemandTooLarge { owed: self.owed, demanded: bytes })?;
        Ok(())
    }

    /// How many bytes may be sent now.
    pub(crate) fn owed(&self) -> usize {
        self.owed as usize
    }

    /// Takes note that `bytes` have been sent, which are owed.
    pub(crate) fn sent(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.owed());
        self.owed = self.owed.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// The consuming side's half.
///
/// Half a window is asked for at once: seldom enough to cost next to nothing, and early enough for the producer not to wait. It
/// never waits in vain: of a window that is used up and read, more than half is to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    has_begun: bool,
    /// Asked for and not received.
    expected: u32,
    /// Read, and not asked for again.
    read: u32,
}

impl Demand {
    /// Takes note that the consumer begins to read; gives how much to ask for, the first time.
    pub(crate) fn begin(&mut self) -> Option<u32> {
        if std::mem::replace(&mut self.has_begun, true) {
            return None;
        }
        self.expected = WINDOW;
        Some(WINDOW)
    }

    /// Takes note of `bytes` that have come; `false` where more has come than was asked for.
    pub(crate) fn received(&mut self, bytes: usize) -> bool {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.expected.checked_sub(bytes));
        self.expected = left.unwrap_or(self.expected);
        left.is_some()
    }

    /// Takes note that `bytes` of what has come have been read; gives how much to ask for, where it is time.
    pub(crate) fn read(&mut self, bytes: usize) -> Option<u32> {
        self.read += u32::try_from(bytes).unwrap_or(u32::MAX);
        if self.read < WINDOW / 2 {
            return None;
        }
        let bytes = std::mem::take(&mut self.read);
        self.expected += bytes;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_sent_before_it_is_asked_for() {
        let (mut supply, mut demand) = (Supply::default(), Demand::default());
        assert_eq!(supply.owed(), 0);
        assert!(!demand.received(1));
        assert_eq!((demand.begin(), demand.begin()), (Some(WINDOW), None));
        supply.demanded(WINDOW).unwrap();
        assert_eq!(supply.owed(), WINDOW as usize);
    }

    #[test]
    fn whoever_sends_more_than_was_asked_for_breaks_the_rules() {
        let mut demand = Demand::default();
        demand.begin();
        assert!(demand.received(WINDOW as usize));
        assert!(demand.received(0) && !demand.received(1));
        assert!(!demand.received(usize::MAX));
    }

    #[test]
    fn whoever_asks_for_more_than_can_be_counted_breaks_the_rules() {
        let mut supply = Supply::default();
        supply.demanded(MAX_DEMAND).unwrap();
        let violation = supply.demanded(1).unwrap_err();
        assert_eq!(violation, Violation::DemandTooLarge { owed: MAX_DEMAND, demanded: 1 });
        supply.sent(MAX_DEMAND as usize);
        supply.demanded(u32::MAX).unwrap_err();
        supply.demanded(1).unwrap();
    }

    #[test]
    fn more_is_asked_for_by_half_windows() {
        let mut demand = Demand::default();
        demand.begin();
        assert!(demand.received(WINDOW as usize));
        assert_eq!(demand.read(WINDOW as usize / 2 - 1), None);
        assert_eq!(demand.read(1), Some(WINDOW / 2));
        assert_eq!(demand.read(WINDOW as usize / 2), Some(WINDOW / 2));
    }

    proptest! {
        /// Whatever is sent and read in whatever pieces, the window is kept, and it never closes for good.
        #[test]
        fn a_stream_flows_and_stays_within_its_window(steps in proptest::collection::vec((1_usize..200_000, any::<bool>()), 1..300)) {
            let (mut supply, mut demand) = (Supply::default(), Demand::default());
            supply.demanded(demand.begin().unwrap()).unwrap();
            let (mut waiting, mut under_way) = (VecDeque::new(), 0);
            for (length, is_send) in steps {
                let length = length.min(supply.owed());
                if is_send && length > 0 {
                    supply.sent(length);
                    prop_assert!(demand.received(length));
                    waiting.push_back(length);
                    under_way += length;
                } else if let Some(length) = waiting.pop_front() {
                    under_way -= length;
                    if let Some(more) = demand.read(length) {
                        supply.demanded(more).unwrap();
                    }
                }
                prop_assert!(under_way + supply.owed() <= WINDOW as usize);
                prop_assert!(supply.owed() > 0 || !waiting.is_empty(), "somebody can go on");
            }
        }
    }
}

//! Whether the other side is alive, asked only while somebody waits for it. Time is an argument.
//!
//! A side that has sent nothing for a while is sent a ping, which every live one answers at once, whatever its handlers do. One
//! that does not is unresponsive: it was stopped, its machine sleeps, or it is not a good plugin. Nothing follows from that
//! but that it is told; when it wakes, everything goes on.

use std::time::Duration;

use crate::sync::Instant;

/// How long a silence may last before the other side is asked for a sign of life.
pub(crate) const ASK_AFTER: Duration = Duration::from_secs(1);

/// How long it may last before the other side counts as unresponsive.
pub(crate) const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(2);

/// How far looks may lie apart; where they lie further, nobody waited in between.
const GAP: Duration = Duration::from_millis(900);

/// What is known of the other side's signs of life.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// How much had been heard at the last look, and when that was.
    heard: u64,
    looked: Option<Instant>,
    /// When the present silence was first noticed.
    silent_since: Option<Instant>,
    is_asked: bool,
    is_unresponsive: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Nothing,
    /// Ask for a sign of life.
    Ask,
    /// Tell that there was none.
    Unresponsive,
    /// Tell that there is one again.
    Responsive,
}

impl Pulse {
    /// Looks, while somebody waits, at how much has been heard so far.
    pub(crate) fn look(&mut self, heard: u64, now: Instant) -> Finding {
        let is_resumed = self.looked.is_none_or(|looked| now.duration_since(looked) > GAP) && !self.is_unresponsive;
        self.looked = Some(now);
        let has_spoken = heard != self.heard;
        self.heard = heard;
        if has_spoken || is_resumed {
            (self.silent_since, self.is_asked) = (Some(now), false);
            let was_unresponsive = std::mem::take(&mut self.is_unresponsive);
            return if was_unresponsive { Finding::Responsive } else { Finding::Nothing };
        }
        let silence = self.silence(now);
        if self.is_asked && silence >= UNRESPONSIVE_AFTER && !self.is_unresponsive {
            self.is_unresponsive = true;
            return Finding::Unresponsive;
        }
        if !self.is_asked && silence >= ASK_AFTER {
            self.is_asked = true;
            return Finding::Ask;
        }
        Finding::Nothing
    }

    /// For how long the other side has been silent, if it counts as unresponsive.
    pub(crate) fn unresponsive_for(&self, now: Instant) -> Option<Duration> {
        self.is_unresponsive.then(|| self.silence(now))
    }

    fn silence(&self, now: Instant) -> Duration {
        self.silent_since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks four times a second; `speaks` says when something is heard.
    fn findings(seconds: u64, speaks: impl Fn(u64) -> bool) -> Vec<(u64, Finding)> {
        let (mut pulse, begin, mut heard) = (Pulse::default(), Instant::now(), 7);
        let looks = (0..seconds * 4).map(|quarter| {
            heard += u64::from(speaks(quarter));
            (quarter, pulse.look(heard, begin + Duration::from_millis(quarter * 250)))
        });
        looks.filter(|(_, finding)| *finding != Finding::Nothing).collect()
    }

    #[test]
    fn a_silent_side_is_asked_once_and_then_unresponsive_until_it_speaks() {
        let found = findings(10, |quarter| quarter == 20);
        let expected = [
            (4, Finding::Ask),
            (8, Finding::Unresponsive),
            (20, Finding::Responsive),
            (24, Finding::Ask),
            (28, Finding::Unresponsive),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_side_that_answers_the_ping_or_speaks_anyway_is_fine() {
        assert!(findings(60, |quarter| quarter % 3 == 0).is_empty());
        let asked_only = findings(60, |quarter| quarter % 5 == 0);
        assert!(asked_only.iter().all(|(_, finding)| *finding == Finding::Ask), "{asked_only:?}");
    }

    #[test]
    fn a_time_in_which_nobody_waited_is_no_silence() {
        let (mut pulse, begin) = (Pulse::default(), Instant::now());
        pulse.look(1, begin);
        assert_eq!(pulse.look(1, begin + Duration::from_secs(100)), Finding::Nothing);
        assert_eq!(pulse.unresponsive_for(begin + Duration::from_secs(100)), None);
    }
}

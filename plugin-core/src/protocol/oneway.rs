//! How many oneway messages may be under way: a window that the receiving side opens again as it finishes with them.
//!
//! Nothing answers a oneway message, so nothing but this keeps a sender from filling the other side's memory. Both sides
//! hold the same [`Window`]: the sender of what it has sent and was not told to be finished, the receiver of what it has
//! received and has not told to be finished. The receiver's is never the fuller one, so an honest sender never overruns it.

use std::collections::VecDeque;

use super::Violation;

/// How many oneway messages may be outstanding, and how many bytes of them. A message of any length may be sent while there
/// are fewer of both.
pub(crate) const MESSAGES: usize = 1024;
pub(crate) const BYTES: usize = 1 << 20;

/// Oneway messages that are not known to be finished, in their order.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Their lengths.
    lengths: VecDeque<usize>,
    /// The sum of `lengths`.
    bytes: usize,
}

impl Window {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Whether there may be one more.
    pub(super) fn is_open(&self) -> bool {
        self.lengths.len() < MESSAGES && self.bytes < BYTES
    }

    pub(super) fn add(&mut self, length: usize) {
        self.lengths.push_back(length);
        self.bytes += length;
    }

    /// Lets go of the `count` oldest; `None` if there are not so many.
    fn remove(&mut self, count: usize) -> Option<()> {
        if count > self.lengths.len() {
            return None;
        }
        self.bytes -= self.lengths.drain(..count).sum::<usize>();
        Some(())
    }

    /// Takes note that the other side has finished with `count` more.
    pub(super) fn credited(&mut self, count: u32) -> Result<(), Violation> {
        let outstanding = self.lengths.len();
        self.remove(count as usize).ok_or(Violation::CreditForUnsent { credited: count, outstanding })
    }
}

/// The receiving side's window, and how much of it is to be told to the sender.
///
/// Half a window is told at once: seldom enough to cost next to nothing, and early enough for the sender not to wait. It
/// never waits in vain: a window that is closed and finished with is more than half. What is less is told when there has
/// been nothing to do for a moment, so that the sender knows that all is done.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    received: Window,
    /// How many of the oldest in `received` are finished, and how many bytes of them.
    finished: usize,
    finished_bytes: usize,
}

impl Backlog {
    /// Takes note of a message that was received.
    pub(super) fn received(&mut self, length: usize) -> Result<(), Violation> {
        if !self.received.is_open() {
            return Err(Violation::OnewayOverrun);
        }
        self.received.add(length);
        Ok(())
    }

    /// Takes note that the oldest unfinished message is finished; gives how many are to be told, where it is time.
    pub(super) fn finished(&mut self) -> Option<u32> {
        let length = self.received.lengths.get(self.finished)?;
        self.finished += 1;
        self.finished_bytes += length;
        if self.finished < MESSAGES / 2 && self.finished_bytes < BYTES / 2 {
            return None;
        }
        self.tell()
    }

    /// Gives how many are to be told, as far as that has not been done; `None` for none.
    pub(super) fn tell(&mut self) -> Option<u32> {
        if self.finished == 0 {
            return None;
        }
        let count = std::mem::take(&mut self.finished);
        self.finished_bytes = 0;
        self.received.remove(count)?;
        u32::try_from(count).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_by_number_and_by_bytes_and_takes_one_message_of_any_length() {
        let mut window = Window::default();
        window.add(100 * BYTES);
        assert!(!window.is_open());
        window.credited(1).unwrap();
        (1..MESSAGES).for_each(|_| window.add(0));
        assert!(window.is_open());
        window.add(0);
        assert!(!window.is_open());
        let error = window.credited(1025).unwrap_err();
        assert_eq!(error, Violation::CreditForUnsent { credited: 1025, outstanding: 1024 });
    }

    #[test]
    fn whoever_overruns_the_window_breaks_the_rules() {
        let mut backlog = Backlog::default();
        (0..MESSAGES).for_each(|_| backlog.received(1).unwrap());
        assert_eq!(backlog.received(1), Err(Violation::OnewayOverrun));
        let mut backlog = Backlog::default();
        backlog.received(BYTES).unwrap();
        assert_eq!(backlog.received(0), Err(Violation::OnewayOverrun));
    }

    #[test]
    fn what_is_finished_is_told_by_half_windows() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.finished(), None, "there is nothing to finish");
        (0..MESSAGES).for_each(|_| backlog.received(1).unwrap());
        let told: Vec<u32> = (0..MESSAGES).filter_map(|_| backlog.finished()).collect();
        assert_eq!(told, [512, 512]);
        backlog.received(BYTES / 2).unwrap();
        assert_eq!(backlog.finished(), Some(1));
        assert_eq!(backlog.tell(), None, "all has been told");
        (0..3).for_each(|_| backlog.received(1).unwrap());
        assert_eq!([backlog.finished(), backlog.finished()], [None, None]);
        assert_eq!(backlog.tell(), Some(2), "at rest, what there is");
        assert_eq!((backlog.received.lengths.len(), backlog.tell()), (1, None));
    }
}

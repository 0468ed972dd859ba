//! What a side does when a link is cut: it dials again, or waits for the other side to dial.

use std::time::Duration;

use super::{Cause, Connection, greeting::GreetingError, lock};
use crate::{
    deadline,
    protocol::{backoff::Backoff, frame::Deframer},
    sync::{Arc, Instant},
    transport::local::LocalLink,
};

/// The first and the longest delay between tries; the very first try is made at once.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// A link that was cut, and until when another may take its place.
#[derive(Debug)]
pub(crate) struct Cut {
    generation: u64,
    reason: String,
    pub(crate) limit: Duration,
    pub(crate) deadline: Instant,
}

/// Why a try to dial again has failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The next may do better.
    ForNow(String),
    /// No other will.
    ForGood(Cause),
}

impl From<GreetingError> for Failed {
    fn from(error: GreetingError) -> Self {
        match error {
            GreetingError::Violation(violation) => Self::ForGood(violation.into()),
            error => Self::ForNow(error.to_string()),
        }
    }
}

impl Connection {
    /// The cut of the last link, for the reason given, which may last for `limit`.
    pub(crate) fn cut(&self, reason: String, limit: Duration) -> Cut {
        // If another link has come and gone meanwhile, this is about that one, whose time begins later.
        let generation = lock(&self.outbox).generation();
        Cut { generation, reason, limit, deadline: deadline::after(Instant::now(), limit) }
    }

    /// Waits for the end of a cut: another link has come, be it cut by now too, or the connection has ended. Whether it has,
    /// after `limit` or once the cut has lasted too long.
    pub(crate) fn wait_resumed(&self, cut: &Cut, limit: Duration) -> bool {
        let deadline = deadline::after(Instant::now(), limit).min(cut.deadline);
        self.wait_while(deadline, |outbox| {
            outbox.generation() == cut.generation && !outbox.is_linked() && outbox.end().is_none()
        })
    }

    /// Ends the connection where no other link has come, which `why` explains.
    pub(crate) fn give_up(&self, cut: &Cut, why: &str) {
        let cause = Cause::Lost(format!("{}, and {why}", cut.reason));
        self.close_where(cause, |outbox| outbox.generation() == cut.generation && !outbox.is_linked());
    }

    /// Calls `dial` until it brings a link, fails for good, or the cut has lasted too long; then the connection ends.
    ///
    /// `pause` waits for as long as it is told, and says whether dialling is of no use any more.
    pub(crate) fn redial(
        &self,
        cut: &Cut,
        pause: impl Fn(Duration) -> bool,
        mut dial: impl FnMut() -> Result<(), Failed>,
    ) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        while !pause(backoff.next_delay()) {
            match dial() {
                Ok(()) => return,
                Err(Failed::ForGood(Cause::Lost(why))) => return self.give_up(cut, &why),
                Err(Failed::ForGood(cause)) => return self.close(cause),
                Err(Failed::ForNow(error)) if Instant::now() >= cut.deadline => {
                    return self.give_up(cut, &format!("the other side could not be reached again: {error}"));
                }
                Err(Failed::ForNow(_)) => {}
            }
        }
    }

    /// Goes on over a link that the other side has dialled, where `count` frames have been received; `greet` tells it how
    /// many have been here.
    pub(crate) fn take_back(
        self: &Arc<Self>,
        link: LocalLink,
        deframer: Deframer,
        count: u32,
        greet: impl FnOnce(&LocalLink, u32) -> Result<(), GreetingError>,
    ) -> Result<(), GreetingError> {
        let resumption = self.begin_resume();
        let greeted = greet(&link, resumption.received());
        let resumed = greeted.and_then(|()| self.resume(resumption, Box::new(link), deframer, count));
        if let Err(error) = &resumed {
            self.resume_failed(resumption, &format!("the connection was cut again: {error}"));
        }
        resumed
    }
}

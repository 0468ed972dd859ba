//! A stream that is being produced, and what of it waits to be sent.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Flow, Pump};
use crate::{
    codec::EncodeError,
    protocol::{
        items::{Cut, Packer},
        message::{Failure, FailureKind},
    },
    server::panics,
    stream::{
        ending::Ending,
        producer::{Produce, Step},
    },
};

/// For how long a task gathers at most before it sends.
const GATHERING: Duration = Duration::from_millis(1);

/// What is to be sent next.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) packer: Packer,
    /// How many bytes may be sent: all that is owed, or less.
    pub(super) allowed: usize,
}

/// A stream that is being produced.
pub(super) struct Production {
    pub(super) produce: Box<dyn Produce>,
    /// `None` only while it is on the stage.
    pub(super) gathered: Option<Box<Gathered>>,
    /// There is nothing more to be produced.
    pub(super) tail: Tail,
}

/// Whether more is to be produced.
pub(super) enum Tail {
    Open,
    /// No, and perhaps a reason.
    Ended(Option<Ending>),
}

impl Tail {
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Why there is no more.
    pub(super) fn take(&mut self) -> Option<Ending> {
        if let Self::Ended(why) = self { why.take() } else { None }
    }
}

/// What is to be done next.
pub(super) enum Next<'a> {
    /// To send this.
    Frame(Cut, &'a mut Gathered),
    /// To look for more.
    More,
    /// To wait until more is demanded.
    Closed,
    /// To say that there is no more.
    Ended,
}

impl Production {
    /// What is to be done next; with `is_due`, what has been gathered is to be sent, however little it is.
    pub(super) fn next_frame(&mut self, is_due: bool) -> Next<'_> {
        let Some(gathered) = &mut self.gathered else { return Next::Ended };
        let (is_ended, length) = (self.tail.is_end(), gathered.packer.len());
        if length == 0 && is_ended {
            return Next::Ended;
        }
        if gathered.allowed == 0 {
            return Next::Closed;
        }
        if is_due || is_ended || gathered.packer.is_full() || gathered.packer.has_things() || length >= gathered.allowed
        {
            if let Some(frame) = gathered.packer.cut(gathered.allowed) {
                return Next::Frame(frame, gathered);
            }
        }
        Next::More
    }

    pub(super) fn pack(&mut self, step: Step, max_item: usize) {
        let Some(gathered) = &mut self.gathered else { return };
        match step {
            Step::More => match panics::catch(|| self.produce.pack(&mut gathered.packer, max_item)) {
                Ok(Ok(())) => {}
                Ok(Err(ending)) => self.tail = Tail::Ended(Some(ending)),
                Err(panic) => self.tail = Tail::Ended(Some(panicked(&panic))),
            },
            Step::End(why) => self.tail = Tail::Ended(why),
        }
    }

    /// Ends the stream where it is, with what could not be sent.
    pub(super) fn refuse(&mut self, error: &EncodeError) {
        self.gathered = None;
        self.tail = Tail::Ended(Some(Ending::unencodable(error)));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.gathered.as_ref().is_some_and(|gathered| gathered.allowed == 0)
    }

    pub(super) fn allow(&mut self, bytes: usize) {
        if let Some(gathered) = &mut self.gathered {
            gathered.allowed = bytes;
        }
    }

    /// Gathers while more is there at once, up to a frame; [`Flow::Over`] where nobody reads any more.
    pub(super) fn poll_gather(&mut self, context: &mut Context<'_>, pump: &Pump) -> Poll<Flow> {
        // Behind this whoever releases wakes the task.
        if pump.poll_released(context) {
            return Poll::Ready(Flow::Over);
        }
        let mut began = None;
        loop {
            let Some(gathered) = &self.gathered else { return Poll::Ready(Flow::Over) };
            let is_empty = gathered.packer.is_empty();
            if self.tail.is_end()
                || gathered.packer.is_full()
                || gathered.packer.has_things()
                || gathered.packer.len() >= gathered.allowed
            {
                return Poll::Ready(Flow::On);
            }
            // A source that is ready again and again may still be slow.
            if !is_empty && began.get_or_insert_with(Instant::now).elapsed() >= GATHERING {
                return Poll::Ready(Flow::On);
            }
            match panics::catch(|| self.produce.advance(context)) {
                Ok(Poll::Pending) if is_empty => return Poll::Pending,
                Ok(Poll::Pending) => return Poll::Ready(Flow::On),
                Ok(Poll::Ready(step)) => self.pack(step, pump.outlet.max_item()),
                Err(panic) => self.tail = Tail::Ended(Some(panicked(&panic))),
            }
        }
    }
}

pub(super) fn panicked(panic: &panics::Panic) -> Ending {
    Ending::Failure(Failure::panicked(&panic.message, panic.location.as_deref()))
}

pub(super) fn interrupted() -> Ending {
    Ending::Failure(Failure::new(FailureKind::Interrupted, "what produced the stream was stopped before its end"))
}

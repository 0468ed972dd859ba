//! Requests that are made from a call: the thread that waits in the call runs them.
//!
//! A call may lend functions and objects that borrow from its caller's stack, so nobody but the caller can run them; and a chain
//! of calls back and forth needs one thread on each side, however long it is. So a request that names its parent goes to the
//! waiter of that call. The caller runs it as soon as it is its turn, and lets go of the reading first: what it runs is
//! user code.

use super::{
    Connection,
    asked::{GivenUp, Turn},
    baton::Reading,
    lock,
    outbox::{Sent, Unsent},
    tasks::is_past,
    waiter::{Waiter, Woken},
};
use crate::{
    protocol::{
        Violation,
        frame::Kind,
        message::{Failure, FailureKind, Message},
        metadata,
    },
    sync::{Arc, Instant},
};

/// How many functions without a result may be called from one call, and how many bytes of arguments they may have together,
/// before one is waited for.
pub(crate) const NOTICES: usize = 64;
pub(crate) const NOTICE_BYTES: usize = 256 << 10;

/// What runs the functions and objects that the call of a thread has lent.
pub(crate) trait Lender {
    /// Runs a request for one of them, or a notice, to its end; gives the answer if it is a request.
    fn run(&mut self, connection: &Arc<Connection>, request: Message, turn: &Turn<'_>) -> Option<Message>;
}

/// The lender of a call that lends nothing.
pub(crate) struct LendsNothing;

impl Lender for LendsNothing {
    fn run(&mut self, connection: &Arc<Connection>, request: Message, _: &Turn<'_>) -> Option<Message> {
        if request.kind == Kind::Request {
            let failure = Failure::new(FailureKind::UnknownMethod, "the call lends nothing");
            connection.refuse(request.call, &failure);
        }
        None
    }
}

/// What has become of a request for the caller of another.
enum Asked {
    /// It runs it; to be woken, if it sleeps.
    Caller(Option<Woken>),
    /// Too much waits for it already.
    TooMuch(Message),
    /// It does not wait, or not any more.
    Nobody(Message),
}

impl Connection {
    /// A request has arrived that says something beside its arguments.
    pub(super) fn request_arrived(self: &Arc<Self>, request: Message, parent: Option<u32>, woken: &mut Vec<Woken>) {
        match self.ask(parent, request) {
            Asked::Caller(asleep) => woken.extend(asleep),
            Asked::TooMuch(request) => {
                let failure =
                    Failure::new(FailureKind::Overloaded, "too many requests wait for the call they are made from");
                self.refuse(request.call, &failure);
            }
            Asked::Nobody(request) => self.run_elsewhere(request),
        }
    }

    /// A function that a call has lent is to be called, and nothing answers.
    pub(super) fn notice_arrived(self: &Arc<Self>, notice: Message, woken: &mut Vec<Woken>) -> Result<(), Violation> {
        let call = notice.call;
        if !metadata::is_lent(notice.target) {
            tracing::debug!(call, target = notice.target, "a callback of what no call can have lent was dropped");
            return Ok(());
        }
        match self.ask(Some(call), notice) {
            Asked::Caller(asleep) => woken.extend(asleep),
            Asked::TooMuch(_) => return Err(Violation::CallbackOverrun(call)),
            Asked::Nobody(_) => tracing::debug!(call, "a callback came behind the end of its call, and was dropped"),
        }
        Ok(())
    }

    /// Has the caller of `parent` run a request, if it waits, and is the one to run it.
    fn ask(&self, parent: Option<u32>, request: Message) -> Asked {
        // Locked until it is asked: a caller that leaves takes itself from among the calls, and looks behind that what it was
        // asked; its waiter may then serve another call.
        let calls = lock(&self.calls);
        // A task has no thread to itself: what may run anywhere does.
        let is_for_it = |waiter: &&Arc<Waiter>| waiter.task().is_none() || metadata::is_lent(request.target);
        let Some(waiter) = parent.and_then(|parent| calls.waiter(parent)).filter(is_for_it) else {
            return Asked::Nobody(request);
        };
        match waiter.ask(request) {
            Ok(asleep) => Asked::Caller(asleep),
            Err(request) => Asked::TooMuch(request),
        }
    }

    /// Has a request run by somebody else than the caller of its parent, which does not wait, or not any more.
    fn run_elsewhere(self: &Arc<Self>, request: Message) {
        if metadata::is_lent(request.target) {
            self.refuse(request.call, &call_ended());
        } else {
            self.handler.request(self, request);
        }
    }

    /// Runs what waits for the caller of a call, on that caller's thread, but nothing more once `deadline` has passed.
    pub(super) fn run_waiting(
        self: &Arc<Self>,
        waiter: &Waiter,
        held: &mut Option<Box<Reading>>,
        deadline: Option<Instant>,
        lender: &mut dyn Lender,
    ) {
        let mut is_put_down = false;
        while waiter.asked.is_any() && !is_past(deadline) {
            if let Some(reading) = held.take() {
                self.handler.put_down(self, reading);
                is_put_down = true;
            }
            // It may have been given up by now.
            let Some(request) = waiter.asked.next() else { break };
            self.run_asked(request, &Turn { waiter, deadline, is_answered: false }, lender);
        }
        if is_put_down {
            *held = self.handler.take_back(self);
        }
    }

    /// Runs all that was asked of a call before its answer came, whatever time that takes: what was told to a function without
    /// a result is part of what the call has brought.
    pub(super) fn run_all_waiting(
        self: &Arc<Self>,
        waiter: &Waiter,
        deadline: Option<Instant>,
        lender: &mut dyn Lender,
    ) {
        while let Some(request) = waiter.asked.next() {
            self.run_asked(request, &Turn { waiter, deadline, is_answered: true }, lender);
        }
    }

    fn run_asked(self: &Arc<Self>, request: Message, turn: &Turn<'_>, lender: &mut dyn Lender) {
        if !metadata::is_lent(request.target) {
            return self.handler.nested(self, request);
        }
        let Some(answer) = lender.run(self, request, turn) else { return };
        let call = answer.call;
        match self.send(answer, turn.deadline) {
            Ok(Sent::Partly) => self.stalled(),
            Err((Unsent::Late, _)) => self.refuse(call, &no_room()),
            // With the connection, whoever waited for the answer has ended.
            Ok(Sent::Cared) | Err((Unsent::Closed, _)) => {}
        }
    }

    /// The other side gives up a request of its own, which may be one for a caller.
    pub(super) fn cancel_arrived(self: &Arc<Self>, call: u32, woken: &mut Vec<Woken>) {
        let given_up = lock(&self.calls).callers().find_map(|waiter| waiter.asked.give_up(call));
        match given_up {
            Some(GivenUp::Waiting(request)) => {
                drop(request);
                self.refuse(call, &given_up_failure());
            }
            Some(GivenUp::Running(callback)) => woken.push(Woken::Callback(callback)),
            Some(GivenUp::Taken) | None => self.handler.cancel(call),
        }
    }

    /// Answers what waits for the caller of a call that has ended.
    pub(super) fn refuse_waiting(self: &Arc<Self>, waiter: &Waiter) {
        let mut has_handed_on = false;
        while let Some(message) = waiter.asked.next() {
            if message.kind == Kind::Request {
                has_handed_on |= !metadata::is_lent(message.target);
                self.run_elsewhere(message);
            }
        }
        if has_handed_on {
            // Who reads sleeps, and looks for what it is to run only behind what it reads.
            self.handler.read_by_caller(self);
        }
    }

    /// Has what waits to be written written by somebody, where this thread does not.
    pub(crate) fn stalled(self: &Arc<Self>) {
        self.handler.stalled(self);
    }
}

/// The answer to a request whose caller has given it up before it began.
pub(super) fn given_up_failure() -> Failure {
    Failure::new(FailureKind::Cancelled, "its caller has given up")
}

/// Why what a call has lent does not run behind its end.
pub(crate) fn call_ended() -> Failure {
    Failure::new(FailureKind::CallEnded, "the call that lent it has ended")
}

/// What to tell whoever waits for an answer that could not be sent in time.
pub(super) fn no_room() -> Failure {
    Failure::new(FailureKind::Late, "its time was over before its answer could be sent")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        codec::{self, Encoder},
        connection::tests::{connect, promptly},
        protocol::{
            frame::{Deframer, Frame, Header},
            metadata::Metadata,
        },
        transport::{Link as _, memory::MemoryLink},
    };

    fn send(link: &MemoryLink, header: Header, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap();
        link.write(&[&Header { length, ..header }.to_wire(), payload].concat()).unwrap();
    }

    /// What the next frame says.
    fn receive<R>(link: &MemoryLink, deframer: &mut Deframer, read: impl Fn(&Frame<'_>) -> R) -> R {
        loop {
            if let Some(frame) = deframer.next().unwrap() {
                return read(&frame);
            }
            let count = link.read(deframer.space()).unwrap();
            deframer.filled(count);
        }
    }

    /// Metadata that name `parent`, and no arguments.
    fn from_call(parent: u32) -> Vec<u8> {
        let mut encoder = Encoder::new(100);
        Metadata::from_call(parent).write(&mut encoder).unwrap();
        encoder.array(0).unwrap();
        encoder.into_payload()
    }

    #[test]
    fn who_calls_what_was_lent_behind_the_end_of_the_call_is_told_so() {
        let (connection, other) = connect();
        let calling = Arc::clone(&connection);
        let late = Instant::now() + Duration::from_millis(20);
        let outcome = promptly(move || calling.call(Message::control(Kind::Request, 0), Some(late)));
        assert!(outcome.is_err());
        // The other end stays open, or the connection would end with it.
        let (failure, _other) = promptly(move || {
            let mut deframer = Deframer::new();
            let parent = receive(&other, &mut deframer, |frame| frame.header.call);
            let kind = receive(&other, &mut deframer, |frame| frame.header.kind);
            assert_eq!(kind, Kind::Cancel as u8);
            let target = metadata::FIRST_LENT;
            let notice = Header { call: parent, target, kind: Kind::Notice as u8, ..Header::default() };
            send(&other, notice, &[0x90]);
            let request = Header { call: 7, target, kind: Kind::Request as u8, flags: 1, ..Header::default() };
            send(&other, request, &from_call(parent));
            let failure = receive(&other, &mut deframer, |frame| {
                assert_eq!((frame.header.call, frame.header.kind), (7, Kind::Failure as u8));
                codec::from_slice::<Failure>(frame.payload).unwrap()
            });
            (failure, other)
        });
        assert_eq!(failure.kind, FailureKind::CallEnded);
        assert!(connection.end().is_none(), "a notice that comes late breaks no rule");
    }
}

//! Calling: a number for each call, and a place where its answer is waited for.

use std::time::Duration;

use super::{
    Connection,
    baton::{Baton, Reading},
    callbacks::{Lender, LendsNothing},
    lock,
    numbered::Numbered,
    outbox::{Sent, Unsent},
    read::Progress,
    waiter::{State, Waiter, Woken},
};
use crate::{
    protocol::{frame::Kind, message::Message, outgoing::Withdrawn},
    sync::{Arc, Instant},
};

/// How often one who waits looks for signs of life.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// The calls of this side that have no answer yet, and who of them reads.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: Numbered<Slot>,
    is_closed: bool,
    pub(super) baton: Baton,
    pub(super) tasks: Tasks,
}

/// What becomes of an answer.
#[derive(Debug)]
enum Slot {
    /// Somebody waits for it.
    Waited(Arc<Waiter>),
    /// Nobody does any more. The number stays taken until the answer has come, or a late one would pass for another's.
    Abandoned,
}

/// The calls of tasks among those that wait.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) count: usize,
    /// When somebody looks after them next, if that is arranged.
    pub(super) alarm: Option<Instant>,
    /// Any has called since somebody looked.
    pub(super) has_called: bool,
    /// How often the reading had been taken when somebody looked, or when one began to wait.
    turns: Option<u64>,
    /// There were others when one began to wait last.
    were_several: bool,
}

impl Tasks {
    /// When to look after a task that has until `deadline`, unless somebody looks early enough anyway.
    pub(super) fn alarm_for(&mut self, deadline: Option<Instant>) -> Option<Instant> {
        self.has_called = true;
        if self.alarm.is_some_and(|alarm| deadline.is_none_or(|deadline| alarm <= deadline)) {
            return None;
        }
        let look = Instant::now() + LOOK;
        self.alarm = Some(deadline.map_or(look, |deadline| deadline.min(look)));
        self.alarm
    }

    /// Whether the task that has just been counted need not write at once what it sends, for others send, too.
    pub(super) fn has_company(&mut self) -> bool {
        let is_alone = self.count == 1;
        // Of those that were answered together, the first that calls again finds itself alone, and is not.
        let were_several = std::mem::replace(&mut self.were_several, !is_alone);
        !is_alone || were_several
    }

    fn left(&mut self, slot: &Slot) {
        if let Slot::Waited(waiter) = slot {
            self.count -= usize::from(waiter.task().is_some());
        }
    }
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The deadline passed.
    Late { may_have_run: bool },
    /// The connection ended, and the other side may have the request.
    Closed { may_have_run: bool },
    /// The connection ended before any of the request had left; here it is.
    Unsent(Message),
}

impl Calls {
    pub(super) fn register(&mut self, waiter: &Arc<Waiter>) -> Option<u32> {
        if self.is_closed {
            return None;
        }
        let number = self.waiting.insert(Slot::Waited(Arc::clone(waiter)));
        if waiter.task().is_some() {
            self.tasks.count += 1;
            self.tasks.turns.get_or_insert(self.baton.turns());
        }
        Some(number)
    }

    /// Whether tasks have waited since this was asked last, and nobody has taken the reading meanwhile: then the watcher is to come for
    /// it, whoever else was asked to.
    pub(super) fn is_neglected(&mut self) -> bool {
        let turns = (self.tasks.count > 0).then(|| self.baton.turns());
        let last = std::mem::replace(&mut self.tasks.turns, turns);
        let is_neglected = turns.is_some() && turns == last;
        if is_neglected {
            self.baton.leave_to_watcher();
        }
        is_neglected
    }

    /// Those that wait.
    pub(super) fn callers(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.waiting.values().filter_map(|slot| match slot {
            Slot::Waited(waiter) => Some(waiter),
            Slot::Abandoned => None,
        })
    }

    /// Those that wait, of tasks.
    pub(super) fn waiting_tasks(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.callers().filter(|waiter| waiter.task().is_some())
    }

    /// How many have no answer yet.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Who waits for the answer to `call`.
    pub(super) fn waiter(&self, call: u32) -> Option<&Arc<Waiter>> {
        match self.waiting.get(call) {
            Some(Slot::Waited(waiter)) => Some(waiter),
            Some(Slot::Abandoned) | None => None,
        }
    }

    /// Gives an answer to whom it belongs; whom to wake for it. One that nobody waits for is given back.
    pub(super) fn answer(&mut self, answer: Message) -> Result<Option<Woken>, Message> {
        let Some(slot) = self.waiting.remove(answer.call) else { return Err(answer) };
        self.tasks.left(&slot);
        match slot {
            Slot::Waited(waiter) => Ok(waiter.answer(answer)),
            Slot::Abandoned => Err(answer),
        }
    }

    /// Refuses further calls, and lets nobody read any more; gives those to wake.
    pub(super) fn close(&mut self) -> Vec<Woken> {
        self.is_closed = true;
        self.tasks.count = 0;
        self.baton.renew(u64::MAX, None);
        let slots = std::mem::take(&mut self.waiting).into_values();
        let waiters = slots.filter_map(|slot| if let Slot::Waited(waiter) = slot { Some(waiter) } else { None });
        waiters.filter_map(Waiter::close).collect()
    }

    /// Forgets who waits for the answer to `call`, which may still come if `is_expected`.
    pub(super) fn leave_unanswered(&mut self, call: u32, is_expected: bool) {
        let left = if is_expected {
            self.waiting.get_mut(call).map(|slot| std::mem::replace(slot, Slot::Abandoned))
        } else {
            self.waiting.remove(call)
        };
        if let Some(slot) = left {
            self.tasks.left(&slot);
        }
    }
}

impl Connection {
    /// Sends a request or a ping, and waits for what answers it.
    pub(crate) fn call(self: &Arc<Self>, request: Message, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        self.call_lending(request, deadline, &mut LendsNothing)
    }

    /// As [`call`](Self::call), and runs what the other side asks of what `lender` lends it.
    pub(crate) fn call_lending(
        self: &Arc<Self>,
        mut request: Message,
        deadline: Option<Instant>,
        lender: &mut dyn Lender,
    ) -> Result<Message, CallFailure> {
        let waiter = Waiter::take();
        let Some(call) = lock(&self.calls).register(&waiter) else {
            return Err(CallFailure::Unsent(request));
        };
        request.call = call;
        let outcome = match self.send_request(request, deadline) {
            Ok(sent) => self.wait_for_answer(call, &waiter, deadline, sent, lender),
            Err(failure) => Err(failure),
        };
        // Whatever has come of it, the calls do not know the waiter any more.
        self.refuse_waiting(&waiter);
        waiter.put_back();
        outcome
    }

    /// Sends the request of a call that is registered, or forgets the call.
    fn send_request(self: &Arc<Self>, request: Message, deadline: Option<Instant>) -> Result<Sent, CallFailure> {
        let call = request.call;
        self.send(request, deadline).map_err(|(unsent, request)| {
            lock(&self.calls).leave_unanswered(call, false);
            match unsent {
                Unsent::Closed => CallFailure::Unsent(request),
                Unsent::Late => CallFailure::Late { may_have_run: false },
            }
        })
    }

    fn wait_for_answer(
        self: &Arc<Self>,
        call: u32,
        waiter: &Waiter,
        deadline: Option<Instant>,
        sent: Sent,
        lender: &mut dyn Lender,
    ) -> Result<Message, CallFailure> {
        let answer = match self.wait(call, waiter, deadline, sent, lender) {
            State::Answered(answer) => answer,
            State::Closed => return Err(self.closed_under(call)),
            // It may come at the last moment.
            _ => self.abandon(call, waiter)?,
        };
        if waiter.asked.is_incomplete() {
            // It came when time was over for something that was told before.
            return Err(CallFailure::Late { may_have_run: true });
        }
        // What was asked before the answer came.
        self.run_all_waiting(waiter, deadline, lender);
        Ok(answer)
    }

    /// Why a call has no answer that the connection's end has left without one.
    pub(super) fn closed_under(&self, call: u32) -> CallFailure {
        match self.withdraw(call) {
            Withdrawn::Unsent(request) => CallFailure::Unsent(request),
            withdrawn => CallFailure::Closed { may_have_run: withdrawn == Withdrawn::Sent },
        }
    }

    /// Waits for the answer until `deadline`, reading for everybody while nobody else does, and running what the other side asks
    /// of this call.
    pub(super) fn wait(
        self: &Arc<Self>,
        call: u32,
        waiter: &Waiter,
        deadline: Option<Instant>,
        mut sent: Sent,
        lender: &mut dyn Lender,
    ) -> State {
        // Whoever waits in a handler has lent the reading, and reads for itself.
        let mut held: Option<Box<Reading>> = self.handler.take_back(self);
        loop {
            self.run_waiting(waiter, &mut held, deadline, lender);
            if let Some(mut reading) = held.take() {
                self.handler.read_by_caller(self);
                let progress = self.read_on(&mut reading, deadline);
                self.handler.read_by_caller(self);
                let is_over = waiter.is_over() || deadline.is_some_and(|deadline| deadline <= Instant::now());
                if progress == Progress::Over {
                    if is_over {
                        return waiter.look();
                    }
                } else if is_over {
                    self.handler.put_down(self, reading);
                    return waiter.look();
                } else {
                    if progress == Progress::Nothing {
                        self.check_pulse();
                    }
                    held = Some(reading);
                }
                continue;
            }
            held = self.take_or_park(call, waiter);
            if held.is_some() {
                continue;
            }
            if std::mem::take(&mut sent) == Sent::Partly {
                self.handler.stalled(self);
            }
            match waiter.sleep(self.next_look(deadline)) {
                State::Promoted(reading) => held = Some(reading),
                State::Waiting if deadline.is_none_or(|deadline| deadline > Instant::now()) => self.check_pulse(),
                state => return state,
            }
        }
    }

    /// Until when to sleep. Where a thread of its own reads, those who wait look for signs of life; else the reader does.
    fn next_look(&self, deadline: Option<Instant>) -> Option<Instant> {
        if self.is_shared() || !self.options.ticks {
            return deadline;
        }
        let look = Instant::now() + LOOK;
        Some(deadline.map_or(look, |deadline| deadline.min(look)))
    }

    /// Takes the reading if nobody has it; else prepares to sleep, unless the wait is over.
    fn take_or_park(&self, call: u32, waiter: &Waiter) -> Option<Box<Reading>> {
        let mut calls = lock(&self.calls);
        if waiter.is_over() || waiter.asked.is_any() {
            return None;
        }
        let reading = calls.baton.take();
        if reading.is_none() {
            calls.park(call);
            waiter.park();
        }
        reading
    }

    /// Gives up a call whose time is over, unless its answer has just come.
    pub(super) fn abandon(self: &Arc<Self>, call: u32, waiter: &Waiter) -> Result<Message, CallFailure> {
        let withdrawn = self.withdraw(call);
        // The other side will not answer a request of which it will never have the whole. After this nobody finds the
        // waiter any more.
        lock(&self.calls).leave_unanswered(call, withdrawn == Withdrawn::Sent);
        match waiter.look() {
            State::Answered(answer) => return Ok(answer),
            State::Promoted(reading) => self.leave(reading),
            State::Waiting | State::Parked | State::Closed => {}
        }
        if withdrawn == Withdrawn::Sent {
            self.send_control(Message::control(Kind::Cancel, call));
        }
        if self.write_now() {
            self.handler.stalled(self);
        }
        Err(CallFailure::Late { may_have_run: withdrawn == Withdrawn::Sent })
    }
}

/// What the header says of a deadline that is so far away: at least 1, since 0 is none.
pub(super) fn milliseconds(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

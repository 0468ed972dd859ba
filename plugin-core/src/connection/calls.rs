//! Calling: a number for each call, and a place where its answer is waited for.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

use super::{Connection, lock, outbox::Unsent};
use crate::protocol::{frame::Kind, message::Message, outgoing::Withdrawn};

/// The calls of this side that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: HashMap<u32, Slot>,
    last: u32,
    is_closed: bool,
}

/// What becomes of an answer.
#[derive(Debug)]
enum Slot {
    /// Somebody waits for it.
    Waited(Arc<Waiter>),
    /// Nobody does any more. The number stays taken until the answer has come, or a late one would pass for another's.
    Abandoned,
}

/// Where one caller waits.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Answered(Message),
    Closed,
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
    fn register(&mut self) -> Option<(u32, Arc<Waiter>)> {
        if self.is_closed {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && !self.waiting.contains_key(&self.last) {
                break;
            }
        }
        let waiter = Arc::<Waiter>::default();
        self.waiting.insert(self.last, Slot::Waited(Arc::clone(&waiter)));
        Some((self.last, waiter))
    }

    /// Refuses further calls; gives those to wake.
    pub(super) fn close(&mut self) -> Vec<Arc<Waiter>> {
        self.is_closed = true;
        let slots = std::mem::take(&mut self.waiting).into_values();
        slots.filter_map(|slot| if let Slot::Waited(waiter) = slot { Some(waiter) } else { None }).collect()
    }
}

impl Waiter {
    fn answered(&self, answer: Message) {
        *lock(&self.state) = State::Answered(answer);
        self.changed.notify_one();
    }

    pub(super) fn connection_closed(&self) {
        let mut state = lock(&self.state);
        if let State::Waiting = *state {
            *state = State::Closed;
        }
        self.changed.notify_one();
    }

    /// Waits for a change until `deadline`; still `Waiting` if none came.
    fn wait(&self, deadline: Option<Instant>) -> State {
        let mut state = lock(&self.state);
        while let State::Waiting = *state {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        std::mem::take(&mut *state)
    }
}

impl Connection {
    /// Sends a request or a ping, and waits for what answers it.
    pub(crate) fn call(&self, mut request: Message, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(CallFailure::Late { may_have_run: false });
        }
        let Some((call, waiter)) = lock(&self.calls).register() else {
            return Err(CallFailure::Unsent(request));
        };
        request.call = call;
        if request.kind == Kind::Request {
            request.deadline = milliseconds_left(deadline);
        }
        if let Err((unsent, request)) = self.send(request, deadline) {
            lock(&self.calls).waiting.remove(&call);
            return Err(match unsent {
                Unsent::Closed => CallFailure::Unsent(request),
                Unsent::Late => CallFailure::Late { may_have_run: false },
            });
        }
        match waiter.wait(deadline) {
            State::Answered(answer) => Ok(answer),
            State::Closed => Err(match self.withdraw(call) {
                Withdrawn::Unsent(request) => CallFailure::Unsent(request),
                withdrawn => CallFailure::Closed { may_have_run: withdrawn == Withdrawn::Sent },
            }),
            State::Waiting => self.abandon(call, &waiter),
        }
    }

    /// Gives up a call whose time is over, unless its answer has just come.
    fn abandon(&self, call: u32, waiter: &Waiter) -> Result<Message, CallFailure> {
        let withdrawn = self.withdraw(call);
        {
            let mut calls = lock(&self.calls);
            // Under the lock that `answered` takes to find the waiter: after this no answer can reach it.
            match &withdrawn {
                // The other side will never have the whole request, so it will not answer.
                Withdrawn::Unsent(_) | Withdrawn::Partly => drop(calls.waiting.remove(&call)),
                Withdrawn::Sent => {
                    if let Some(slot) = calls.waiting.get_mut(&call) {
                        *slot = Slot::Abandoned;
                    }
                }
            }
        }
        if let State::Answered(answer) = std::mem::take(&mut *lock(&waiter.state)) {
            return Ok(answer);
        }
        if withdrawn == Withdrawn::Sent {
            self.send_control(Message::control(Kind::Cancel, call));
        }
        self.write_now();
        Err(CallFailure::Late { may_have_run: withdrawn == Withdrawn::Sent })
    }

    /// Gives an answer to whom it belongs. One that nobody waits for is dropped.
    pub(super) fn answered(&self, answer: Message) {
        let mut calls = lock(&self.calls);
        if let Some(Slot::Waited(waiter)) = calls.waiting.remove(&answer.call) {
            waiter.answered(answer);
        }
    }
}

/// What the header says: 0 for no deadline, else at least 1.
fn milliseconds_left(deadline: Option<Instant>) -> u32 {
    deadline.map_or(0, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        u32::try_from(left).unwrap_or(u32::MAX).max(1)
    })
}

//! Streams of the other side that are read here.
//!
//! What arrives of a stream waits in its [`Inlet`]. A reader that finds nothing there registers like a call, under a number that
//! is never sent, with the inlet locked, and waits like any caller: so it reads for everybody, is promoted, woken, told of the
//! end, and looks for signs of life. Whoever brings something locks the inlet, too: either it finds the reader registered, and
//! answers it, or the reader finds what was brought.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
};

use super::{
    CallFailure, Connection, Import, MAX_STREAMS,
    callbacks::LendsNothing,
    lock,
    outbox::Sent,
    tasks::is_past,
    waiter::{State as Waited, Waiter, Woken},
};
use crate::{
    codec::Decoder,
    protocol::{Violation, flow::Demand, frame::Kind, message::Message},
    sync::{Arc, Instant, Mutex},
};

/// How much of one stream waits at most, as [`weight`] has it. An honest producer's items, which are one window, weigh half of that.
const MAX_WAITING: usize = 64 << 20;

/// What a message weighs that says something beside its items, in memory that its bytes do not show.
const OVERHEAD: usize = 256;

/// Up to this many bytes what comes without being waited for is added to what waits already.
const JOINED: usize = 64 << 10;

/// By target, the streams that are held here.
pub(super) type Inlets = HashMap<u32, Arc<Inlet>>;

/// What has arrived of one stream and was not read.
#[derive(Default)]
pub(crate) struct Inlet {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    arrived: VecDeque<Message>,
    /// That of all in `arrived`.
    weight: usize,
    demand: Demand,
    /// Nothing more may come.
    has_ended: bool,
    /// The number under which the reader waits, or did until somebody else ended that.
    reader: Option<u32>,
}

/// A stream of the other side's. Dropping it lets go of the stream there.
pub(crate) struct Inward {
    import: Arc<Import>,
    inlet: Arc<Inlet>,
    /// A task waits.
    waiting: Option<Waiting>,
}

struct Waiting {
    waiter: Arc<Waiter>,
    call: u32,
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it refers to a stream that is held here already")]
    Held,
    #[error("more than {MAX_STREAMS} streams of the other side would be open")]
    TooMany,
}

/// What a reader finds.
enum Found {
    Message(Message),
    /// Nothing yet; the reader is registered.
    Nothing {
        call: u32,
        alarm: Option<Instant>,
    },
    /// The connection has ended.
    Closed,
}

impl Inward {
    pub(crate) fn new(import: Arc<Import>) -> Result<Self, Refused> {
        let inlet = Arc::<Inlet>::default();
        let mut inlets = lock(&import.connection().inlets);
        if inlets.contains_key(&import.target()) {
            return Err(Refused::Held);
        }
        if inlets.len() >= MAX_STREAMS {
            return Err(Refused::TooMany);
        }
        inlets.insert(import.target(), Arc::clone(&inlet));
        drop(inlets);
        Ok(Self { import, inlet, waiting: None })
    }

    pub(crate) fn import(&self) -> &Arc<Import> {
        &self.import
    }

    /// What arrives next, waiting for it until `deadline`.
    pub(crate) fn receive(&mut self, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        // A task may have waited before, and have been answered since.
        let brought = self.waiting.take().and_then(|waiting| self.leave(waiting.call, &waiting.waiter));
        if let Some(message) = brought.or_else(|| self.find_at_once()) {
            return Ok(self.taken(message));
        }
        let waiter = Waiter::take();
        let outcome = match self.find(&waiter) {
            Found::Message(message) => Ok(message),
            Found::Closed => Err(closed()),
            Found::Nothing { call, .. } => self.wait(call, &waiter, deadline),
        };
        // Nobody finds the waiter any more.
        self.import.connection().refuse_waiting(&waiter);
        waiter.put_back();
        outcome.map(|message| self.taken(message))
    }

    fn wait(&self, call: u32, waiter: &Waiter, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        match self.import.connection().wait(call, waiter, deadline, Sent::Cared, &mut LendsNothing) {
            Waited::Answered(message) => Ok(message),
            Waited::Closed => self.leave(call, waiter).ok_or_else(closed),
            _ => self.leave(call, waiter).ok_or(CallFailure::Late { may_have_run: false }),
        }
    }

    /// As [`receive`](Self::receive), for a task.
    pub(crate) fn poll_receive(
        &mut self,
        context: &Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<Message, CallFailure>> {
        self.poll(context, deadline).map(|outcome| outcome.map(|message| self.taken(message)))
    }

    fn poll(&mut self, context: &Context<'_>, deadline: Option<Instant>) -> Poll<Result<Message, CallFailure>> {
        // A deadline of another poll than the last is another wait.
        let is_other = |waiting: &mut Waiting| waiting.waiter.task().is_some_and(|task| task.deadline != deadline);
        if let Some(waiting) = self.waiting.take_if(is_other) {
            if let Some(message) = self.leave(waiting.call, &waiting.waiter) {
                return Poll::Ready(Ok(message));
            }
        }
        if self.waiting.is_none() {
            if let Some(message) = self.find_at_once() {
                return Poll::Ready(Ok(message));
            }
            let waiter = Waiter::of_task(deadline, None);
            match self.find(&waiter) {
                Found::Message(message) => return Poll::Ready(Ok(message)),
                Found::Closed => return Poll::Ready(Err(closed())),
                Found::Nothing { call, alarm } => {
                    self.import.connection().arrange(alarm);
                    self.waiting = Some(Waiting { waiter, call });
                }
            }
        }
        let Some(waiting) = &self.waiting else { return Poll::Pending };
        let ended = match waiting.waiter.poll(context) {
            Poll::Ready(Waited::Answered(message)) => Ok(message),
            Poll::Ready(_) => Err(closed()),
            Poll::Pending if is_past(deadline) => Err(CallFailure::Late { may_have_run: false }),
            Poll::Pending => {
                self.import.connection().see_to_attendance();
                return Poll::Pending;
            }
        };
        let Some(waiting) = self.waiting.take() else { return Poll::Ready(ended) };
        if ended.is_ok() {
            self.import.connection().refuse_waiting(&waiting.waiter);
        }
        // An answer leaves nothing else behind; without one, something may have come at the last moment.
        Poll::Ready(ended.or_else(|failure| self.leave(waiting.call, &waiting.waiter).ok_or(failure)))
    }

    /// What waits to be read. The first time, asks for something to come.
    fn find_at_once(&self) -> Option<Message> {
        let (message, begin) = {
            let mut state = lock(&self.inlet.state);
            (state.next(), state.demand.begin())
        };
        self.demand(begin);
        message
    }

    /// What waits to be read; if that is nothing, whoever brings something tells `waiter`.
    fn find(&self, waiter: &Arc<Waiter>) -> Found {
        let mut state = lock(&self.inlet.state);
        if let Some(message) = state.next() {
            return Found::Message(message);
        }
        let mut calls = lock(&self.import.connection().calls);
        let Some(call) = calls.register(waiter) else { return Found::Closed };
        state.reader = Some(call);
        let alarm = waiter.task().and_then(|task| calls.tasks.alarm_for(task.deadline));
        Found::Nothing { call, alarm }
    }

    /// Ends a wait, unless something has just come.
    fn leave(&self, call: u32, waiter: &Waiter) -> Option<Message> {
        let connection = self.import.connection();
        // After this nobody finds the waiter any more.
        lock(&connection.calls).leave_unanswered(call, false);
        match waiter.look() {
            Waited::Answered(message) => return Some(message),
            Waited::Promoted(reading) => connection.leave(reading),
            Waited::Waiting | Waited::Parked | Waited::Closed => {}
        }
        if waiter.task().is_some() {
            connection.refuse_waiting(waiter);
        }
        let mut state = lock(&self.inlet.state);
        state.reader = None;
        state.next()
    }

    /// Takes note that the reader takes a message, and asks for more where it is time.
    fn taken(&self, mut message: Message) -> Message {
        if message.kind == Kind::Items {
            if message.meta {
                // It could be read when it arrived.
                let metadata = metadata_length(&message).unwrap_or_default();
                message.payload = message.payload[metadata..].into();
                message.meta = false;
            }
            let more = lock(&self.inlet.state).demand.read(taken_of_window(message.payload.len(), &message));
            self.demand(more);
        }
        message
    }

    fn demand(&self, bytes: Option<u32>) {
        if let Some(bytes) = bytes {
            let demand = Message::control(Kind::Demand, bytes);
            self.import.connection().send_control(Message { target: self.import.target(), ..demand });
        }
    }
}

impl Drop for Inward {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let _ = self.leave(waiting.call, &waiting.waiter);
        }
        // Before the other side can hear of it, and use the number for another.
        let inlet = lock(&self.import.connection().inlets).remove(&self.import.target());
        drop(inlet);
    }
}

fn closed() -> CallFailure {
    CallFailure::Closed { may_have_run: true }
}

impl State {
    fn next(&mut self) -> Option<Message> {
        let message = self.arrived.pop_front()?;
        self.weight -= weight(&message);
        Some(message)
    }

    /// Keeps what nobody waits for.
    fn keep(&mut self, message: Message) {
        self.weight += weight(&message);
        let is_plain = |message: &Message| message.kind == Kind::Items && !message.meta && message.deadline == 0;
        let last = self.arrived.back_mut().filter(|last| is_plain(last) && is_plain(&message));
        match last.filter(|last| last.payload.len() + message.payload.len() <= JOINED) {
            Some(last) => last.payload.extend_from_slice(&message.payload),
            None => self.arrived.push_back(message),
        }
    }
}

impl Connection {
    /// Something of a stream has arrived, be it its end. Of one that is not held any more, it is dropped.
    pub(super) fn stream_arrived(self: &Arc<Self>, message: Message, woken: &mut Vec<Woken>) -> Result<(), Violation> {
        let target = message.target;
        let Some(inlet) = lock(&self.inlets).get(&target).cloned() else { return Ok(()) };
        let items = message.payload.len() - metadata_length(&message)?;
        let mut state = lock(&inlet.state);
        if state.has_ended {
            return Err(Violation::BehindEnd(target));
        }
        if message.kind == Kind::Items {
            let is_too_much = state.weight + weight(&message) > MAX_WAITING;
            // Frames of nothing could be any number.
            if items == 0 || is_too_much || !state.demand.received(taken_of_window(items, &message)) {
                return Err(Violation::StreamOverrun(target));
            }
        }
        state.has_ended = message.kind == Kind::End;
        let message = match state.reader.take() {
            Some(call) => match lock(&self.calls).answer(Message { call, ..message }) {
                Ok(asleep) => {
                    woken.extend(asleep);
                    return Ok(());
                }
                Err(message) => message,
            },
            None => message,
        };
        state.keep(message);
        Ok(())
    }
}

/// How many bytes of the window a message takes that has so many bytes of items: those, and what the sender says it takes for
/// what it refers to.
fn taken_of_window(items: usize, message: &Message) -> usize {
    items.saturating_add(message.deadline as usize)
}

/// What `message` weighs while it waits.
fn weight(message: &Message) -> usize {
    message.payload.len() + if message.meta { OVERHEAD } else { 0 }
}

/// How many bytes of metadata come before the items.
fn metadata_length(message: &Message) -> Result<usize, Violation> {
    if !message.meta {
        return Ok(0);
    }
    let mut decoder = Decoder::new(&message.payload);
    decoder.skip().map_err(|error| Violation::BadMetadata { target: message.target, why: error.to_string() })?;
    Ok(message.payload.len() - decoder.left())
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;

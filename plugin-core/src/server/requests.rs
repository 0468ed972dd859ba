//! The requests that a plugin has received and not answered, and what answers them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{call::CallState, numbers::Numbers, pace::Place};
use crate::{connection::Connection, deadline, interface::Dispatch, objects::object, protocol::message::Message};

/// What every request has to do with: one lock for all of it.
pub(super) struct Requests {
    /// In the order of the greeting; emptied when serving ends.
    pub(super) dispatchers: Vec<Arc<dyn Dispatch>>,
    /// Requests for whoever leads to run where it stands.
    quick: VecDeque<Task>,
    /// When the first of those came that have come since one was taken: they came together.
    came: Option<Instant>,
    /// The calls that are being answered or wait for a thread, by number.
    pub(super) running: HashMap<u32, Arc<CallState>, Numbers>,
}

impl Requests {
    pub(super) fn new(dispatchers: Vec<Arc<dyn Dispatch>>) -> Self {
        Self { dispatchers, quick: VecDeque::new(), came: None, running: HashMap::with_hasher(Numbers::new()) }
    }

    pub(super) fn dispatcher(&self, target: u32) -> Option<Arc<dyn Dispatch>> {
        self.dispatchers.get(target as usize).cloned()
    }

    /// Takes note of a request that is going to be answered, and came at `now`.
    pub(super) fn begin(&mut self, request: Message, place: Place, now: Instant) -> Task {
        // Counted from its arrival, not from when a thread is free: waiting in the queue is part of the call.
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(now, Duration::from_millis(left.into())),
        };
        let call = CallState::new(limit);
        self.running.insert(request.call, Arc::clone(&call));
        Task { request, call, place, dispatcher: None }
    }

    /// As [`begin`](Self::begin), of one that whoever leads runs.
    pub(super) fn begin_quick(&mut self, request: Message, place: Place) {
        let now = *self.came.get_or_insert_with(Instant::now);
        let task = self.begin(request, place, now);
        self.quick.push_back(task);
    }

    /// The next that whoever leads is to run.
    pub(super) fn next_quick(&mut self) -> Option<Task> {
        self.came = None;
        let mut task = self.quick.pop_front()?;
        task.dispatcher = self.dispatcher(task.request.target);
        Some(task)
    }
}

/// Where what is learnt of a method's pace is noted. Objects come and go; what is learnt of one is good for all of its interface.
pub(super) fn place(connection: &Connection, request: &Message) -> Place {
    let target = object::find(connection, request.target).map_or(request.target, |object| object.place());
    Place { target, method: request.method }
}

/// A request, and what is known of its call.
pub(super) struct Task {
    pub(super) request: Message,
    pub(super) call: Arc<CallState>,
    pub(super) place: Place,
    /// What answers it, if that has been looked up.
    pub(super) dispatcher: Option<Arc<dyn Dispatch>>,
}

impl Task {
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

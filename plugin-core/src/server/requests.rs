//! The requests that a plugin has received and not answered, and what answers them.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{call::CallState, pace::Place, running::Running};
use crate::{connection::Connection, deadline, interface::Dispatch, objects::object, protocol::message::Message};

/// What every request has to do with: one lock for all of it.
pub(super) struct Requests {
    /// In the order of the greeting; emptied when serving ends.
    pub(super) dispatchers: Vec<Arc<dyn Dispatch>>,
    /// Requests for whoever leads to run where it stands.
    quick: VecDeque<Task>,
    /// When the first of those came that have come since one was taken: they came together.
    came: Option<Instant>,
    /// All others that are to be answered.
    running: Running,
}

impl Requests {
    pub(super) fn new(dispatchers: Vec<Arc<dyn Dispatch>>) -> Self {
        Self { dispatchers, quick: VecDeque::new(), came: None, running: Running::new() }
    }

    pub(super) fn dispatcher(&self, target: u32) -> Option<Arc<dyn Dispatch>> {
        self.dispatchers.get(target as usize).cloned()
    }

    /// Takes note of a request that is going to be answered, and came at `now`.
    pub(super) fn begin(&mut self, request: Message, place: Place, now: Instant) -> Task {
        let task = Task::new(request, place, now);
        self.running.begin(task.request.call, Arc::clone(&task.call));
        task
    }

    /// As [`begin`](Self::begin), of one that whoever leads runs.
    #[inline]
    pub(super) fn begin_quick(&mut self, request: Message, place: Place) {
        let now = *self.came.get_or_insert_with(Instant::now);
        self.quick.push_back(Task::new(request, place, now));
    }

    /// The next that whoever leads is to run.
    #[inline]
    pub(super) fn next_quick(&mut self) -> Option<Task> {
        self.came = None;
        let task = self.quick.pop_front()?;
        self.running.begin(task.request.call, Arc::clone(&task.call));
        Some(task)
    }

    /// Takes a call from among those that are to be answered; to be let go of where nothing is locked.
    #[must_use = "it is to be dropped without the lock"]
    pub(super) fn end(&mut self, number: u32) -> Option<Arc<CallState>> {
        self.running.end(number)
    }

    /// What is known of a call that is to be answered.
    pub(super) fn call(&self, number: u32) -> Option<&Arc<CallState>> {
        // Of those, few wait: the thread that leads runs them before it reads what may cancel one.
        let waiting = || self.quick.iter().find(|task| task.request.call == number).map(|task| &task.call);
        self.running.get(number).or_else(waiting)
    }

    /// All calls that are to be answered.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Arc<CallState>> {
        self.running.all().chain(self.quick.iter().map(|task| &task.call))
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.running.len() + self.quick.len()
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
}

impl Task {
    #[inline]
    fn new(request: Message, place: Place, now: Instant) -> Self {
        // Counted from its arrival, not from when a thread is free: waiting in the queue is part of the call.
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(now, Duration::from_millis(left.into())),
        };
        Self { request, call: CallState::new(limit), place }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

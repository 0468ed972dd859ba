//! Where one caller waits, and what can end its wait.
//!
//! Whoever ends a wait has found the waiter among the calls, and holds their lock; so does a caller that goes to sleep. Waking
//! comes later, without the lock, or the woken thread would run into it.

use std::{
    cell::RefCell,
    task::{Context, Poll, Waker},
};

use super::{baton::Reading, callbacks::Waiting, lock};
use crate::{
    protocol::message::Message,
    signal::wake,
    sync::{Arc, Condvar, Instant, Mutex, PoisonError, thread_local},
};

/// Where one caller waits.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    state: Mutex<State>,
    changed: Condvar,
    /// `None` where a thread waits.
    task: Option<Task>,
    /// What the other side asks of this caller meanwhile.
    pub(super) asked: Waiting,
}

/// What is known of a task that waits. It neither sleeps nor reads: it is woken, and looks.
#[derive(Debug)]
pub(super) struct Task {
    waker: Mutex<Option<Waker>>,
    pub(super) deadline: Option<Instant>,
}

/// What has become of a wait.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nothing yet; the caller is awake and will look again.
    #[default]
    Waiting,
    /// Nothing yet; the caller sleeps until it is woken.
    Parked,
    /// The answer is here.
    Answered(Message),
    /// The caller is to read the link from now on, for everybody.
    Promoted(Box<Reading>),
    /// The connection has ended.
    Closed,
}

thread_local! {
    /// Waiters of this thread that are not in use. A call made while another waits takes its own.
    static IDLE: RefCell<Vec<Arc<Waiter>>> = const { RefCell::new(Vec::new()) };
}

impl Waiter {
    /// One for a call of this thread.
    pub(super) fn take() -> Arc<Self> {
        // A thread that ends may call in the destructor of its own values, behind that of the waiters.
        IDLE.try_with(|idle| idle.borrow_mut().pop()).ok().flatten().unwrap_or_default()
    }

    /// Keeps it for this thread's next call. Nobody may find it any more, or another call's end would end that one; that
    /// somebody is still about to wake it does no harm.
    pub(super) fn put_back(self: Arc<Self>) {
        *lock(&self.state) = State::Waiting;
        let _ = IDLE.try_with(|idle| idle.borrow_mut().push(self));
    }

    /// One for a call of a task, which has until `deadline`.
    pub(super) fn of_task(deadline: Option<Instant>) -> Arc<Self> {
        Arc::new(Self { task: Some(Task { waker: Mutex::default(), deadline }), ..Self::default() })
    }

    /// The task that waits, if it is one.
    pub(super) fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// Has the task woken when something becomes of its wait.
    pub(super) fn wakes(&self, context: &Context<'_>) {
        let Some(task) = &self.task else { return };
        if !lock(&task.waker).as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            let waker = context.waker().clone();
            let last = lock(&task.waker).replace(waker);
            drop(last); // Without the lock, as it was cloned: a waker is code of somebody else's.
        }
    }

    /// What has become of a task's wait, if that is something.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<State> {
        self.wakes(context);
        // Looked at behind that: whoever ends the wait changes the state first and takes the waker then.
        let mut state = lock(&self.state);
        match *state {
            State::Answered(_) | State::Closed => Poll::Ready(std::mem::take(&mut *state)),
            _ => Poll::Pending,
        }
    }

    /// Gives the answer; whether the caller must be [woken](Self::wake) for it.
    pub(super) fn answer(&self, answer: Message) -> bool {
        self.end(State::Answered(answer))
    }

    /// Says that no answer will come; whether the caller must be woken.
    pub(super) fn close(&self) -> bool {
        self.end(State::Closed)
    }

    /// An answer that is here already stays; whether the caller must be woken.
    fn end(&self, with: State) -> bool {
        let mut state = lock(&self.state);
        match &*state {
            State::Answered(_) | State::Closed => false,
            State::Waiting => {
                *state = with;
                self.task.is_some()
            }
            // A caller that was promoted and has not noticed loses a reading that another link has outdated.
            State::Parked | State::Promoted(_) => {
                *state = with;
                true
            }
        }
    }

    /// Has the caller run what the other side asks of it; whether it must be woken. Given back where too much waits already.
    pub(super) fn ask(&self, message: Message) -> Result<bool, Message> {
        // Before the state is looked at: a caller that is awake looks here before it sleeps.
        self.asked.add(message)?;
        let mut state = lock(&self.state);
        let is_parked = matches!(*state, State::Parked);
        if is_parked {
            *state = State::Waiting;
        }
        Ok(is_parked || self.task.is_some())
    }

    /// Lets the caller read; gives the reading back unless it is parked.
    pub(super) fn promote(&self, reading: Box<Reading>) -> Option<Box<Reading>> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Parked) {
            return Some(reading);
        }
        *state = State::Promoted(reading);
        drop(state);
        self.wake();
        None
    }

    pub(super) fn wake(&self) {
        match &self.task {
            None => self.changed.notify_one(),
            Some(task) => {
                let waker = lock(&task.waker).take();
                if let Some(waker) = waker {
                    wake(waker);
                }
            }
        }
    }

    /// Says that the caller is about to [`sleep`](Self::sleep), unless there is a reason not to.
    pub(super) fn park(&self) {
        let mut state = lock(&self.state);
        if let (State::Waiting, false) = (&*state, self.asked.is_any()) {
            *state = State::Parked;
        }
    }

    /// Whether the wait has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(*lock(&self.state), State::Answered(_) | State::Closed)
    }

    /// What has become of it so far.
    pub(super) fn look(&self) -> State {
        std::mem::take(&mut *lock(&self.state))
    }

    /// Sleeps while parked, but not past `until`.
    pub(super) fn sleep(&self, until: Option<Instant>) -> State {
        let mut state = lock(&self.state);
        while let State::Parked = *state {
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        match std::mem::take(&mut *state) {
            State::Parked => State::Waiting,
            state => state,
        }
    }
}

//! Where one caller waits, and what can end its wait.
//!
//! Whoever ends a wait has found the waiter among the calls, and holds their lock; so does a caller that goes to sleep. Waking
//! comes later, without the lock, or the woken thread would run into it.

use std::{
    cell::RefCell,
    task::{Context, Poll, Waker},
};

use super::{
    asked::{Asked, Cancel},
    baton::Reading,
    lock,
};
use crate::{
    protocol::message::Message,
    signal::wake,
    sync::{Arc, Condvar, FOLLOWERS, Instant, Mutex, PoisonError, thread_local},
};

/// Where one caller waits.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    wait: Mutex<Wait>,
    changed: Condvar,
    /// `None` where a thread waits.
    task: Option<Task>,
    /// What the other side asks of this caller meanwhile.
    pub(super) asked: Asked,
}

#[derive(Debug, Default)]
struct Wait {
    state: State,
    /// Of the task that waits, unless it has been woken since it looked.
    waker: Option<Waker>,
    /// A thread sleeps, and looks whom it is to wake when it is woken.
    is_asleep: bool,
    has_followers: bool,
    /// `None` until there are some for the first time.
    followers: Option<Box<Followers>>,
}

/// Threads that another wakes, which is woken first.
type Followers = [Option<Arc<Waiter>>; FOLLOWERS];

/// What is known of a task that waits. It neither sleeps nor reads: it is woken, and looks.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) deadline: Option<Instant>,
}

/// A caller that is to be woken, without a lock.
#[derive(Debug)]
pub(super) enum Woken {
    Thread(Arc<Waiter>),
    Task(Waker),
    /// What the caller's thread runs for the other side, and is of no use any more.
    Callback(Arc<dyn Cancel>),
}

impl Woken {
    pub(super) fn wake(self) {
        match self {
            Self::Thread(waiter) => waiter.changed.notify_one(),
            Self::Task(waker) => wake(waker),
            Self::Callback(callback) => callback.cancel(),
        }
    }

    /// Wakes all of them. If they are many, the first of some threads wakes the others: they are nearer to sleep again than whoever
    /// has read for all of them, so that they interrupt each other less where they share a processor.
    pub(super) fn wake_all(woken: &mut Vec<Self>) {
        if woken.len() <= FOLLOWERS {
            return woken.drain(..).for_each(Self::wake);
        }
        let mut woken = woken.drain(..);
        while let Some(next) = woken.next() {
            let Self::Thread(first) = next else {
                next.wake();
                continue;
            };
            let mut followers = Followers::default();
            for (place, follower) in followers.iter_mut().zip(&mut woken) {
                match follower {
                    Self::Thread(follower) => *place = Some(follower),
                    other => other.wake(),
                }
            }
            let left = first.precede(followers);
            first.changed.notify_one();
            wake_followers(left);
        }
    }

    pub(super) fn is_thread(&self) -> bool {
        matches!(self, Self::Thread(_))
    }
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

/// How many waiters of tasks a thread keeps for those that call next.
const KEPT: usize = 256;

thread_local! {
    /// Waiters of this thread that are not in use. A call made while another waits takes its own.
    static IDLE: RefCell<Vec<Arc<Waiter>>> = const { RefCell::new(Vec::new()) };
    /// Those of tasks, left by the ones that were polled last on this thread.
    static OF_TASKS: RefCell<Vec<Arc<Waiter>>> = const { RefCell::new(Vec::new()) };
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
        lock(&self.wait).state = State::Waiting;
        self.asked.clear();
        let _ = IDLE.try_with(|idle| idle.borrow_mut().push(self));
    }

    /// One for a call of a task, which has until `deadline`. With a `waker`, the task is woken when something becomes of its
    /// wait, and need not look before.
    pub(super) fn of_task(deadline: Option<Instant>, waker: Option<Waker>) -> Arc<Self> {
        let task = Some(Task { deadline });
        let mut idle = OF_TASKS.try_with(|idle| idle.borrow_mut().pop()).ok().flatten();
        if let Some(waiter) = idle.as_mut().and_then(Arc::get_mut) {
            waiter.task = task;
            waiter.wait.get_mut().unwrap_or_else(PoisonError::into_inner).waker = waker;
            return idle.unwrap_or_default();
        }
        let wait = Mutex::new(Wait { waker, ..Wait::default() });
        Arc::new(Self { wait, task, ..Self::default() })
    }

    /// Keeps that of a task whose answer has been taken, unless somebody still holds it. It knows no waker any more: whoever brought
    /// the answer took that.
    pub(super) fn put_back_by_task(self: Arc<Self>) {
        // Whoever takes it makes sure of that again.
        if Arc::strong_count(&self) == 1 {
            self.asked.clear();
            let _ = OF_TASKS.try_with(|idle| {
                let mut idle = idle.borrow_mut();
                if idle.len() < KEPT {
                    idle.push(self);
                }
            });
        }
    }

    /// The task that waits, if it is one.
    pub(super) fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// Has the task woken when something becomes of its wait.
    pub(super) fn wakes(&self, context: &Context<'_>) {
        if self.task.is_none() || lock(&self.wait).is_for(context) {
            return;
        }
        // Both without the lock: a waker is code of somebody else's.
        let waker = context.waker().clone();
        let last = lock(&self.wait).waker.replace(waker);
        drop(last);
    }

    /// What has become of a task's wait, if that is something.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<State> {
        {
            let mut wait = lock(&self.wait);
            if wait.is_over() {
                return Poll::Ready(std::mem::take(&mut wait.state));
            }
            if wait.is_for(context) {
                return Poll::Pending;
            }
        }
        self.wakes(context);
        // Looked at behind that: whoever ends the wait takes the waker that is there then.
        let mut wait = lock(&self.wait);
        if wait.is_over() { Poll::Ready(std::mem::take(&mut wait.state)) } else { Poll::Pending }
    }

    /// Gives the answer; who must be woken for it.
    pub(super) fn answer(self: Arc<Self>, answer: Message) -> Option<Woken> {
        self.end(State::Answered(answer))
    }

    /// Says that no answer will come; who must be woken.
    pub(super) fn close(self: Arc<Self>) -> Option<Woken> {
        self.end(State::Closed)
    }

    /// An answer that is here already stays; who must be woken.
    fn end(self: Arc<Self>, with: State) -> Option<Woken> {
        let mut wait = lock(&self.wait);
        if wait.is_over() {
            return None;
        }
        // A caller that was promoted and has not noticed loses a reading that another link has outdated.
        let is_closed = matches!(with, State::Closed);
        let before = std::mem::replace(&mut wait.state, with);
        if self.task.is_some() {
            // One that has none has been woken before, and looks behind this.
            return wait.waker.take().map(Woken::Task);
        }
        drop(wait);
        if let State::Waiting = before {
            return self.asked.interrupted(is_closed).map(Woken::Callback);
        }
        Some(Woken::Thread(self))
    }

    /// Has the caller run what the other side asks of it; who must be woken. Given back where too much waits already.
    pub(super) fn ask(self: &Arc<Self>, message: Message) -> Result<Option<Woken>, Message> {
        // Before the state is looked at: a caller that is awake looks here before it sleeps.
        self.asked.add(message)?;
        let mut wait = lock(&self.wait);
        if self.task.is_some() {
            return Ok(wait.waker.take().map(Woken::Task));
        }
        if !matches!(wait.state, State::Parked) {
            return Ok(None);
        }
        wait.state = State::Waiting;
        Ok(Some(Woken::Thread(Arc::clone(self))))
    }

    /// Has the task look again; who must be woken for that.
    pub(super) fn looks_again(&self) -> Option<Woken> {
        lock(&self.wait).waker.take().map(Woken::Task)
    }

    /// Has the thread that sleeps wake others when it is woken; gives them back if it does not sleep. It may be woken already,
    /// and sleep in another call.
    fn precede(&self, followers: Followers) -> Followers {
        let mut wait = lock(&self.wait);
        if !wait.is_asleep || wait.has_followers {
            return followers;
        }
        wait.has_followers = true;
        std::mem::replace(&mut **wait.followers.get_or_insert_default(), followers)
    }

    /// Lets the caller read; gives the reading back unless it is parked.
    pub(super) fn promote(&self, reading: Box<Reading>) -> Option<Box<Reading>> {
        let mut wait = lock(&self.wait);
        if !matches!(wait.state, State::Parked) {
            return Some(reading);
        }
        wait.state = State::Promoted(reading);
        drop(wait);
        self.changed.notify_one();
        None
    }

    /// Says that the caller is about to [`sleep`](Self::sleep), unless there is a reason not to.
    pub(super) fn park(&self) {
        let mut wait = lock(&self.wait);
        if let (State::Waiting, false) = (&wait.state, self.asked.is_any()) {
            wait.state = State::Parked;
        }
    }

    /// Whether the wait has ended in a way that makes the callback of that number one of no use; 0 is one that nobody waits for.
    pub(super) fn interrupts(&self, callback: u32) -> bool {
        match lock(&self.wait).state {
            State::Closed => true,
            State::Answered(_) => callback != 0,
            _ => false,
        }
    }

    /// Whether the answer is here.
    pub(super) fn is_answered(&self) -> bool {
        matches!(lock(&self.wait).state, State::Answered(_))
    }

    /// Whether the wait has ended.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.wait).is_over()
    }

    /// What has become of it so far.
    pub(super) fn look(&self) -> State {
        std::mem::take(&mut lock(&self.wait).state)
    }

    /// Sleeps while parked, but not past `until`.
    pub(super) fn sleep(&self, until: Option<Instant>) -> State {
        let mut wait = lock(&self.wait);
        wait.is_asleep = true;
        loop {
            // Under the lock under which they are given: either they are found here, or this thread is not found asleep.
            if std::mem::take(&mut wait.has_followers) {
                let followers = wait.followers.as_deref_mut().map(std::mem::take).unwrap_or_default();
                drop(wait);
                wake_followers(followers);
                wait = lock(&self.wait);
            } else if !matches!(wait.state, State::Parked) {
                break;
            } else if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                wait = self.changed.wait_timeout(wait, left).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                wait = self.changed.wait(wait).unwrap_or_else(PoisonError::into_inner);
            }
        }
        wait.is_asleep = false;
        match std::mem::take(&mut wait.state) {
            State::Parked => State::Waiting,
            state => state,
        }
    }
}

fn wake_followers(followers: Followers) {
    for follower in followers.into_iter().flatten() {
        follower.changed.notify_one();
    }
}

impl Wait {
    fn is_over(&self) -> bool {
        matches!(self.state, State::Answered(_) | State::Closed)
    }

    /// Whether the task is woken that `context` belongs to.
    fn is_for(&self, context: &Context<'_>) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()))
    }
}

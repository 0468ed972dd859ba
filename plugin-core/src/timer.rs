//! One thread that does what is due at some time, for all connections of a process. It lives while anything is.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Waker},
    thread,
    time::Instant,
};

use crate::{
    connection::{Connection, lock},
    signal::wake,
};

/// What is due; gives when it is due again, if at all. It must not block: others wait behind it.
pub(crate) type Task = Box<dyn FnMut() -> Option<Instant> + Send>;

/// The tasks of this host.
static TIMER: Timer = Timer::new();

/// Does `task` at the time given, on the host's timer thread.
pub(crate) fn at(when: Instant, task: Task) -> std::io::Result<()> {
    TIMER.add(when, task)
}

/// Has somebody look after the tasks that wait on a connection, from then on for as long as there are any; whether that is arranged.
pub(crate) fn look_after_tasks(connection: &Arc<Connection>, when: Instant) -> bool {
    let (looked_after, mut due) = (Arc::downgrade(connection), when);
    let look = move || {
        due = looked_after.upgrade()?.look_after_tasks(due)?;
        Some(due)
    };
    let arranged = at(when, Box::new(look));
    if let Err(error) = &arranged {
        let plugin = &*connection.peer();
        tracing::error!(plugin, %error, "no thread could be started to tell tasks that they are late");
    }
    arranged.is_ok()
}

/// Wakes a task once its time is over.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// Shared with the timer once it is set; the timer takes it.
    waker: Option<Arc<Mutex<Option<Waker>>>>,
}

impl Alarm {
    /// Whether it is past `deadline`; if not, the task is woken then.
    pub(crate) fn is_over(&mut self, context: &Context<'_>, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline else { return false };
        if deadline <= Instant::now() {
            return true;
        }
        let waker = context.waker().clone();
        if let Some(set) = &self.waker {
            let last = lock(set).replace(waker);
            drop(last); // Without the lock: a waker is code of somebody else's.
            return false;
        }
        let waker = Arc::new(Mutex::new(Some(waker)));
        let rings = Arc::downgrade(&waker);
        self.waker = Some(waker);
        let ring = move || {
            let waker = rings.upgrade().and_then(|waker| lock(&waker).take());
            if let Some(waker) = waker {
                wake(waker);
            }
            None
        };
        // Where no thread can be had, the wait ends here: better early than never.
        at(deadline, Box::new(ring)).is_err()
    }
}

struct Timer {
    agenda: Mutex<Agenda>,
    /// Signalled when something is added.
    added: Condvar,
}

struct Agenda {
    /// The next one first.
    due: BinaryHeap<Due>,
    has_thread: bool,
}

struct Due {
    when: Instant,
    task: Task,
}

impl Timer {
    const fn new() -> Self {
        Self { agenda: Mutex::new(Agenda { due: BinaryHeap::new(), has_thread: false }), added: Condvar::new() }
    }

    fn add(&'static self, when: Instant, task: Task) -> std::io::Result<()> {
        let mut agenda = lock(&self.agenda);
        if !agenda.has_thread {
            thread::Builder::new().name("plugin-core timer".into()).spawn(|| self.run())?;
            agenda.has_thread = true;
        }
        agenda.due.push(Due { when, task });
        drop(agenda);
        self.added.notify_one();
        Ok(())
    }

    fn run(&self) {
        let mut agenda = lock(&self.agenda);
        while let Some(next) = agenda.due.peek() {
            let left = next.when.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                agenda = self.added.wait_timeout(agenda, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let Some(mut due) = agenda.due.pop() else { continue };
            drop(agenda);
            // What it does may run code of others', such as that which takes log lines; the others here must not suffer for it.
            let again = catch_unwind(AssertUnwindSafe(|| (due.task)())).unwrap_or(None);
            let finished = match again {
                Some(when) => Err(Due { when, ..due }),
                None => Ok(due),
            };
            // Dropped without the lock: it may hold the last handle of something.
            let unfinished = finished.map(drop).err();
            agenda = lock(&self.agenda);
            agenda.due.extend(unfinished);
        }
        // Under the lock that `add` looks under: what is added after this finds no thread and starts one.
        agenda.has_thread = false;
    }
}

impl Ord for Due {
    /// The earlier is the greater: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.when.cmp(&self.when)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.when == other.when
    }
}

impl Eq for Due {}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn tasks_are_done_in_the_order_of_their_times_and_again_where_they_ask_for_it() {
        static TIMER: Timer = Timer::new();
        let (sender, done) = channel();
        let now = Instant::now();
        for (milliseconds, name) in [(600_u64, "late"), (200, "early"), (400, "twice")] {
            let sender = sender.clone();
            let mut is_first = true;
            let task = move || {
                let again = std::mem::take(&mut is_first) && name == "twice";
                sender.send((name, Instant::now())).ok()?;
                again.then(|| now + Duration::from_millis(800))
            };
            TIMER.add(now + Duration::from_millis(milliseconds), Box::new(task)).unwrap();
        }
        drop(sender);
        for (name, milliseconds) in [("early", 200), ("twice", 400), ("late", 600), ("twice", 800)] {
            let (done, when) = done.recv_timeout(LONG).unwrap();
            assert_eq!(done, name);
            assert!(when >= now + Duration::from_millis(milliseconds), "{name} was too early");
        }
        assert!(done.recv_timeout(LONG).is_err(), "no task is left");
    }

    #[test]
    fn the_thread_ends_with_the_last_task_and_comes_back_with_the_next() {
        static TIMER: Timer = Timer::new();
        for _ in 0..100 {
            let (sender, done) = channel();
            TIMER.add(Instant::now(), Box::new(move || sender.send(()).ok().and(None))).unwrap();
            done.recv_timeout(LONG).unwrap();
        }
        let deadline = Instant::now() + LONG;
        while lock(&TIMER.agenda).has_thread {
            assert!(Instant::now() < deadline, "the thread stays");
            thread::yield_now();
        }
    }
}

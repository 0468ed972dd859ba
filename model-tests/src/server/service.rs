//! Answers every request with what came with it, on whatever thread the scheduler likes.

use std::{collections::VecDeque, io};

use shuttle::rand::Rng;

use super::{
    leaders::{Answered, Leaders, Timing},
    pace::{Pace, Paces, Place},
    watchdog::Watchdog,
    writer::Writer,
};
use crate::{
    connection::{Connection, End, Handler, Reading, Sent, lock},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, Message},
        metadata::FIRST_LENT,
    },
    sides::{Told, answer, from_call},
    sync::{Arc, Condvar, Instant, Mutex, PoisonError, Weak, thread},
};

/// What a request's target says of it.
pub(crate) const QUICK: u32 = 0;
/// Its handler returns only when that of an `OPENING` one has begun, wherever that may run.
pub(crate) const BLOCKED: u32 = 1;
pub(crate) const OPENING: u32 = 2;
/// Its handler calls back, twice without waiting and once for the answer.
pub(crate) const CALLING: u32 = 3;
/// Its answer gives the plugin's object, or a stream.
pub(crate) const GIVING: u32 = 4;
pub(crate) const STREAMING: u32 = 5;

pub(crate) struct Service {
    me: Weak<Self>,
    pub(super) leaders: Leaders,
    pub(super) watchdog: Watchdog,
    pub(super) paces: Paces,
    quick: Mutex<VecDeque<Task>>,
    is_open: Mutex<bool>,
    opened: Condvar,
    told: Arc<Told>,
    writer: Writer,
}

pub(super) struct Task(Message);

impl Task {
    pub(super) fn place(&self) -> Place {
        Place { target: self.0.target, method: self.0.method }
    }
}

impl Service {
    pub(crate) fn new(told: &Arc<Told>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            leaders: Leaders::default(),
            watchdog: Watchdog::default(),
            paces: Paces,
            quick: Mutex::default(),
            is_open: Mutex::default(),
            opened: Condvar::new(),
            told: Arc::clone(told),
            writer: Writer::default(),
        })
    }

    pub(crate) fn finish(&self) {
        self.leaders.stop(Instant::now());
        self.watchdog.stop();
    }

    pub(super) fn next_quick(&self, _is_over: Option<u32>) -> Option<Task> {
        lock(&self.quick).pop_front()
    }

    pub(super) fn pace(&self, task: &Task) -> Pace {
        self.paces.of(task.place())
    }

    pub(super) fn lead_again(&self, connection: &Arc<Connection>) {
        let me = self.me.upgrade().expect("the scenario holds it");
        self.leaders.want(&me, connection).expect("threads can be started");
    }

    #[allow(clippy::unused_self, reason = "the real one enters a runtime")]
    pub(super) fn enter<R>(&self, _connection: &Arc<Connection>, body: impl FnOnce() -> R) -> R {
        body()
    }

    #[allow(clippy::unused_self, reason = "the real one forgets the call")]
    pub(super) fn forget(&self, _number: u32) {}

    /// The real one keeps what answered last, and there is none here.
    pub(super) fn answer_leading(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        _last: &mut Option<()>,
        timing: Timing,
    ) -> Answered {
        assert!(timing.began <= Instant::now() && timing.count <= 8, "it is timed since it began, or some before it");
        let is_over = Some(task.0.call);
        // Who leads writes before it waits.
        let _ = self.answer(connection, task);
        Answered { ended: Instant::now(), is_over }
    }

    fn answer(&self, connection: &Arc<Connection>, task: Task) -> Sent {
        let Task(request) = task;
        self.told.arrived(&request);
        match request.target {
            BLOCKED => {
                let mut is_open = lock(&self.is_open);
                while !*is_open {
                    is_open = self.opened.wait(is_open).unwrap_or_else(PoisonError::into_inner);
                }
            }
            OPENING => {
                *lock(&self.is_open) = true;
                self.opened.notify_all();
            }
            CALLING => Self::call_back(connection, &request),
            _ => {}
        }
        answer(connection, request, &self.told)
    }

    fn call_back(connection: &Arc<Connection>, request: &Message) {
        let notify = || {
            let notice = Message { target: FIRST_LENT, ..Message::control(Kind::Notice, request.call) };
            match connection.send(notice, None) {
                Ok(Sent::Partly) => connection.stalled(),
                Ok(Sent::Cared) | Err(_) => {}
            }
        };
        notify();
        let question = from_call(request.call, FIRST_LENT, &request.payload);
        // Fails only where the connection has ended, or the caller has left.
        if let Ok(answer) = connection.call(question, None) {
            let is_refused = answer.kind == Kind::Failure;
            assert!(is_refused || *answer.payload == *request.payload, "another's answer");
        }
        notify();
    }

    #[allow(clippy::unused_self, reason = "the real one forgets the call")]
    pub(super) fn refuse_task(&self, connection: &Arc<Connection>, task: &Task) {
        connection.refuse(task.0.call, &Failure::new(FailureKind::Stopping, "it is stopping"));
    }

    pub(super) fn submit(&self, connection: &Arc<Connection>, task: Task) {
        let (me, connection) = (self.me.upgrade().expect("the scenario holds it"), Arc::clone(connection));
        drop(thread::spawn(move || {
            if me.answer(&connection, task) == Sent::Partly {
                connection.write_rest();
            }
        }));
    }
}

impl Handler for Service {
    fn reads(&self) -> bool {
        true
    }

    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        let me = self.me.upgrade().expect("the scenario holds it");
        if shuttle::rand::thread_rng().r#gen() {
            self.leaders.prepare(&me);
        }
        self.watchdog.look_after(connection);
        self.watchdog.start(&me)?;
        self.leaders.want(&me, connection)
    }

    fn unread(&self, connection: &Arc<Connection>) {
        self.lead_again(connection);
    }

    fn stalled(&self, connection: &Arc<Connection>) {
        self.writer.write_rest(connection);
    }

    fn take_back(&self, connection: &Arc<Connection>) -> Option<Box<Reading>> {
        Leaders::take_back(self, connection)
    }

    fn put_down(&self, connection: &Arc<Connection>, reading: Box<Reading>) {
        Leaders::lend(self, connection, reading);
    }

    fn read_by_caller(&self, connection: &Arc<Connection>) {
        while let Some(task) = self.next_quick(None) {
            self.submit(connection, task);
        }
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        if self.answer(connection, Task(request)) == Sent::Partly {
            self.stalled(connection);
        }
    }

    fn request(&self, connection: &Arc<Connection>, request: Message) {
        let task = Task(request);
        if connection.is_shared() && self.pace(&task) != Pace::Slow {
            lock(&self.quick).push_back(task);
        } else {
            self.submit(connection, task);
        }
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        self.told.ran_oneway(connection, &call);
    }

    fn lost(&self, _connection: &Arc<Connection>, _reason: String) {
        self.told.lost();
    }

    fn closed(&self, _end: &End) {}
}

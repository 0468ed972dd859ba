//! The values that a plugin serves, and who runs which request.

use std::{
    io,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use super::{
    executor::Executor,
    lane::Lane,
    leaders::{Answered, Leaders, Timing},
    outcome::{answer, is_async, stopping},
    pace::{Pace, Paces},
    requests::{self, Requests},
    stop::Stop,
    tasks::Spawned,
    watchdog::Watchdog,
    workers::{Job, Rejected, Workers},
    writer::Writer,
};
use crate::{
    connection::{Cancel as _, Cause, Connection, MAX_STREAMS, Sent, lock},
    deadline,
    error::HOST,
    interface::Dispatch,
    objects::{
        context::{self, Context, Timed},
        interfaces,
        object::{self, is_object},
    },
    protocol::message::{Failure, FailureKind, InterfaceEntry, Message},
};

pub(super) use super::requests::Task;

/// What answered to a target of the greeting, and which that is.
pub(super) type LastCalled = Option<(u32, Arc<dyn Dispatch>)>;

/// How many threads produce streams at most: one for each stream that may be open, and some for those that need one for moments
/// only.
const MAX_PRODUCING: usize = MAX_STREAMS + 64;

/// The values a plugin serves, and the threads that serve them.
pub(crate) struct Service {
    pub(super) me: Weak<Self>,
    pub(super) requests: Mutex<Requests>,
    pub(super) paces: Paces,
    pub(super) workers: Arc<Workers>,
    /// Run what produces streams: iterators, which may keep a thread each for as long as they are quiet.
    pub(super) producers: Arc<Workers>,
    /// Runs oneway calls.
    pub(super) lane: Arc<Lane>,
    pub(super) leaders: Leaders,
    pub(super) watchdog: Watchdog,
    pub(super) writer: Writer,
    pub(super) executor: Executor,
    pub(super) spawned: Arc<Spawned>,
    pub(super) stop: Arc<Stop>,
    /// What errors call the host.
    pub(super) peer: Arc<str>,
}

impl Service {
    /// One that serves a host.
    pub(crate) fn new(dispatchers: Vec<Arc<dyn Dispatch>>, stop: Arc<Stop>, executor: Executor) -> Arc<Self> {
        Self::to(HOST.into(), dispatchers, stop, executor)
    }

    /// One that answers for the objects that a plugin holds.
    pub(crate) fn to_plugin(plugin: Arc<str>) -> Arc<Self> {
        Self::to(plugin, Vec::new(), Arc::default(), Executor::Pool)
    }

    fn to(peer: Arc<str>, dispatchers: Vec<Arc<dyn Dispatch>>, stop: Arc<Stop>, executor: Executor) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            paces: Paces::new(&dispatchers),
            requests: Mutex::new(Requests::new(dispatchers)),
            workers: Arc::default(),
            producers: Arc::new(Workers::of(MAX_PRODUCING)),
            lane: Arc::default(),
            leaders: Leaders::default(),
            watchdog: Watchdog::default(),
            writer: Writer::default(),
            executor,
            spawned: Arc::default(),
            stop,
            peer,
        })
    }

    /// Starts the thread that the first request needs, since that takes a moment. If it cannot be started now, that is tried
    /// again when there is a link.
    pub(super) fn prepare(&self) {
        let Some(me) = self.me.upgrade() else { return };
        self.leaders.prepare(&me);
    }

    /// Has somebody see to it that slow methods hold up nobody.
    pub(super) fn watch(&self) -> io::Result<()> {
        self.me.upgrade().map_or(Ok(()), |me| self.watchdog.start(&me))
    }

    /// What the greeting says of the interfaces.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceEntry> {
        lock(&self.requests).dispatchers.iter().map(|dispatcher| interfaces::entry(dispatcher.descriptor())).collect()
    }

    /// How many calls have not been answered.
    pub(crate) fn running(&self) -> usize {
        lock(&self.requests).count()
    }

    /// Waits until the host has said goodbye or is gone, but not past `limit`.
    pub(crate) fn wait_goodbye(&self, limit: Duration) {
        self.stop.wait_requested(limit);
    }

    /// Ends serving: queued requests are dropped, running ones are cancelled and have `grace`, then the values are let go.
    /// Queued oneway calls were promised to run if they can, so they still have their turn within `grace`.
    ///
    /// A value that a handler still uses is dropped when that handler returns.
    pub(crate) fn finish(&self, grace: Duration) {
        let deadline = deadline::after(Instant::now(), grace);
        for call in lock(&self.requests).calls() {
            call.stop();
        }
        self.lane.stop();
        // Those that do not end by themselves are ended early enough to let go of what they hold, while there is still
        // something that runs them.
        self.spawned.wait_none(deadline.checked_sub(grace / 5).unwrap_or(deadline));
        let unfinished: Vec<_> = lock(&self.requests).calls().cloned().collect();
        for call in unfinished {
            call.end();
        }
        self.spawned.wait_none(deadline);
        self.workers.stop(deadline.saturating_duration_since(Instant::now()));
        self.producers.stop(deadline.saturating_duration_since(Instant::now()));
        self.leaders.stop(deadline);
        self.watchdog.stop();
        let dropped = self.lane.finish(deadline);
        if dropped > 0 {
            tracing::warn!(dropped, "the plugin is stopping, some oneway calls had no time left to run");
        }
        let dispatchers = std::mem::take(&mut lock(&self.requests).dispatchers);
        drop(dispatchers);
    }

    /// The next request for whoever leads, which has answered the call `is_over`, if any.
    pub(super) fn next_quick(&self, is_over: Option<u32>) -> Option<Task> {
        let mut requests = lock(&self.requests);
        let forgotten = is_over.and_then(|number| requests.end(number));
        let next = requests.next_quick();
        drop(requests);
        if let Some(call) = forgotten {
            call.put_back();
        }
        next
    }

    pub(super) fn pace(&self, task: &Task) -> Pace {
        self.paces.of(task.place())
    }

    /// Wants another leader in place of one that is held up.
    pub(super) fn lead_again(&self, connection: &Arc<Connection>) {
        let Some(me) = self.me.upgrade() else { return };
        if let Err(error) = self.leaders.want(&me, connection) {
            connection.close(Cause::Lost(format!("no thread could be started to read: {error}")));
        }
    }

    /// Runs `body` where handlers of requests that came by `connection` may be run, of async methods, too.
    pub(super) fn enter<R>(&self, connection: &Arc<Connection>, body: impl FnOnce() -> R) -> R {
        Context::new(connection, 0).run(|| self.executor.enter(body))
    }

    /// Runs a request's handler, now that it is `began`, and sends the answer.
    ///
    /// In as few stack frames as can be: a call back may be next.
    pub(super) fn answer(&self, connection: &Arc<Connection>, task: Task, timing: Timing) -> Sent {
        let (sent, answered) = self.answer_apart(connection, task, timing);
        if let Some(number) = answered.is_over {
            self.forget(number);
        }
        sent
    }

    /// As [`answer`](Self::answer), inside of [`enter`](Self::enter), and leaves it to the caller to forget the call. The `last` that
    /// was called answers to the next calls, too, and need not be looked up.
    pub(super) fn answer_leading(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        last: &mut LastCalled,
        timing: Timing,
    ) -> Answered {
        let target = task.request.target;
        if is_object(target) {
            return self.answer_apart(connection, task, timing).1;
        }
        context::go_on_with(task.request.call);
        if last.as_ref().is_none_or(|(last, _)| *last != target) {
            *last = self.dispatcher(&task.request).map(|dispatcher| (target, dispatcher));
        }
        let dispatcher = last.as_ref().map(|(_, dispatcher)| &**dispatcher);
        self.answer_by(connection, task, dispatcher, (&self.executor, true), timing).1
    }

    /// Answers under a context of its own.
    fn answer_apart(&self, connection: &Arc<Connection>, task: Task, timing: Timing) -> (Sent, Answered) {
        let _entered = Context::new(connection, task.request.call).enter();
        let Some(object) = object::find(connection, task.request.target) else {
            let dispatcher = self.dispatcher(&task.request);
            return self.answer_by(connection, task, dispatcher.as_deref(), (&self.executor, false), timing);
        };
        // Where it was made, there may be another one.
        self.answer_by(connection, task, Some(&*object.dispatcher), (object.executor(), false), timing)
    }

    /// What answers to a target of the greeting.
    pub(super) fn dispatcher(&self, request: &Message) -> Option<Arc<dyn Dispatch>> {
        lock(&self.requests).dispatcher(request.target)
    }

    fn answer_by(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: Option<&dyn Dispatch>,
        executor: (&Executor, bool),
        timing: Timing,
    ) -> (Sent, Answered) {
        match dispatcher {
            Some(dispatcher) if is_async(dispatcher, &task.request) => {
                self.answer_async(connection, task, dispatcher, executor, timing)
            }
            dispatcher => self.answer_sync(connection, task, dispatcher, timing),
        }
    }

    fn answer_sync(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: Option<&dyn Dispatch>,
        timing: Timing,
    ) -> (Sent, Answered) {
        let Task { mut request, call, place } = task;
        let Timed { outcome: answer, ended, longest } = context::timed(timing.began, timing.count, || {
            answer(dispatcher, &mut request, call, connection, timing.began)
        });
        self.paces.note(place, longest);
        let is_over = Some(request.call);
        drop(request);
        // Fails only where the connection has ended, and with it whoever waited for the answer.
        (connection.send(answer, None).unwrap_or_default(), Answered { ended, is_over })
    }

    /// Answers a request that does not run since the plugin is stopping.
    pub(super) fn refuse_task(&self, connection: &Arc<Connection>, task: &Task) {
        self.forget(task.request.call);
        connection.refuse(task.request.call, &stopping());
    }

    /// Takes a call from among those that are being answered; whether there are others.
    pub(super) fn forget(&self, number: u32) -> bool {
        let mut requests = lock(&self.requests);
        let forgotten = requests.end(number);
        let are_others = requests.count() > 0;
        drop(requests);
        if let Some(call) = forgotten {
            call.put_back();
        }
        are_others
    }

    /// Takes note of a request that is going to be answered, and has come now.
    pub(super) fn begin(&self, connection: &Connection, request: Message, now: Instant) -> Task {
        let place = requests::place(connection, &request);
        lock(&self.requests).begin(request, place, now)
    }

    /// Has the pool answer a request.
    pub(crate) fn request_elsewhere(&self, connection: &Arc<Connection>, request: Message) {
        let task = self.begin(connection, request, Instant::now());
        self.submit(connection, task);
    }

    /// The connection has ended: nobody waits for what still runs, or waits for a thread.
    ///
    /// The pool stays: what is now dropped, such as the objects that the other side held, is dropped there, and not on the thread
    /// that has found the end.
    pub(crate) fn abandon(&self) {
        let running: Vec<_> = lock(&self.requests).calls().cloned().collect();
        for call in running {
            call.cancel();
        }
        self.lane.stop();
    }

    /// Lets a thread of the pool answer.
    pub(super) fn submit(&self, connection: &Arc<Connection>, task: Task) {
        let Some(me) = self.me.upgrade() else { return };
        let (number, bytes) = (task.request.call, task.request.payload.len());
        let answering = Arc::clone(connection);
        let run = move || {
            if me.answer(&answering, task, Timing { began: Instant::now(), count: 1 }) == Sent::Partly {
                answering.write_rest();
            }
        };
        if let Err(why) = self.workers.submit(Job { bytes, run: Box::new(run) }) {
            self.forget(number);
            refuse(connection, number, why);
        }
    }
}

fn refuse(connection: &Arc<Connection>, call: u32, why: Rejected) {
    let failure = match why {
        Rejected::Full => Failure::new(FailureKind::Overloaded, "too many requests wait for a free thread"),
        Rejected::Stopping => stopping(),
    };
    connection.refuse(call, &failure);
}

#[cfg(test)]
mod tests;

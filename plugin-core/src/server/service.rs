//! The values that a plugin serves, and who runs which request.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use super::{
    call::CallState,
    discarded::Discarded,
    executor::Executor,
    lane::{Lane, Resting},
    leaders::Leaders,
    outcome::{answer, is_async, run_oneway, stopping},
    pace::{Pace, Paces, Place},
    stop::{Stop, StopReason},
    tasks::Spawned,
    watchdog::Watchdog,
    workers::{Job, Rejected, Workers},
    writer::Writer,
};
use crate::{
    connection::{Cause, Connection, End, Export, Handler, MAX_STREAMS, Reading, Sent, lock},
    deadline,
    error::HOST,
    interface::Dispatch,
    objects::{
        context::{self, Context, Timed},
        interfaces, object,
    },
    protocol::message::{Failure, FailureKind, InterfaceEntry, Message},
};

/// How many threads produce streams at most: one for each stream that may be open, and some for those that need one for moments
/// only.
const MAX_PRODUCING: usize = MAX_STREAMS + 64;

/// The values a plugin serves, and the threads that serve them.
pub(crate) struct Service {
    pub(super) me: Weak<Self>,
    /// In the order of the greeting; emptied when serving ends.
    dispatchers: Mutex<Vec<Arc<dyn Dispatch>>>,
    pub(super) paces: Paces,
    pub(super) workers: Arc<Workers>,
    /// Run what produces streams: iterators, which may keep a thread each for as long as they are quiet.
    producers: Arc<Workers>,
    /// Runs oneway calls.
    lane: Arc<Lane>,
    pub(super) leaders: Leaders,
    pub(super) watchdog: Watchdog,
    writer: Writer,
    /// Requests for whoever leads to run where it stands.
    quick: Mutex<VecDeque<Task>>,
    /// The calls that are being answered or wait for a thread, by number.
    running: Mutex<HashMap<u32, Arc<CallState>>>,
    pub(super) executor: Executor,
    pub(super) spawned: Arc<Spawned>,
    stop: Arc<Stop>,
    /// What errors call the host.
    peer: Arc<str>,
}

/// A request, and what is known of its call.
pub(super) struct Task {
    pub(super) request: Message,
    pub(super) call: Arc<CallState>,
    place: Place,
}

impl Task {
    pub(super) fn place(&self) -> Place {
        self.place
    }
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
            dispatchers: Mutex::new(dispatchers),
            workers: Arc::default(),
            producers: Arc::new(Workers::of(MAX_PRODUCING)),
            lane: Arc::default(),
            leaders: Leaders::default(),
            watchdog: Watchdog::default(),
            writer: Writer::default(),
            quick: Mutex::default(),
            running: Mutex::default(),
            executor,
            spawned: Arc::default(),
            stop,
            peer,
        })
    }

    /// Starts the threads that the first request needs, since that takes a moment. What cannot be started now, is tried again
    /// when there is a link.
    pub(super) fn prepare(&self) {
        let Some(me) = self.me.upgrade() else { return };
        self.leaders.prepare(&me);
        let _ = self.watchdog.prepare(&me);
    }

    /// What the greeting says of the interfaces.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceEntry> {
        lock(&self.dispatchers).iter().map(|dispatcher| interfaces::entry(dispatcher.descriptor())).collect()
    }

    /// How many calls have not been answered.
    pub(crate) fn running(&self) -> usize {
        lock(&self.running).len()
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
        for call in lock(&self.running).values() {
            call.stop();
        }
        self.lane.stop();
        // Those that do not end by themselves are ended early enough to let go of what they hold, while there is still
        // something that runs them.
        self.spawned.wait_none(deadline.checked_sub(grace / 5).unwrap_or(deadline));
        let unfinished: Vec<_> = lock(&self.running).values().cloned().collect();
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
        let dispatchers = std::mem::take(&mut *lock(&self.dispatchers));
        drop(dispatchers);
    }

    /// The next request for whoever leads.
    pub(super) fn next_quick(&self) -> Option<Task> {
        lock(&self.quick).pop_front()
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

    /// Runs a request's handler, now that it is `began`, and sends the answer; says when the handler ended.
    pub(super) fn answer(&self, connection: &Arc<Connection>, task: Task, began: Instant) -> (Sent, Instant) {
        let Some(object) = object::find(connection, task.request.target) else {
            let dispatcher = self.dispatcher(&task.request);
            return self.answer_by(connection, task, dispatcher, &self.executor, began);
        };
        self.answer_by(connection, task, Some(Arc::clone(&object.dispatcher)), object.executor(), began)
    }

    /// What answers to a target of the greeting.
    fn dispatcher(&self, request: &Message) -> Option<Arc<dyn Dispatch>> {
        lock(&self.dispatchers).get(request.target as usize).cloned()
    }

    fn answer_by(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: Option<Arc<dyn Dispatch>>,
        executor: &Executor,
        began: Instant,
    ) -> (Sent, Instant) {
        match dispatcher {
            Some(dispatcher) if is_async(&*dispatcher, &task.request) => {
                self.answer_async(connection, task, dispatcher, executor, began)
            }
            dispatcher => self.answer_sync(connection, task, dispatcher, began),
        }
    }

    fn answer_sync(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: Option<Arc<dyn Dispatch>>,
        began: Instant,
    ) -> (Sent, Instant) {
        let Task { mut request, call, place } = task;
        let context = self.context(connection, request.call);
        let Timed { outcome: answer, ended, longest } =
            context::timed(began, || answer(dispatcher, &mut request, &call, context, began));
        self.paces.note(place, longest);
        lock(&self.running).remove(&request.call);
        call.put_back();
        drop(request);
        // Fails only where the connection has ended, and with it whoever waited for the answer.
        (connection.send(answer, None).unwrap_or_default(), ended)
    }

    /// Answers a request that does not run since the plugin is stopping.
    pub(super) fn refuse_task(&self, connection: &Arc<Connection>, task: &Task) {
        self.forget(task.request.call);
        connection.refuse(task.request.call, &stopping());
    }

    /// Takes a call from among those that are being answered; whether there are others.
    pub(super) fn forget(&self, number: u32) -> bool {
        let mut running = lock(&self.running);
        running.remove(&number);
        !running.is_empty()
    }

    pub(super) fn context(&self, connection: &Arc<Connection>, call: u32) -> Context {
        Context { connection: Arc::clone(connection), call, peer: Arc::clone(&self.peer) }
    }

    /// Takes note of a request that is going to be answered.
    fn begin(&self, connection: &Connection, request: Message) -> Task {
        // Counted from its arrival, not from when a thread is free: waiting in the queue is part of the call.
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(Instant::now(), Duration::from_millis(left.into())),
        };
        let call = CallState::new(limit);
        lock(&self.running).insert(request.call, Arc::clone(&call));
        // Objects come and go; what is learnt of one is good for all of its interface.
        let target = object::find(connection, request.target).map_or(request.target, |object| object.place());
        let place = Place { target, method: request.method };
        Task { request, call, place }
    }

    /// Has the pool answer a request.
    pub(crate) fn request_elsewhere(&self, connection: &Arc<Connection>, request: Message) {
        let task = self.begin(connection, request);
        self.submit(connection, task);
    }

    /// The connection has ended: nobody waits for what still runs, or waits for a thread.
    ///
    /// The pool stays: what is now dropped, such as the objects that the other side held, is dropped there, and not on the thread
    /// that has found the end.
    pub(crate) fn abandon(&self) {
        let running: Vec<_> = lock(&self.running).values().cloned().collect();
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
            if me.answer(&answering, task, Instant::now()).0 == Sent::Partly {
                answering.write_rest();
            }
        };
        if let Err(why) = self.workers.submit(Job { bytes, run: Box::new(run) }) {
            lock(&self.running).remove(&number);
            refuse(connection, number, why);
        }
    }
}

impl Handler for Service {
    fn reads(&self) -> bool {
        true
    }

    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        self.watchdog.start(&me, connection)?;
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
        while let Some(task) = self.next_quick() {
            self.submit(connection, task);
        }
    }

    fn request(&self, connection: &Arc<Connection>, request: Message) {
        let task = self.begin(connection, request);
        if connection.is_shared() && self.pace(&task) != Pace::Slow {
            lock(&self.quick).push_back(task);
        } else {
            self.submit(connection, task);
        }
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        let task = self.begin(connection, request);
        if self.answer(connection, task, Instant::now()).0 == Sent::Partly {
            self.stalled(connection);
        }
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        // Found here, in the order of arrival: the other side may let go of the object behind this call.
        let object = object::find(connection, call.target);
        let (calling, context) = (Arc::clone(connection), self.context(connection, 0));
        self.lane.tell_rest(|| resting(connection));
        let (dispatcher, executor) = match &object {
            Some(object) => (Some(Arc::clone(&object.dispatcher)), object.executor().clone()),
            None => (self.dispatcher(&call), self.executor.clone()),
        };
        let run = move |state: &Arc<CallState>| {
            run_oneway(&executor, dispatcher, call, state, context);
            if calling.oneway_finished() == Sent::Partly {
                calling.write_rest();
            }
        };
        if self.lane.submit(Box::new(run)).is_err() {
            tracing::warn!("a oneway call did not run: the plugin is stopping, or no thread can be started");
            // The thread that reads writes what that gives to write.
            let _ = connection.oneway_finished();
        }
    }

    fn discard(&self, exports: Vec<Arc<dyn Export>>) {
        let discarded = Discarded(exports);
        self.workers.go_on(Box::new(move || drop(discarded)));
    }

    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.producers.go_on(job);
    }

    fn peer(&self) -> Arc<str> {
        Arc::clone(&self.peer)
    }

    fn cancel(&self, call: u32) {
        // Without the lock: the task that this wakes may be dropped, and take itself from among the running ones.
        let call = lock(&self.running).get(&call).cloned();
        if let Some(call) = call {
            call.cancel();
        }
    }

    fn goodbye(&self) {
        self.stop.request(StopReason::Goodbye);
    }

    fn closed(&self, end: &End) {
        self.stop.request(match &end.cause {
            Cause::Violation(violation) => StopReason::Violation(violation.to_string()),
            cause => StopReason::Disconnected(cause.to_string()),
        });
    }
}

/// Tells the host, where the lane has run all that came, that it is all done: only then may it take the plugin for idle.
fn resting(connection: &Arc<Connection>) -> Resting {
    let connection = Arc::downgrade(connection);
    Box::new(move || {
        let Some(connection) = connection.upgrade() else { return };
        if connection.tell_oneways_finished() == Sent::Partly {
            connection.write_rest();
        }
    })
}

fn refuse(connection: &Arc<Connection>, call: u32, why: Rejected) {
    let failure = match why {
        Rejected::Full => Failure::new(FailureKind::Overloaded, "too many requests wait for a free thread"),
        Rejected::Stopping => stopping(),
    };
    connection.refuse(call, &failure);
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Poll,
    };

    use super::*;
    use crate::{
        codec::{self, Decoder, Encoder},
        connection::Options,
        interface::{BoxFuture, Descriptor, Fault, Method, Request, Timeout, Verdict},
        protocol::frame::{Deframer, Kind},
        transport::memory,
    };

    /// A method that counts how often it is polled, and never ends.
    #[derive(Default)]
    struct Lingers(AtomicUsize);

    impl Dispatch for Lingers {
        fn descriptor(&self) -> &'static Descriptor {
            const LINGER: Method = Method {
                name: "linger",
                timeout: Timeout::Inherit,
                optional: false,
                idempotent: false,
                is_async: true,
            };
            &Descriptor { name: "Lingers", version: None, methods: &[LINGER] }
        }

        fn dispatch(&self, _: usize, _: &mut Decoder<'_>, _: &mut Encoder) -> Result<Verdict, Fault> {
            Err(Fault::UnknownMethod)
        }

        fn dispatch_async(
            self: Arc<Self>,
            _: usize,
            _: Request,
            _: Encoder,
        ) -> BoxFuture<'static, Result<(Verdict, Encoder), Fault>> {
            Box::pin(std::future::poll_fn(move |_| {
                self.0.fetch_add(1, Ordering::SeqCst);
                Poll::Pending
            }))
        }
    }

    #[test]
    fn a_call_is_cancelled_whose_task_cannot_go_on_any_more() {
        let (done, over) = std::sync::mpsc::channel();
        let test = move || {
            let lingers = Arc::<Lingers>::default();
            let service = Service::new(vec![Arc::clone(&lingers) as _], Arc::default(), Executor::Pool);
            let (link, _other) = memory::pair();
            let options = Options { max_message: 1000, yields: false, ticks: false };
            let handler = Arc::clone(&service) as Arc<dyn Handler>;
            let connection = Connection::start(Box::new(link), Deframer::new(), handler, options).unwrap();
            service.request(&connection, Message::answer(Kind::Request, 7, vec![0]));
            while lingers.0.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            service.workers.stop(Duration::from_secs(20));
            service.cancel(7);
            while service.running() > 0 {
                std::thread::yield_now();
            }
            done.send(()).unwrap();
        };
        std::thread::spawn(test);
        over.recv_timeout(Duration::from_secs(20)).expect("nobody waits for himself, and its task is dropped");
    }

    #[test]
    fn a_call_that_did_not_run_before_the_end_of_the_plugin_was_stopped_and_not_late() {
        let call = CallState::new(None);
        call.stop();
        let (link, _other) = memory::pair();
        let options = Options { max_message: 100, yields: false, ticks: false };
        let service = Service::new(Vec::new(), Arc::default(), Executor::Pool);
        let (handler, deframer) = (Arc::clone(&service) as Arc<dyn Handler>, Deframer::new());
        let connection = Connection::start(Box::new(link), deframer, handler, options).unwrap();
        let answer = answer(
            None,
            &mut Message::control(Kind::Request, 7),
            &call,
            service.context(&connection, 7),
            Instant::now(),
        );
        let failure: Failure = codec::from_slice(&answer.payload).unwrap();
        assert_eq!((answer.call, failure.kind), (7, FailureKind::Stopping));
    }
}

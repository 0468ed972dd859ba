//! Answering one request: decode, run, encode; and a clear failure where one of them is impossible.

use std::{
    collections::{HashMap, VecDeque},
    future::Future as _,
    io,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{self, Poll, Waker},
    time::{Duration, Instant},
};

use super::{
    call::CallState,
    executor::Executor,
    lane::{Lane, Resting},
    leaders::Leaders,
    pace::{Pace, Paces, Place},
    panics,
    stop::{Stop, StopReason},
    tasks::{Outcome, Run, Spawned, interrupted},
    watchdog::Watchdog,
    workers::{Job, Rejected, Workers},
    writer::Writer,
};
use crate::{
    Error,
    codec::{self, Decoder, EncodeError, Encoder},
    connection::{Cause, Connection, End, Handler, Reading, Sent, lock},
    deadline,
    error::HOST,
    interface::{Dispatch, Fault, Verdict},
    objects::{
        context::{self, Context, Timed},
        depth, interfaces,
    },
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, InterfaceEntry, Message},
    },
};

/// The values a plugin serves, and the threads that serve them.
pub(crate) struct Service {
    me: Weak<Self>,
    /// In the order of the greeting; emptied when serving ends.
    dispatchers: Mutex<Vec<Arc<dyn Dispatch>>>,
    pub(super) paces: Paces,
    workers: Arc<Workers>,
    /// Runs oneway calls.
    lane: Arc<Lane>,
    pub(super) leaders: Leaders,
    pub(super) watchdog: Watchdog,
    writer: Writer,
    /// Requests for whoever leads to run where it stands.
    quick: Mutex<VecDeque<Task>>,
    /// The calls that are being answered or wait for a thread, by number.
    running: Mutex<HashMap<u32, Arc<CallState>>>,
    executor: Executor,
    spawned: Arc<Spawned>,
    stop: Arc<Stop>,
    /// What errors call the host.
    peer: Arc<str>,
}

/// A request, and what is known of its call.
pub(super) struct Task {
    request: Message,
    call: Arc<CallState>,
}

impl Task {
    pub(super) fn place(&self) -> Place {
        Place { target: self.request.target, method: self.request.method }
    }
}

impl Service {
    pub(crate) fn new(dispatchers: Vec<Arc<dyn Dispatch>>, stop: Arc<Stop>, executor: Executor) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            paces: Paces::new(&dispatchers),
            dispatchers: Mutex::new(dispatchers),
            workers: Arc::default(),
            lane: Arc::default(),
            leaders: Leaders::default(),
            watchdog: Watchdog::default(),
            writer: Writer::default(),
            quick: Mutex::default(),
            running: Mutex::default(),
            executor,
            spawned: Arc::default(),
            stop,
            peer: HOST.into(),
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
        let dispatcher = lock(&self.dispatchers).get(task.request.target as usize).cloned();
        match dispatcher {
            Some(dispatcher) if is_async(&*dispatcher, &task.request) => {
                self.answer_async(connection, task, dispatcher, began)
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
        let Task { request, call } = task;
        let place = Place { target: request.target, method: request.method };
        let context = self.context(connection, request.call);
        let Timed { outcome: answer, ended, longest } =
            context::timed(began, || answer(dispatcher, &request, &call, context, began));
        self.paces.note(place, longest);
        lock(&self.running).remove(&request.call);
        call.put_back();
        drop(request);
        // Fails only where the connection has ended, and with it whoever waited for the answer.
        (connection.send(answer, None).unwrap_or_default(), ended)
    }

    /// Polls an async handler, sends the answer if that is all it takes, and else has the executor go on.
    fn answer_async(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: Arc<dyn Dispatch>,
        began: Instant,
    ) -> (Sent, Instant) {
        let place = task.place();
        let Task { mut request, call } = task;
        let (number, bytes) = (request.call, request.payload.len());
        let handler = || {
            if self.spawned.is_full(bytes) {
                return Err(Failure::new(FailureKind::Overloaded, "too many async methods wait for something"));
            }
            let mut run = Box::pin(Run::new(dispatcher, &mut request, &call, self.context(connection, number))?);
            let polled = self.executor.enter(|| run.as_mut().poll(&mut task::Context::from_waker(Waker::noop())));
            match polled {
                Poll::Ready(outcome) => outcome.map(Ok),
                Poll::Pending => Ok(Err(run)),
            }
        };
        let Timed { outcome, ended, longest } = context::timed(began, || unless_over(&call, began, handler));
        self.paces.note(place, longest);
        let outcome = match outcome {
            Ok(Err(run)) => {
                self.spawn(connection, Spawning { number, bytes, call }, run);
                return (Sent::Cared, ended);
            }
            Ok(Ok(answer)) => Ok(answer),
            Err(failure) => Err(failure),
        };
        lock(&self.running).remove(&number);
        let answer = message(number, &call, outcome);
        call.put_back();
        (connection.send(answer, None).unwrap_or_default(), ended)
    }

    /// Has the executor run an async handler to its end, and send the answer.
    fn spawn(&self, connection: &Arc<Connection>, spawning: Spawning, run: Pin<Box<Run>>) {
        let Some(me) = self.me.upgrade() else { return };
        let Spawning { number, bytes, call } = spawning;
        let mut owed = Owed { service: me, connection: Arc::clone(connection), number, call, is_paid: false };
        let counted = self.spawned.begin(bytes);
        self.executor.spawn(&self.workers, async move {
            let outcome = run.await;
            let has_company = owed.service.forget(number);
            let answer = message(number, &owed.call, outcome);
            owed.connection.answer_async(answer, has_company, &mut owed.is_paid).await;
            drop(counted);
        });
    }

    /// Takes a call from among those that are being answered; whether there are others.
    fn forget(&self, number: u32) -> bool {
        let mut running = lock(&self.running);
        running.remove(&number);
        !running.is_empty()
    }

    fn context(&self, connection: &Arc<Connection>, call: u32) -> Context {
        Context { connection: Arc::clone(connection), call, peer: Arc::clone(&self.peer) }
    }

    /// Takes note of a request that is going to be answered.
    fn begin(&self, request: Message) -> Task {
        // Counted from its arrival, not from when a thread is free: waiting in the queue is part of the call.
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(Instant::now(), Duration::from_millis(left.into())),
        };
        let call = CallState::new(limit);
        lock(&self.running).insert(request.call, Arc::clone(&call));
        Task { request, call }
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

/// A call whose handler was not done at once, and how many bytes its request held.
struct Spawning {
    number: u32,
    bytes: usize,
    call: Arc<CallState>,
}

/// The answer to a call whose handler an executor runs. An executor that ends drops what it has not run.
struct Owed {
    service: Arc<Service>,
    connection: Arc<Connection>,
    number: u32,
    call: Arc<CallState>,
    is_paid: bool,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_paid {
            self.service.forget(self.number);
            // It had begun, or it would not have been spawned.
            self.connection.refuse(self.number, &interrupted());
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
        let task = self.begin(request);
        if connection.is_shared() && self.pace(&task) != Pace::Slow {
            lock(&self.quick).push_back(task);
        } else {
            self.submit(connection, task);
        }
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        let task = self.begin(request);
        if self.answer(connection, task, Instant::now()).0 == Sent::Partly {
            self.stalled(connection);
        }
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        let dispatcher = lock(&self.dispatchers).get(call.target as usize).cloned();
        let (calling, context) = (Arc::clone(connection), self.context(connection, 0));
        self.lane.tell_rest(|| resting(connection));
        let executor = self.executor.clone();
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

/// Answers a request.
fn answer(
    dispatcher: Option<Arc<dyn Dispatch>>,
    request: &Message,
    call: &Arc<CallState>,
    context: Context,
    now: Instant,
) -> Message {
    let limit = context.connection.max_message();
    let Some(_level) = depth::enter() else { return failed(request.call, &Failure::new(FailureKind::TooDeep, "")) };
    let outcome = unless_over(call, now, || match dispatcher {
        Some(dispatcher) => context.run(|| call.run(|| run(&*dispatcher, request, limit))),
        None => Err(Failure::new(FailureKind::UnknownMethod, &format!("there is no object {}", request.target))),
    });
    message(request.call, call, outcome)
}

/// Runs a handler, unless there is no point in it any more.
fn unless_over<R>(call: &CallState, now: Instant, handler: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    if call.is_stopping() && !call.is_given_up() {
        return Err(stopping());
    }
    if call.is_cancelled_at(now) {
        return Err(cancelled());
    }
    handler()
}

/// The answer to a call. If nobody waits for it when it is there, it is not worth sending.
pub(crate) fn message(number: u32, call: &CallState, outcome: Outcome) -> Message {
    match outcome {
        Ok(_) if call.is_given_up() => failed(number, &cancelled()),
        Ok((verdict, answer)) => {
            let kind = if verdict == Verdict::Value { Kind::Value } else { Kind::Error };
            let (payload, bulk) = answer.into_parts();
            Message { bulk, ..Message::answer(kind, number, payload) }
        }
        Err(failure) => failed(number, &failure),
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "its time was over before it could run")
}

/// Runs a oneway call. The host was told nothing but that it is on its way, so what goes wrong is told here.
fn run_oneway(
    executor: &Executor,
    dispatcher: Option<Arc<dyn Dispatch>>,
    mut call: Message,
    state: &Arc<CallState>,
    context: Context,
) {
    let Some(dispatcher) = dispatcher else {
        return tracing::warn!(target = call.target, "a oneway call of an object that is not there");
    };
    let method = dispatcher.descriptor().methods.get(usize::from(call.method)).map_or("unknown", |method| method.name);
    let outcome = if is_async(&*dispatcher, &call) {
        Run::new(dispatcher, &mut call, state, context).and_then(|run| executor.block_on(run))
    } else {
        let limit = context.connection.max_message();
        context.run(|| state.run(|| run(&*dispatcher, &call, limit)))
    };
    match outcome {
        Ok((Verdict::Value, _)) => {}
        Ok((Verdict::Error, error)) => {
            let error = codec::from_slice::<Error>(&error.into_buffer())
                .map_or_else(|_| "its own".into(), |error| error.to_string());
            tracing::warn!(method, error, "a oneway method failed, and nobody waits for its error");
        }
        Err(Failure { kind, message, location }) => {
            tracing::warn!(method, ?kind, message, location, "a oneway method did not run to its end");
        }
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

fn stopping() -> Failure {
    Failure::new(FailureKind::Stopping, "the plugin is stopping")
}

/// Runs the method; the encoded answer, or why there is none.
fn run(dispatcher: &dyn Dispatch, request: &Message, limit: usize) -> Outcome {
    dispatched(dispatcher.descriptor().name, request, limit, |method, arguments, answer| {
        dispatcher.dispatch(method, arguments, answer)
    })
}

/// As [`run`], of whatever `dispatch` does, which goes by `name`.
pub(crate) fn dispatched(
    name: &str,
    request: &Message,
    limit: usize,
    dispatch: impl FnOnce(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault>,
) -> Outcome {
    let mut arguments = Decoder::new(&request.payload);
    let mut answer = Encoder::new(limit);
    if request.meta {
        arguments.skip().map_err(|error| Failure::new(FailureKind::BadArguments, &error.to_string()))?;
    }
    let outcome = panics::catch(|| dispatch(request.method.into(), &mut arguments, &mut answer));
    match outcome {
        Ok(Ok(verdict)) => Ok((verdict, answer)),
        Ok(Err(fault)) => Err(fault_failure(fault, name, request.method)),
        Err(panic) => Err(Failure::panicked(&panic.message, panic.location.as_deref())),
    }
}

fn is_async(dispatcher: &dyn Dispatch, request: &Message) -> bool {
    dispatcher.descriptor().methods.get(usize::from(request.method)).is_some_and(|method| method.is_async)
}

pub(super) fn fault_failure(fault: Fault, name: &str, method: u16) -> Failure {
    match fault {
        Fault::UnknownMethod => {
            Failure::new(FailureKind::UnknownMethod, &format!("interface `{name}` has no method number {method}"))
        }
        Fault::Arguments(error) => Failure::new(FailureKind::BadArguments, &error.to_string()),
        Fault::Answer(EncodeError::TooLarge(limit)) => Failure::new(FailureKind::AnswerTooLarge, &limit.to_string()),
        Fault::Answer(EncodeError::Failed(message)) => Failure::new(FailureKind::BadAnswer, &message),
    }
}

fn failed(call: u32, failure: &Failure) -> Message {
    // Three strings and a variant: their encoding cannot fail.
    let payload = codec::encode(failure).unwrap_or_default();
    Message::answer(Kind::Failure, call, payload)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        connection::Options,
        interface::{BoxFuture, Descriptor, Method, Request, Timeout},
        protocol::frame::Deframer,
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
            done.send(service.running()).unwrap();
        };
        std::thread::spawn(test);
        let running = over.recv_timeout(Duration::from_secs(20)).expect("nobody waits for himself");
        assert_eq!(running, 0, "its task was dropped");
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
        let answer =
            answer(None, &Message::control(Kind::Request, 7), &call, service.context(&connection, 7), Instant::now());
        let failure: Failure = codec::from_slice(&answer.payload).unwrap();
        assert_eq!((answer.call, failure.kind), (7, FailureKind::Stopping));
    }
}

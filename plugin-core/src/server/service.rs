//! Answering one request: decode, run, encode; and a clear failure where one of them is impossible.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    call::CallState,
    panics,
    stop::{Stop, StopReason},
    workers::{Job, Rejected, Workers},
};
use crate::{
    codec::{self, Decoder, EncodeError, Encoder},
    connection::{Cause, Connection, End, Handler, lock},
    interface::{Dispatch, Fault, Verdict},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, InterfaceEntry, Message},
    },
};

/// The values a plugin serves, and the threads that serve them.
pub(crate) struct Service {
    /// In the order of the greeting; emptied when serving ends.
    dispatchers: Mutex<Vec<Arc<dyn Dispatch>>>,
    workers: Arc<Workers>,
    /// The calls that are being answered or wait for a thread, by number.
    running: Arc<Running>,
    stop: Arc<Stop>,
}

type Running = Mutex<HashMap<u32, Arc<CallState>>>;

impl Service {
    pub(crate) fn new(dispatchers: Vec<Arc<dyn Dispatch>>, stop: Arc<Stop>) -> Arc<Self> {
        let (workers, running) = (Arc::default(), Arc::default());
        Arc::new(Self { dispatchers: Mutex::new(dispatchers), workers, running, stop })
    }

    /// What the greeting says of the interfaces.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceEntry> {
        lock(&self.dispatchers).iter().map(|dispatcher| entry(&**dispatcher)).collect()
    }

    /// Ends serving: queued requests are dropped, running ones are cancelled and have `grace`, then the values are let go.
    ///
    /// A value that a handler still uses is dropped when that handler returns.
    pub(crate) fn finish(&self, grace: Duration) {
        for call in lock(&self.running).values() {
            call.stop();
        }
        self.workers.stop(grace);
        let dispatchers = std::mem::take(&mut *lock(&self.dispatchers));
        drop(dispatchers);
    }
}

impl Handler for Service {
    fn request(&self, connection: &Arc<Connection>, request: Message) {
        let dispatcher = lock(&self.dispatchers).get(request.target as usize).cloned();
        let (call, bytes) = (request.call, request.payload.len());
        let connection_of_job = Arc::clone(connection);
        // Counted from its arrival, not from when a thread is free: waiting in the queue is part of the call.
        let limit = match request.deadline {
            0 => None,
            left => Instant::now().checked_add(Duration::from_millis(left.into())),
        };
        let state = CallState::new(limit);
        lock(&self.running).insert(call, Arc::clone(&state));
        let running = Arc::clone(&self.running);
        let run = move || {
            let connection = connection_of_job;
            let answer = answer(dispatcher, &request, &state, connection.max_message());
            drop(request);
            lock(&running).remove(&call);
            // Fails only where the connection has ended, and with it whoever waited for the answer.
            let _ = connection.send(answer, None);
        };
        if let Err(why) = self.workers.submit(Job { bytes, run: Box::new(run) }) {
            lock(&self.running).remove(&call);
            refuse(connection, call, why);
        }
    }

    fn cancel(&self, call: u32) {
        if let Some(call) = lock(&self.running).get(&call) {
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

/// Answers a request. If nobody waits for the answer when it is there, it is not worth sending.
fn answer(dispatcher: Option<Arc<dyn Dispatch>>, request: &Message, call: &Arc<CallState>, limit: usize) -> Message {
    let cancelled = || Failure::new(FailureKind::Cancelled, "its time was over before it could run");
    let outcome = match dispatcher {
        _ if call.is_cancelled() => Err(cancelled()),
        Some(dispatcher) => call.run(|| run(&*dispatcher, request, limit)),
        None => Err(Failure::new(FailureKind::UnknownMethod, &format!("there is no object {}", request.target))),
    };
    match outcome {
        Ok(_) if call.is_given_up() => failed(request.call, &cancelled()),
        Ok((Verdict::Value, payload)) => Message::answer(Kind::Value, request.call, payload),
        Ok((Verdict::Error, payload)) => Message::answer(Kind::Error, request.call, payload),
        Err(failure) => failed(request.call, &failure),
    }
}

fn refuse(connection: &Connection, call: u32, why: Rejected) {
    let failure = match why {
        Rejected::Full => Failure::new(FailureKind::Overloaded, "too many requests wait for a free thread"),
        Rejected::Stopping => Failure::new(FailureKind::Stopping, "the plugin is stopping"),
    };
    connection.refuse(call, &failure);
}

/// Runs the method; the encoded answer, or why there is none.
fn run(dispatcher: &dyn Dispatch, request: &Message, limit: usize) -> Result<(Verdict, Vec<u8>), Failure> {
    let mut arguments = Decoder::new(&request.payload);
    let mut answer = Encoder::new(limit);
    if request.meta {
        arguments.skip().map_err(|error| Failure::new(FailureKind::BadArguments, &error.to_string()))?;
    }
    let outcome = panics::catch(|| dispatcher.dispatch(request.method.into(), &mut arguments, &mut answer));
    match outcome {
        Ok(Ok(verdict)) => Ok((verdict, answer.into_payload())),
        Ok(Err(fault)) => Err(fault_failure(fault, dispatcher, request.method)),
        Err(panic) => Err(Failure::panicked(&panic.message, panic.location.as_deref())),
    }
}

fn fault_failure(fault: Fault, dispatcher: &dyn Dispatch, method: u16) -> Failure {
    match fault {
        Fault::UnknownMethod => {
            let name = dispatcher.descriptor().name;
            Failure::new(FailureKind::UnknownMethod, &format!("interface `{name}` has no method number {method}"))
        }
        Fault::Arguments(error) => Failure::new(FailureKind::BadArguments, &error.to_string()),
        Fault::Answer(EncodeError::TooLarge(limit)) => Failure::new(FailureKind::AnswerTooLarge, &limit.to_string()),
        Fault::Answer(EncodeError::Failed(message)) => Failure::new(FailureKind::BadAnswer, &message),
    }
}

fn failed(call: u32, failure: &Failure) -> Message {
    // Three strings and a variant: their encoding cannot fail.
    let payload = codec::to_vec(failure).unwrap_or_default();
    Message::answer(Kind::Failure, call, payload)
}

/// What a greeting says of the interface behind `dispatcher`.
pub(super) fn entry(dispatcher: &dyn Dispatch) -> InterfaceEntry {
    let descriptor = dispatcher.descriptor();
    InterfaceEntry {
        name: descriptor.name.into(),
        version: descriptor.version.map(Into::into),
        methods: descriptor.methods.iter().map(|method| method.name.into()).collect(),
    }
}

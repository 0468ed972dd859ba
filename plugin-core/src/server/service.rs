//! Answering one request: decode, run, encode; and a clear failure where one of them is impossible.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    panics,
    stop::{Stop, StopReason},
    workers::{Job, Rejected, Workers},
};
use crate::{
    codec::{self, Decoder, EncodeError, Encoder},
    connection::{Connection, End, Handler, lock},
    deadline,
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
    stop: Arc<Stop>,
}

impl Service {
    pub(crate) fn new(dispatchers: Vec<Arc<dyn Dispatch>>, stop: Arc<Stop>) -> Arc<Self> {
        Arc::new(Self { dispatchers: Mutex::new(dispatchers), workers: Arc::default(), stop })
    }

    /// What the greeting says of the interfaces.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceEntry> {
        lock(&self.dispatchers).iter().map(|dispatcher| entry(&**dispatcher)).collect()
    }

    /// Ends serving: queued requests are dropped, running ones have `grace`, then the values are let go.
    ///
    /// A value that a handler still uses is dropped when that handler returns.
    pub(crate) fn finish(&self, grace: Duration) {
        self.workers.stop(grace);
        let dispatchers = std::mem::take(&mut *lock(&self.dispatchers));
        drop(dispatchers);
    }

    fn answer(dispatcher: Option<Arc<dyn Dispatch>>, request: &Message, limit: usize) -> Message {
        let outcome = match dispatcher {
            Some(dispatcher) => run(&*dispatcher, request, limit),
            None => Err(failure(FailureKind::UnknownMethod, format!("there is no object {}", request.target))),
        };
        match outcome {
            Ok((Verdict::Value, payload)) => Message::answer(Kind::Value, request.call, payload),
            Ok((Verdict::Error, payload)) => Message::answer(Kind::Error, request.call, payload),
            Err(failure) => failed(request.call, &failure),
        }
    }

    fn refuse(connection: &Connection, call: u32, why: Rejected) {
        let failure = match why {
            Rejected::Full => failure(FailureKind::Overloaded, "too many requests wait for a free thread".into()),
            Rejected::Stopping => failure(FailureKind::Stopping, "the plugin is stopping".into()),
        };
        connection.refuse(call, &failure);
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
        let run = move || {
            let connection = connection_of_job;
            let answer = deadline::inherit(limit, || Self::answer(dispatcher, &request, connection.max_message()));
            drop(request);
            // Fails only where the connection has ended, and with it whoever waited for the answer.
            let _ = connection.send(answer, None);
        };
        if let Err(why) = self.workers.submit(Job { bytes, run: Box::new(run) }) {
            Self::refuse(connection, call, why);
        }
    }

    fn goodbye(&self) {
        self.stop.request(StopReason::Goodbye);
    }

    fn closed(&self, end: &End) {
        self.stop.request(StopReason::Disconnected(end.cause.to_string()));
    }
}

/// Runs the method; the encoded answer, or why there is none.
fn run(dispatcher: &dyn Dispatch, request: &Message, limit: usize) -> Result<(Verdict, Vec<u8>), Failure> {
    let mut arguments = Decoder::new(&request.payload);
    let mut answer = Encoder::new(limit);
    if request.meta {
        arguments.skip().map_err(|error| failure(FailureKind::BadArguments, error.to_string()))?;
    }
    let outcome = panics::catch(|| dispatcher.dispatch(request.method.into(), &mut arguments, &mut answer));
    match outcome {
        Ok(Ok(verdict)) => Ok((verdict, answer.into_payload())),
        Ok(Err(fault)) => Err(fault_failure(fault, dispatcher, request.method)),
        Err(panic) => Err(Failure { kind: FailureKind::Panicked, message: panic.message, location: panic.location }),
    }
}

fn fault_failure(fault: Fault, dispatcher: &dyn Dispatch, method: u16) -> Failure {
    match fault {
        Fault::UnknownMethod => {
            let name = dispatcher.descriptor().name;
            failure(FailureKind::UnknownMethod, format!("interface `{name}` has no method number {method}"))
        }
        Fault::Arguments(error) => failure(FailureKind::BadArguments, error.to_string()),
        Fault::Answer(EncodeError::TooLarge(limit)) => failure(FailureKind::AnswerTooLarge, limit.to_string()),
        Fault::Answer(EncodeError::Failed(message)) => failure(FailureKind::BadAnswer, message),
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message, location: None }
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

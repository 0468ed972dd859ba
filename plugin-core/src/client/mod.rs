//! What a proxy holds: its end of one interface of one plugin.

mod answer;
mod binding;
mod calling;
mod prepared;

pub use answer::Answer;
pub(crate) use answer::{Peer, bad_answer, explain_failure};
pub(crate) use binding::{check_version, number_methods};
pub(crate) use calling::Calling;
pub(crate) use prepared::Prepared;

use std::{fmt, sync::Arc, time::Instant};

use crate::{
    Error, Result,
    buffer::Buffer,
    codec::{self, EncodeError, Encoder},
    connection::{CallFailure, Unsent},
    deadline::{self, Scope},
    host::{Handle, Instance, Lease, explain, limit},
    interface::{Descriptor, Method, Timeout},
    objects::{Attachments, Lending, Lent, Parcel, context, depth},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, Message},
        metadata::Metadata,
    },
};
use binding::{Binding, Bindings};

/// Calls the methods of one interface of one plugin.
#[derive(Clone)]
pub(crate) struct Client {
    plugin: Arc<Handle>,
    descriptor: &'static Descriptor,
    bindings: Arc<Bindings>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut client = f.debug_struct("Client");
        client.field("plugin", &self.plugin.name()).field("interface", &self.descriptor.name).finish_non_exhaustive()
    }
}

impl Client {
    /// Finds the interface among those that the plugin serves.
    pub(crate) fn new(plugin: Arc<Handle>, descriptor: &'static Descriptor) -> Result<Self> {
        let began = Instant::now();
        let deadline = deadline::for_call(began, Timeout::Inherit, plugin.call_timeout());
        let instance = plugin.acquire("the greeting", began, deadline)?;
        Self::of(&instance, plugin, descriptor)
    }

    /// As [`new`](Self::new), for a task.
    pub(crate) async fn new_async(plugin: Arc<Handle>, descriptor: &'static Descriptor) -> Result<Self> {
        let began = Instant::now();
        let deadline = deadline::for_call(began, Timeout::Inherit, plugin.call_timeout());
        let instance = plugin.acquire_async("the greeting", began, deadline).await?;
        Self::of(&instance, plugin, descriptor)
    }

    fn of(instance: &Arc<Instance>, plugin: Arc<Handle>, descriptor: &'static Descriptor) -> Result<Self> {
        let bindings = Arc::new(Bindings::new(Binding::new(instance, descriptor, plugin.name())?));
        Ok(Self { plugin, descriptor, bindings })
    }

    /// Whether the plugin has method number `method` of the descriptor.
    pub(crate) fn supports(&self, method: usize) -> bool {
        self.bindings.of_last(|binding| binding.numbers[method].is_some())
    }

    /// Calls method number `method` of the descriptor with `arguments` values, which `encode` writes.
    ///
    /// # Errors
    /// When the call fails for any reason but the method's own.
    pub(crate) fn call(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
        lent: &mut [Lent<'_>],
    ) -> Result<Answer<'_>> {
        let called = &self.descriptor.methods[method];
        let _level = depth::enter().ok_or_else(|| too_deep(self.plugin.name(), called.name))?;
        let mut call = self.begin(method, arguments, encode)?;
        let mut crash = None;
        loop {
            match self.attempt(&mut call, lent) {
                Ok(answer) => return Ok(answer),
                Err(attempt) => call.again(attempt, &mut crash, called)?,
            }
        }
    }

    /// A call that begins now.
    fn begin(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Call> {
        let called = &self.descriptor.methods[method];
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, self.plugin.call_timeout());
        let parent = context::call_of(|connection| self.plugin.is_connected_by(connection));
        let parcel = self.encode(called, parent, arguments, encode)?;
        let Parcel { payload, meta, attachments } = parcel;
        Ok(Call { method, meta, payload, attachments, times: Times { began, deadline } })
    }

    /// Sends a call of oneway method number `method` of the descriptor, with `arguments` values, which `encode` writes.
    ///
    /// # Errors
    /// When it cannot be sent. What becomes of it then, nobody is told.
    pub(crate) fn call_oneway(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<()> {
        let called = &self.descriptor.methods[method];
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, self.plugin.call_timeout());
        let Parcel { mut payload, meta, attachments } = self.encode(called, None, arguments, encode)?;
        loop {
            let lease = self.plugin.acquire(called.name, began, deadline)?;
            let (target, number) = self.bind(&lease, method)?;
            let call = Message { target, method: number, meta, payload, ..Message::control(Kind::Oneway, 0) };
            let call = self.attach(&attachments, call, called, &lease)?;
            let failure = match lease.connection.send_oneway(call, deadline) {
                Ok(()) => return Ok(()),
                // It goes to the next run, if there is to be one.
                Err((Unsent::Closed, call)) if !lease.is_stopping() => {
                    payload = call.payload;
                    continue;
                }
                Err((Unsent::Closed, call)) => CallFailure::Unsent(call),
                Err((Unsent::Late, _)) => CallFailure::Late { may_have_run: false },
            };
            return Err(explain(&lease, called.name, began, deadline, &failure));
        }
    }

    /// Encodes the arguments of a call of async method number `method`, to be made when somebody waits for it.
    pub(crate) fn prepare(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Prepared<'_>> {
        let arguments = self.encode(&self.descriptor.methods[method], None, arguments, encode)?;
        Ok(Prepared { client: self, method, began: Instant::now(), scope: Scope::current(), arguments })
    }

    fn encode(
        &self,
        called: &Method,
        parent: Option<u32>,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Parcel> {
        let encoded = encode_call(self.plugin.max_message(), parent, arguments, encode);
        encoded.map_err(|error| unsent(self.plugin.name(), called.name, error))
    }

    /// Has what the arguments refer to go along with them.
    fn attach(&self, attachments: &Attachments, call: Message, called: &Method, run: &Instance) -> Result<Message> {
        let attached = attachments.attach(call, &run.connection);
        attached.map_err(|error| unsent(self.plugin.name(), called.name, error))
    }

    /// Calls the method in the run that there is now.
    ///
    /// While the call waits, this takes little of the stack: a callback may be next.
    fn attempt(&self, call: &mut Call, lent: &mut [Lent<'_>]) -> Result<Answer<'_>, Attempt> {
        let mut lending = Lending::new(lent, self.plugin.shared_name());
        let (lease, request, kept) = self.address(call, &lending)?;
        let outcome = lease.connection.call_lending(request, call.times.deadline, &mut lending);
        self.conclude(&lease, &self.descriptor.methods[call.method], kept, outcome, call.times)
    }

    /// The run that there is now, and the request for it.
    fn address(&self, call: &mut Call, lending: &Lending<'_, Lent<'_>>) -> Result<(Lease, Message, Option<Buffer>)> {
        let Call { method, meta, times: Times { began, deadline }, .. } = *call;
        let called = &self.descriptor.methods[method];
        let lease = match self.bindings.lease() {
            Some(lease) => lease,
            None => self.plugin.acquire(called.name, began, deadline)?,
        };
        let (target, number) = self.bind(&lease, method)?;
        lending.declare(&lease.connection).map_err(|error| unsent(self.plugin.name(), called.name, error))?;
        let payload = std::mem::take(&mut call.payload);
        let kept = called.idempotent.then(|| payload.clone());
        let request = Message { target, method: number, meta, payload, ..Message::control(Kind::Request, 0) };
        let request = self.attach(&call.attachments, request, called, &lease)?;
        Ok((lease, request, kept))
    }

    /// What an attempt has come to, whose request was `kept` if it may be repeated.
    #[inline]
    fn conclude(
        &self,
        lease: &Lease,
        called: &'static Method,
        kept: Option<Buffer>,
        outcome: Result<Message, CallFailure>,
        Times { began, deadline }: Times,
    ) -> Result<Answer<'_>, Attempt> {
        match (outcome, kept) {
            (Ok(answer), _) => {
                if let Some(failure) = failure_at_the_end(&answer).filter(|_| lease.is_stopping()) {
                    // It was on its way when this host began to stop the plugin.
                    return Err(explain(lease, called.name, began, deadline, &failure).into());
                }
                let (peer, limit) = (Peer::Named(self.plugin.name()), || limit(began, deadline));
                Ok(Answer::new(peer, called.name, answer, limit, self.plugin.max_message())?)
            }
            (Err(failure), kept) => Err(unanswered(lease, called, kept, failure, Times { began, deadline })),
        }
    }

    /// What the interface and the method go by in this run.
    fn bind(&self, instance: &Arc<Instance>, method: usize) -> Result<(u32, u16)> {
        let look = |binding: &Binding| (binding.target, binding.numbers[method]);
        let (target, number) = self.bindings.of(instance, self.descriptor, self.plugin.name(), look)?;
        Ok((target, number.ok_or_else(|| self.unknown(&self.descriptor.methods[method]))?))
    }

    fn unknown(&self, method: &Method) -> Error {
        Error::UnknownMethod { plugin: self.plugin.name().into(), method: method.name.into() }
    }
}

/// Encodes what a request says: the call that it is made from, if any, then so many arguments, which `encode` writes.
pub(crate) fn encode_call(
    max_message: usize,
    parent: Option<u32>,
    arguments: u32,
    encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
) -> Result<Parcel, EncodeError> {
    let mut encoder = Encoder::new(max_message);
    if let Some(parent) = parent {
        Metadata::from_call(parent).write(&mut encoder)?;
    }
    let metadata = encoder.len();
    encoder.array(arguments)?;
    encode(&mut encoder)?;
    let things = encoder.take_things();
    Parcel::seal(encoder.into_buffer(), things, max_message, parent, metadata)
}

/// What an attempt has come to that has no answer.
fn unanswered(
    lease: &Lease,
    called: &Method,
    kept: Option<Buffer>,
    failure: CallFailure,
    Times { began, deadline }: Times,
) -> Attempt {
    match (failure, kept) {
        // It never left, so it goes to the next run, if there is to be one.
        (CallFailure::Unsent(request), _) if !lease.is_stopping() => Attempt::Unsent(request.payload),
        (CallFailure::Closed { may_have_run }, Some(request)) if lease.is_lost() => {
            Attempt::Crashed { instance: Arc::clone(lease), may_have_run, request }
        }
        (failure, _) => explain(lease, called.name, began, deadline, &failure).into(),
    }
}

/// Why the arguments of a call cannot be sent.
pub(crate) fn unsent(plugin: &str, method: &str, error: EncodeError) -> Error {
    let (plugin, method) = (plugin.into(), method.into());
    match error {
        EncodeError::TooLarge(limit) => Error::TooLarge { plugin, method, what: "arguments".into(), limit },
        EncodeError::Failed(message) => Error::BadArguments { plugin, method, message },
    }
}

/// Why a call was not made: too many wait for each other already.
pub(crate) fn too_deep(plugin: &str, method: &str) -> Error {
    Error::TooDeep { plugin: plugin.into(), method: method.into(), limit: depth::LIMIT }
}

/// What a plugin that is stopping has done about a call, if it says that it is.
fn failure_at_the_end(answer: &Message) -> Option<CallFailure> {
    if answer.kind != Kind::Failure {
        return None;
    }
    match codec::from_slice::<Failure>(&answer.payload).ok()?.kind {
        FailureKind::Stopping => Some(CallFailure::Closed { may_have_run: false }),
        FailureKind::Interrupted => Some(CallFailure::Closed { may_have_run: true }),
        _ => None,
    }
}

/// Why one attempt at a call has no answer.
enum Attempt {
    /// Nothing of it left; here are its arguments.
    Unsent(Buffer),
    /// The run ended during it, and it may be repeated in the next.
    Crashed { instance: Arc<Instance>, may_have_run: bool, request: Buffer },
    /// There is to be no other.
    Failed(Error),
}

impl Attempt {
    /// The arguments to try again with, or why not to.
    fn again(self, crash: &mut Option<Crash>, called: &Method, deadline: Option<Instant>) -> Result<Buffer> {
        match self {
            Self::Unsent(unsent) => Ok(unsent),
            Self::Crashed { instance, may_have_run, request } => {
                let may_have_run = may_have_run || crash.as_ref().is_some_and(|crash| crash.may_have_run);
                *crash = Some(Crash { instance, may_have_run });
                Ok(request)
            }
            Self::Failed(error) => Err(Crash::weigh(crash.take(), called, deadline, error)),
        }
    }
}

/// A call that has been encoded.
struct Call {
    method: usize,
    /// Whether its payload begins with metadata.
    meta: bool,
    payload: Buffer,
    /// What the arguments refer to.
    attachments: Attachments,
    times: Times,
}

impl Call {
    /// Gets its arguments back to try again with, or why not to.
    fn again(&mut self, attempt: Attempt, crash: &mut Option<Crash>, called: &Method) -> Result<()> {
        self.payload = attempt.again(crash, called, self.times.deadline)?;
        Ok(())
    }
}

/// When a call began, and until when it has time.
#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    deadline: Option<Instant>,
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The last run that ended during a call which is being repeated.
struct Crash {
    instance: Arc<Instance>,
    /// Whether any run so far may have run the method.
    may_have_run: bool,
}

impl Crash {
    /// What to tell where `error` ended a call: after a crash, never that the method did not run if it may have.
    fn weigh(crash: Option<Self>, method: &Method, deadline: Option<Instant>, error: Error) -> Error {
        let Some(Self { instance, may_have_run: true }) = crash else { return error };
        let last = || instance.lost(method.name, true, deadline);
        match error {
            Error::GaveUp { plugin, method, .. } => {
                Error::GaveUp { plugin, method, may_have_run: true, last: Arc::new(last()) }
            }
            Error::Stopped { plugin, method, .. } => Error::Stopped { plugin, method, may_have_run: true },
            error if error.may_have_run() => error,
            error => {
                tracing::debug!(%error, "a call could not be repeated");
                last()
            }
        }
    }
}

//! What a caller lends for the time of a call: it runs on the caller's thread, which waits, or where the caller's future is polled,
//! and may borrow from either.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::{Duration, Instant},
};

use super::{
    attach,
    context::Context,
    depth::{self, Within},
    interfaces,
};
use crate::{
    codec::{Decoder, EncodeError, Encoder},
    connection::{Begun, Callback, Cancel, Connection, Lender, TaskLender, Turn, call_ended},
    deadline,
    interface::{Descriptor, Dispatched, Fault, Interface, Method, Request, Verdict},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, Message},
        metadata::FIRST_LENT,
    },
    server::{self, CallState, Executor, Outcome, dispatched, message},
};

/// Decodes the arguments, calls the method of that number, and encodes what it returned.
pub(crate) type Run<'a> = dyn FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + 'a;

/// As [`Run`], where a task may be polled by one thread and then by another.
pub(crate) type RunAnywhere<'a> =
    dyn FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + Send + 'a;

/// An object that a call lends, whatever its interface.
pub(crate) trait LentObject: Sync {
    /// Its interface.
    fn descriptor(&self) -> &'static Descriptor;

    /// As [`Interface::__dispatch`].
    fn dispatch(&self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault>;

    /// As [`Interface::__dispatch_async`].
    fn dispatch_async(&self, method: usize, request: Request, answer: Encoder) -> Dispatched<'_>;
}

impl<I: Interface + ?Sized> LentObject for &I {
    fn descriptor(&self) -> &'static Descriptor {
        I::DESCRIPTOR
    }

    fn dispatch(&self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault> {
        I::__dispatch(self, method, arguments, answer)
    }

    fn dispatch_async(&self, method: usize, request: Request, answer: Encoder) -> Dispatched<'_> {
        I::__dispatch_async(*self, method, request, answer)
    }
}

/// A function or an object that a call lends.
#[doc(hidden)]
pub struct LentAs<'a, R: ?Sized>(What<'a, R>);

enum What<'a, R: ?Sized> {
    Function(&'a mut R),
    Object(&'a (dyn LentObject + 'a)),
}

/// What a thread lends.
#[doc(hidden)]
pub type Lent<'a> = LentAs<'a, Run<'a>>;

/// What a task lends.
#[doc(hidden)]
pub type LentByTask<'a> = LentAs<'a, RunAnywhere<'a>>;

/// What can be run of either kind.
pub(crate) trait IsLent<'a> {
    fn object(&self) -> Option<&'a (dyn LentObject + 'a)>;

    fn run(&mut self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault>;
}

impl<'a, R> IsLent<'a> for LentAs<'a, R>
where
    R: FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + ?Sized,
{
    fn object(&self) -> Option<&'a (dyn LentObject + 'a)> {
        match self.0 {
            What::Function(_) => None,
            What::Object(object) => Some(object),
        }
    }

    fn run(&mut self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault> {
        match &mut self.0 {
            What::Function(run) => run(method, arguments, answer),
            What::Object(object) => object.dispatch(method, arguments, answer),
        }
    }
}

impl<R: ?Sized> std::fmt::Debug for LentAs<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            What::Function(_) => None,
            What::Object(object) => Some(object.descriptor().name),
        };
        f.debug_struct("Lent").field("interface", &name).finish_non_exhaustive()
    }
}

impl<'a, R: ?Sized> LentAs<'a, R> {
    /// An object.
    pub fn object<I: Interface + ?Sized>(object: &'a &'a I) -> Self {
        Self(What::Object(object))
    }

    /// A function.
    pub fn function(run: &'a mut R) -> Self {
        Self(What::Function(run))
    }
}

/// Writes what refers to the object that the call lends in place `place`.
///
/// # Errors
/// When the message would be larger than the limit.
#[doc(hidden)]
pub fn lend(to: &mut Encoder, place: u32, descriptor: &'static Descriptor) -> Result<(), EncodeError> {
    to.value(&(FIRST_LENT + place, interfaces::number(descriptor)))
}

/// The same for a function.
///
/// # Errors
/// As [`lend`].
#[doc(hidden)]
pub fn lend_function(to: &mut Encoder, place: u32) -> Result<(), EncodeError> {
    to.value(&(FIRST_LENT + place, None::<u32>))
}

/// Encodes the return of a function without a result.
///
/// # Errors
/// When the message would be larger than the limit.
#[doc(hidden)]
pub fn returned((): (), answer: &mut Encoder) -> Result<Verdict, Fault> {
    answer.value(&()).map(|()| Verdict::Value).map_err(Fault::Answer)
}

/// All that one call lends, and to whom.
pub(crate) struct Lending<'b, L> {
    lent: &'b mut [L],
    peer: &'b Arc<str>,
}

impl<'b, L> Lending<'b, L> {
    pub(crate) fn new(lent: &'b mut [L], peer: &'b Arc<str>) -> Self {
        Self { lent, peer }
    }

    /// Says what interfaces the objects have, where that has not been said yet.
    ///
    /// # Errors
    /// When one has too many methods.
    pub(crate) fn declare<'a>(&self, connection: &Arc<Connection>) -> Result<(), EncodeError>
    where
        L: IsLent<'a>,
    {
        let mut objects = self.lent.iter().filter_map(L::object);
        objects.try_for_each(|object| attach::declare(object.descriptor(), connection))
    }

    /// What `request` asks of an async method, and of which, if that is what it does.
    fn asked_async<'a>(&self, request: &Message) -> Option<(&'a (dyn LentObject + 'a), &'static Method)>
    where
        L: IsLent<'a>,
    {
        let object = self.lent.get(place(request))?.object()?;
        let method = object.descriptor().methods.get(usize::from(request.method))?;
        method.is_async.then_some((object, method))
    }

    /// Runs what is done when it returns.
    fn run_at_once<'a>(&mut self, connection: &Arc<Connection>, mut request: Message) -> Option<Message>
    where
        L: IsLent<'a>,
    {
        let asked = Asked::new(&request, connection, self.peer);
        let outcome = match (self.lent.get_mut(place(&request)), depth::enter()) {
            (None, _) => Err(Failure::new(FailureKind::UnknownMethod, "the call lends nothing in that place")),
            (_, None) => Err(too_deep()),
            (Some(lent), Some(_level)) => {
                let name = lent.object().map_or("a function", |object| object.descriptor().name);
                let run =
                    |method, arguments: &mut Decoder<'_>, answer: &mut Encoder| lent.run(method, arguments, answer);
                let run = || dispatched(name, &mut request, connection.max_message(), run);
                asked.context().run(|| asked.call.run(run))
            }
        };
        let answer = asked.concluded(outcome);
        asked.call.put_back();
        answer
    }
}

impl Lender for Lending<'_, Lent<'_>> {
    fn run(&mut self, connection: &Arc<Connection>, mut request: Message, turn: &Turn<'_>) -> Option<Message> {
        let Some((object, _)) = self.asked_async(&request) else { return self.run_at_once(connection, request) };
        let asked = Asked::new(&request, connection, self.peer);
        let outcome = match asked.begin(object, &mut request) {
            // Nobody waits for it any more, and it would keep the caller.
            _ if turn.is_answered && asked.number != 0 => Err(call_ended()),
            Err(failure) => Err(failure),
            Ok(run) => {
                let cancel = Arc::clone(&asked.call) as Arc<dyn Cancel>;
                let _underway = turn.begin(asked.number, &cancel);
                let (mut run, executor) = (Within::new(run, || Err(too_deep())), Executor::here());
                let deadline = turn.deadline.filter(|_| !turn.is_answered);
                let mut outcome = executor.block_on(deadline, &mut run);
                if outcome.is_err() && asked.number == 0 {
                    // What was told before the answer is part of what the call has brought, whatever time that takes.
                    if turn.is_answered_by_now() {
                        outcome = executor.block_on(None, &mut run);
                    } else {
                        turn.leave_incomplete();
                    }
                }
                outcome.unwrap_or_else(|_| Err(unfinished()))
            }
        };
        asked.concluded(outcome)
    }
}

impl<'a> TaskLender<'a> for Lending<'_, LentByTask<'a>> {
    fn begin(&mut self, connection: &Arc<Connection>, mut request: Message) -> Begun<'a> {
        let Some((object, method)) = self.asked_async(&request) else {
            return Begun::Done(self.run_at_once(connection, request));
        };
        let asked = Asked::new(&request, connection, self.peer);
        match asked.begin(object, &mut request) {
            Err(failure) => Begun::Done(asked.concluded(Err(failure))),
            Ok(run) => {
                let (number, cancel) = (asked.number, Arc::clone(&asked.call) as _);
                let run = Box::pin(Answering { asked, run: Within::new(run, || Err(too_deep())) });
                Begun::Runs(Callback { run, number, cancel, is_oneway: method.is_oneway })
            }
        }
    }
}

/// Runs an async method of something lent, in a task.
struct Answering<R> {
    asked: Asked,
    run: R,
}

impl<R: Future<Output = Outcome> + Unpin> Future for Answering<R> {
    type Output = Option<Message>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Option<Message>> {
        let Self { asked, run } = &mut *self;
        Pin::new(run).poll(context).map(|outcome| asked.concluded(outcome))
    }
}

/// In which place that is lent which `request` is for.
fn place(request: &Message) -> usize {
    request.target.wrapping_sub(FIRST_LENT) as usize
}

/// Why a callback that had begun has not ended.
fn unfinished() -> Failure {
    Failure::new(FailureKind::Late, "its time was over before it was done")
}

fn too_deep() -> Failure {
    Failure::new(FailureKind::TooDeep, "")
}

/// A request for something lent, or a notice.
struct Asked {
    connection: Arc<Connection>,
    peer: Arc<str>,
    /// 0 if nobody waits for it.
    number: u32,
    call: Arc<CallState>,
}

impl Asked {
    fn new(request: &Message, connection: &Arc<Connection>, peer: &Arc<str>) -> Self {
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(Instant::now(), Duration::from_millis(left.into())),
        };
        let number = if request.kind == Kind::Request { request.call } else { 0 };
        Self { connection: Arc::clone(connection), peer: Arc::clone(peer), number, call: CallState::new(limit) }
    }

    fn context(&self) -> Context {
        Context::new(&self.connection, self.number)
    }

    /// Begins to run an async method of `object`.
    fn begin<'a>(&self, object: &'a (dyn LentObject + 'a), request: &mut Message) -> Result<server::Run<'a>, Failure> {
        let dispatch = |method, request, answer| object.dispatch_async(method, request, answer);
        let limit = self.connection.max_message();
        let mut run = server::Run::new(object.descriptor(), request, Arc::clone(&self.call), limit, dispatch)?;
        run.is_made_from(self.context());
        Ok(run)
    }

    /// What to answer, if anybody waits for that.
    fn concluded(&self, outcome: Outcome) -> Option<Message> {
        if self.number != 0 {
            return Some(message(self.number, &self.call, outcome, &self.connection));
        }
        if let Err(Failure { kind, message, location }) = outcome {
            let plugin = &*self.peer;
            tracing::warn!(plugin, ?kind, message, location, "a callback without a result did not run to its end");
        }
        None
    }
}

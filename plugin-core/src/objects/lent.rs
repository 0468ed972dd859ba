//! What a caller lends for the time of a call: it runs on the caller's thread, which waits, and may borrow from its stack.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{attach, context::Context, depth, interfaces};
use crate::{
    codec::{Decoder, EncodeError, Encoder},
    connection::{Connection, Lender},
    deadline,
    interface::{Descriptor, Fault, Verdict},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, Message},
        metadata::FIRST_LENT,
    },
    server::{CallState, Outcome, dispatched, message},
};

/// Decodes the arguments, calls the method of that number, and encodes what it returned.
pub(crate) type Run<'a> = dyn FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + 'a;

/// As [`Run`], where a task may be polled by one thread and then by another.
pub(crate) type RunAnywhere<'a> =
    dyn FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + Send + 'a;

/// A function or an object that a call lends.
#[doc(hidden)]
pub struct LentAs<'a, R: ?Sized> {
    /// `None` for a function.
    descriptor: Option<&'static Descriptor>,
    run: &'a mut R,
}

/// What a thread lends.
#[doc(hidden)]
pub type Lent<'a> = LentAs<'a, Run<'a>>;

/// What a task lends.
#[doc(hidden)]
pub type LentByTask<'a> = LentAs<'a, RunAnywhere<'a>>;

/// What can be run of either kind.
pub(crate) trait IsLent {
    fn descriptor(&self) -> Option<&'static Descriptor>;

    fn run(&mut self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault>;
}

impl<R> IsLent for LentAs<'_, R>
where
    R: FnMut(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault> + ?Sized,
{
    fn descriptor(&self) -> Option<&'static Descriptor> {
        self.descriptor
    }

    fn run(&mut self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault> {
        (self.run)(method, arguments, answer)
    }
}

impl<R: ?Sized> std::fmt::Debug for LentAs<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.descriptor.map(|descriptor| descriptor.name);
        f.debug_struct("Lent").field("interface", &name).finish_non_exhaustive()
    }
}

impl<'a, R: ?Sized> LentAs<'a, R> {
    /// An object of the interface described.
    pub fn object(descriptor: &'static Descriptor, run: &'a mut R) -> Self {
        Self { descriptor: Some(descriptor), run }
    }

    /// A function.
    pub fn function(run: &'a mut R) -> Self {
        Self { descriptor: None, run }
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
pub(crate) struct Lending<'a, L> {
    lent: &'a mut [L],
    peer: &'a Arc<str>,
}

impl<'a, L: IsLent> Lending<'a, L> {
    pub(crate) fn new(lent: &'a mut [L], peer: &'a Arc<str>) -> Self {
        Self { lent, peer }
    }

    /// Says what interfaces the objects have, where that has not been said yet.
    ///
    /// # Errors
    /// When one has too many methods.
    pub(crate) fn declare(&self, connection: &Arc<Connection>) -> Result<(), EncodeError> {
        for descriptor in self.lent.iter().filter_map(L::descriptor) {
            if let Some(method) = descriptor.methods.iter().find(|method| method.is_async) {
                let (name, method) = (descriptor.name, method.name);
                let why = format!(
                    "interface `{name}` cannot be lent yet, since its method `{method}` is async; pass a `Remote` instead, or lend one of sync methods"
                );
                return Err(EncodeError::Failed(why));
            }
            attach::declare(descriptor, connection)?;
        }
        Ok(())
    }

    fn answer(&mut self, connection: &Arc<Connection>, request: &mut Message) -> (Arc<CallState>, Outcome) {
        let limit = match request.deadline {
            0 => None,
            left => deadline::limited(Instant::now(), Duration::from_millis(left.into())),
        };
        let call = CallState::new(limit);
        let place = request.target.wrapping_sub(FIRST_LENT) as usize;
        let Some(lent) = self.lent.get_mut(place) else {
            let why = format!("the call lends nothing in place {place}");
            return (call, Err(Failure::new(FailureKind::UnknownMethod, &why)));
        };
        let Some(_level) = depth::enter() else { return (call, Err(Failure::new(FailureKind::TooDeep, ""))) };
        let name = lent.descriptor().map_or("a function", |descriptor| descriptor.name);
        // Nobody waits in a notice.
        let number = if request.kind == Kind::Request { request.call } else { 0 };
        let context = Context::new(connection, number);
        let run = |method, arguments: &mut Decoder<'_>, answer: &mut Encoder| lent.run(method, arguments, answer);
        let outcome = context.run(|| call.run(|| dispatched(name, request, connection.max_message(), run)));
        (call, outcome)
    }
}

impl<L: IsLent> Lender for Lending<'_, L> {
    fn run(&mut self, connection: &Arc<Connection>, mut request: Message) -> Option<Message> {
        let (call, outcome) = self.answer(connection, &mut request);
        let answer = if request.kind == Kind::Request {
            Some(message(request.call, &call, outcome, connection))
        } else {
            if let Err(Failure { kind, message, location }) = outcome {
                let plugin = &**self.peer;
                tracing::warn!(plugin, ?kind, message, location, "a callback without a result did not run to its end");
            }
            None
        };
        call.put_back();
        answer
    }
}

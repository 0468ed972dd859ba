//! What a caller has lent, seen from the method that was called with it: calling it asks the thread that waits for the method.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    Lending, Lent,
    caller::Client,
    context::{self, Context},
    depth,
};
use crate::{
    Error, Interface, Result,
    client::{Answer, check_version, encode_call, number_methods, too_deep, unsent},
    codec::{DecodeError, Decoder, EncodeError, Encoder},
    connection::{CallFailure, NOTICE_BYTES, NOTICES, Sent, Unsent, lock},
    deadline,
    host::limit,
    interface::{Descriptor, Method, Timeout},
    protocol::{
        frame::{Kind, MAX_PAYLOAD},
        message::Message,
        metadata,
    },
};

/// Encodes the arguments of a call; as often as need be.
type Encode<'a> = &'a mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>;

/// How long a call of something lent may take where nobody has said: as long as the call that lent it.
const AS_LONG_AS_ITS_CALL: Duration = Duration::MAX;

/// Something that is lent by the call that this side is answering.
#[derive(Clone)]
struct Callee {
    context: Context,
    target: u32,
    notices: Arc<Mutex<Notices>>,
}

/// What has been sent without waiting since something was waited for last.
#[derive(Default)]
struct Notices {
    count: usize,
    bytes: usize,
}

impl Notices {
    /// Takes note of another one of `length` bytes; `false` where it must be waited for.
    fn admit(&mut self, length: usize) -> bool {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(length);
        self.count < NOTICES && self.bytes < NOTICE_BYTES && length <= MAX_PAYLOAD
    }
}

/// What is called of it.
#[derive(Clone, Copy)]
struct Called {
    method: u16,
    name: &'static str,
    timeout: Timeout,
}

impl Callee {
    /// Decodes what refers to something lent; gives the number of its interface, too, which a function has not.
    fn decode(from: &mut Decoder<'_>) -> Result<(Self, Option<u32>), DecodeError> {
        let (target, interface): (u32, Option<u32>) = from.value()?;
        let context = Context::current().filter(|context| context.call != 0 && metadata::is_lent(target));
        let context = context.ok_or_else(|| DecodeError::Malformed("nothing can be lent here".into()))?;
        Ok((Self { context, target, notices: Arc::default() }, interface))
    }

    /// Calls it and waits for the answer.
    ///
    /// While it waits, this takes little of the stack: another call may be next.
    fn call(&self, called: Called, arguments: u32, encode: Encode<'_>, lent: &mut [Lent<'_>]) -> Result<Answer> {
        let _level = depth::enter().ok_or_else(|| too_deep(&self.context.peer, called.name))?;
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, AS_LONG_AS_ITS_CALL);
        let mut lending = Lending::new(lent, &self.context.peer);
        let request = self.request(called, arguments, encode, &lending)?;
        let answer = self.context.connection.call_lending(request, deadline, &mut lending);
        self.answer(called, began, deadline, answer)
    }

    fn request(
        &self,
        called: Called,
        arguments: u32,
        encode: Encode<'_>,
        lending: &Lending<'_, Lent<'_>>,
    ) -> Result<Message> {
        let Context { connection, call, peer } = &self.context;
        let encoded = encode_call(connection.max_message(), Some(*call), arguments, encode);
        let declared = encoded.and_then(|payload| lending.declare(connection).map(|()| payload));
        let payload = declared.map_err(|error| unsent(peer, called.name, error))?;
        let request = Message::control(Kind::Request, 0);
        Ok(Message { target: self.target, method: called.method, meta: true, payload, ..request })
    }

    fn answer(
        &self,
        called: Called,
        began: Instant,
        deadline: Option<Instant>,
        answer: Result<Message, CallFailure>,
    ) -> Result<Answer> {
        let Context { connection, peer, .. } = &self.context;
        context::note_wait(began);
        if answer.is_ok() {
            // All that was told before it has run.
            *lock(&self.notices) = Notices::default();
        }
        let answer = answer.map_err(|failure| self.explain(called.name, began, deadline, &failure))?;
        Answer::new(Arc::clone(peer), called.name, answer, limit(began, deadline), connection.max_message())
    }

    /// Calls it without waiting, behind all that it was called with before; now and then one is waited for, so that there are
    /// never too many under way.
    fn notify(&self, called: Called, arguments: u32, encode: Encode<'_>) -> Result<()> {
        let Context { connection, call, peer } = &self.context;
        let payload = encode_call(connection.max_message(), None, arguments, encode);
        let payload = payload.map_err(|error| unsent(peer, called.name, error))?;
        if !lock(&self.notices).admit(payload.len()) {
            return self.call(called, arguments, encode, &mut []).map(drop);
        }
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, AS_LONG_AS_ITS_CALL);
        let notice = Message::control(Kind::Notice, *call);
        let notice = Message { target: self.target, method: called.method, payload, ..notice };
        let failure = match connection.send(notice, deadline) {
            Ok(Sent::Cared) => return Ok(()),
            Ok(Sent::Partly) => {
                connection.stalled();
                return Ok(());
            }
            Err((Unsent::Closed, notice)) => CallFailure::Unsent(notice),
            Err((Unsent::Late, _)) => CallFailure::Late { may_have_run: false },
        };
        Err(self.explain(called.name, began, deadline, &failure))
    }

    fn explain(&self, method: &str, began: Instant, deadline: Option<Instant>, failure: &CallFailure) -> Error {
        let Context { connection, peer, .. } = &self.context;
        let (plugin, method) = (peer.to_string(), method.to_owned());
        let may_have_run = match failure {
            CallFailure::Late { may_have_run } => {
                let (after, silent_for) = (limit(began, deadline), connection.unresponsive_for());
                return Error::Timeout { plugin, method, after, may_have_run: *may_have_run, silent_for };
            }
            CallFailure::Closed { may_have_run } => *may_have_run,
            CallFailure::Unsent(_) => false,
        };
        let reason = connection.end().map_or_else(String::new, |end| end.cause.to_string());
        Error::Disconnected { plugin, method, may_have_run, reason }
    }
}

/// An object that is lent, behind a proxy.
#[derive(Clone)]
pub(super) struct Borrowed {
    callee: Callee,
    descriptor: &'static Descriptor,
    /// The other side's own number for each method of the descriptor, where it has the method.
    numbers: Arc<[Option<u16>]>,
}

/// Decodes what refers to an object that the call lends; gives a proxy for it.
///
/// # Errors
/// When nothing of that interface is lent.
#[doc(hidden)]
pub fn borrow<I: Interface + ?Sized>(from: &mut Decoder<'_>) -> Result<Arc<I>, DecodeError> {
    let (callee, interface) = Callee::decode(from)?;
    let Context { connection, peer, .. } = &callee.context;
    let entry = interface.and_then(|interface| connection.declared(interface));
    let wanted = || DecodeError::Malformed(format!("expected an object of interface `{}`", I::DESCRIPTOR.name));
    let entry = entry.filter(|entry| entry.name == I::DESCRIPTOR.name).ok_or_else(wanted)?;
    let misfit = |error: Error| DecodeError::Malformed(error.to_string());
    check_version(peer, I::DESCRIPTOR, &entry).map_err(misfit)?;
    let numbers = number_methods(peer, I::DESCRIPTOR, &entry).map_err(misfit)?;
    Ok(I::proxy(Client::borrowed(Borrowed { callee, descriptor: I::DESCRIPTOR, numbers })))
}

impl Borrowed {
    pub(super) fn interface(&self) -> &'static str {
        self.descriptor.name
    }

    pub(super) fn supports(&self, method: usize) -> bool {
        self.numbers[method].is_some()
    }

    pub(super) fn not_in_async(&self) -> Error {
        Error::custom(format!(
            "async methods of what is lent, such as this `{}`, cannot be called yet",
            self.interface()
        ))
    }

    fn method(&self, method: usize) -> Result<Called> {
        let Method { name, timeout, .. } = self.descriptor.methods[method];
        let peer = &self.callee.context.peer;
        let unknown = || Error::UnknownMethod { plugin: peer.to_string(), method: name.into() };
        Ok(Called { method: self.numbers[method].ok_or_else(unknown)?, name, timeout })
    }

    pub(super) fn call(
        &self,
        method: usize,
        arguments: u32,
        encode: Encode<'_>,
        lent: &mut [Lent<'_>],
    ) -> Result<Answer> {
        self.callee.call(self.method(method)?, arguments, encode, lent)
    }

    pub(super) fn call_oneway(&self, method: usize, arguments: u32, encode: Encode<'_>) -> Result<()> {
        self.callee.notify(self.method(method)?, arguments, encode)
    }
}

/// A function that is lent.
#[doc(hidden)]
pub struct Function {
    callee: Callee,
    called: Called,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.called.name).finish_non_exhaustive()
    }
}

impl Function {
    /// Decodes what refers to a function that the call lends; errors call it by that name.
    ///
    /// # Errors
    /// When no function is lent.
    pub fn decode(from: &mut Decoder<'_>, name: &'static str) -> Result<Self, DecodeError> {
        match Callee::decode(from)? {
            (callee, None) => Ok(Self { callee, called: Called { method: 0, name, timeout: Timeout::Inherit } }),
            (_, Some(_)) => Err(DecodeError::Malformed("expected a function, got an object".into())),
        }
    }

    /// Calls it with so many arguments, which `encode` writes, and waits for the answer.
    ///
    /// # Errors
    /// When the call fails for any reason but the function's own.
    pub fn call(&self, arguments: u32, encode: Encode<'_>) -> Result<Answer> {
        self.callee.call(self.called, arguments, encode, &mut [])
    }

    /// Calls it without waiting. There is nobody to tell what goes wrong.
    pub fn notify(&self, arguments: u32, encode: Encode<'_>) {
        if let Err(error) = self.callee.notify(self.called, arguments, encode) {
            tracing::debug!(%error, "a callback without a result was not called");
        }
    }
}

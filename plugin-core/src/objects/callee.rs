//! Calling something of the other side's that goes by a target: what a call has lent, or what this side holds.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    Lending, Lent, Parcel,
    context::{self, Context},
    depth,
    lent::IsLent,
};
use crate::{
    Error, Result,
    client::{Answer, Peer, encode_call, too_deep, unsent},
    codec::{EncodeError, Encoder},
    connection::{CallFailure, Connection, Import, NOTICE_BYTES, NOTICES, Sent, Unsent, lock},
    deadline::{self, Scope},
    host::{Keeper, limit},
    interface::Timeout,
    protocol::{
        frame::{Kind, MAX_PAYLOAD},
        message::Message,
    },
};

/// Encodes the arguments of a call; as often as need be.
pub(super) type Encode<'a> = &'a mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>;

/// How long a call of something lent may take where nobody has said: as long as the call that lent it.
const AS_LONG_AS_ITS_CALL: Duration = Duration::MAX;

/// Something of the other side's.
#[derive(Clone)]
pub(crate) struct Callee {
    pub(super) connection: Arc<Connection>,
    /// What errors call the other side.
    pub(crate) peer: Arc<str>,
    pub(super) target: u32,
    pub(super) hold: Hold,
}

/// By what right this side calls it.
#[derive(Clone)]
pub(super) enum Hold {
    /// The call that this side answers lends it.
    Lent { call: u32, notices: Arc<Mutex<Notices>> },
    /// What keeps the other side running, where that is this side's to do, notes until when the object was held: before it is
    /// let go of.
    Held { keeper: Option<Arc<Keeper>>, import: Arc<Import> },
}

/// What has been told without waiting: how often, and how many bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Told {
    count: u64,
    bytes: u64,
}

/// What has been told by one call, and what of that has run.
#[derive(Default)]
pub(super) struct Notices {
    told: Told,
    run: Told,
}

impl Notices {
    /// Takes note of another one of `length` bytes; `false` where it must be waited for.
    fn admit(&mut self, length: usize) -> bool {
        self.told.count += 1;
        self.told.bytes += length as u64;
        let (count, bytes) = (self.told.count - self.run.count, self.told.bytes - self.run.bytes);
        count < NOTICES as u64 && bytes < NOTICE_BYTES as u64 && length <= MAX_PAYLOAD
    }

    /// Takes note that all has run that had been told when something was asked that is answered now. Others may be asked and
    /// told at the same time, so that is not all that has been told.
    fn ran(&mut self, told: Told) {
        if told.count > self.run.count {
            self.run = told;
        }
    }
}

/// What is called of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called {
    pub(super) method: u16,
    pub(super) name: &'static str,
    pub(super) timeout: Timeout,
}

impl Callee {
    /// Calls it and waits for the answer.
    ///
    /// While it waits, this takes little of the stack: another call may be next.
    pub(super) fn call(
        &self,
        called: Called,
        arguments: u32,
        encode: Encode<'_>,
        lent: &mut [Lent<'_>],
    ) -> Result<Answer<'_>> {
        let Some(_level) = depth::enter() else { return Err(too_deep(&self.peer, called.name)) };
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, self.call_timeout());
        let mut lending = Lending::new(lent, &self.peer);
        let told = self.told();
        // Not by `?`, which would have a place of its own for each of its steps.
        match self.request(called, arguments, encode, &lending) {
            Ok(request) => {
                let answer = self.connection.call_lending(request, deadline, &mut lending);
                context::note_wait(began);
                self.answer(called, told, (began, deadline), answer)
            }
            Err(error) => Err(error),
        }
    }

    fn request(
        &self,
        called: Called,
        arguments: u32,
        encode: Encode<'_>,
        lending: &Lending<'_, Lent<'_>>,
    ) -> Result<Message> {
        let parcel = self.encode(called, self.parent(), arguments, encode)?;
        self.address(called, parcel, lending)
    }

    /// The request of what is encoded already.
    pub(super) fn address<'a, L: IsLent<'a>>(
        &self,
        called: Called,
        parcel: Parcel,
        lending: &Lending<'_, L>,
    ) -> Result<Message> {
        let declared = lending.declare(&self.connection);
        let request = declared.and_then(|()| parcel.address(self.message(called), &self.connection));
        request.map_err(|error| unsent(&self.peer, called.name, error))
    }

    /// Encodes what a request says.
    pub(super) fn encode(
        &self,
        called: Called,
        parent: Option<u32>,
        arguments: u32,
        encode: Encode<'_>,
    ) -> Result<Parcel> {
        let parcel = encode_call(self.connection.max_message(), parent, arguments, encode);
        parcel.map_err(|error| unsent(&self.peer, called.name, error))
    }

    pub(super) fn message(&self, called: Called) -> Message {
        Message { target: self.target, method: called.method, ..Message::control(Kind::Request, 0) }
    }

    /// The call of the other side from which a call made here and now is made.
    fn parent(&self) -> Option<u32> {
        match &self.hold {
            Hold::Lent { call, .. } => Some(*call),
            Hold::Held { .. } => context::call_of(|connection| Arc::ptr_eq(connection, &self.connection)),
        }
    }

    /// What has been told so far, by the call that lends it.
    pub(super) fn told(&self) -> Told {
        match &self.hold {
            Hold::Lent { notices, .. } => lock(notices).told,
            Hold::Held { .. } => Told::default(),
        }
    }

    fn call_timeout(&self) -> Duration {
        match &self.hold {
            Hold::Lent { .. } => AS_LONG_AS_ITS_CALL,
            Hold::Held { keeper: Some(keeper), .. } => keeper.call_timeout(),
            Hold::Held { keeper: None, .. } => deadline::CALL_TIMEOUT,
        }
    }

    /// Until when a call has time that was prepared at `began`.
    pub(super) fn deadline(&self, called: Called, began: Instant, scope: Scope) -> Option<Instant> {
        scope.for_call(began, called.timeout, self.call_timeout())
    }

    pub(super) fn answer(
        &self,
        called: Called,
        told: Told,
        (began, deadline): (Instant, Option<Instant>),
        answer: Result<Message, CallFailure>,
    ) -> Result<Answer<'static>> {
        if let (Ok(_), Hold::Lent { notices, .. }) = (&answer, &self.hold) {
            lock(notices).ran(told);
        }
        let answer = answer.map_err(|failure| self.explain(called.name, began, deadline, &failure))?;
        let max_message = self.connection.max_message();
        Answer::new(Peer::Shared(Arc::clone(&self.peer)), called.name, answer, || limit(began, deadline), max_message)
    }

    /// Calls it without waiting, behind all that it was called with before.
    pub(super) fn notify(&self, called: Called, arguments: u32, encode: Encode<'_>) -> Result<()> {
        match &self.hold {
            Hold::Lent { call, notices } => {
                let parcel = self.encode(called, None, arguments, encode)?;
                let notice = match self.notice(called, *call, notices, parcel) {
                    Ok(notice) => notice,
                    Err(parcel) => return self.call_encoded(called, *call, parcel),
                };
                self.send(called, |connection, deadline| match connection.send(notice, deadline)? {
                    Sent::Partly => {
                        connection.stalled();
                        Ok(())
                    }
                    Sent::Cared => Ok(()),
                })
            }
            Hold::Held { .. } => {
                let parcel = self.encode(called, None, arguments, encode)?;
                let call = parcel.address(Message { kind: Kind::Oneway, ..self.message(called) }, &self.connection);
                let call = call.map_err(|error| unsent(&self.peer, called.name, error))?;
                self.send(called, |connection, deadline| connection.send_oneway(call, deadline))
            }
        }
    }

    /// What calls it without waiting; gives the arguments back where it is to be waited for: now and then it is, so that there are
    /// never too many under way.
    pub(super) fn notice(
        &self,
        called: Called,
        call: u32,
        notices: &Mutex<Notices>,
        parcel: Parcel,
    ) -> Result<Message, Parcel> {
        if parcel.meta || !lock(notices).admit(parcel.payload.len()) {
            return Err(parcel);
        }
        Ok(Message { kind: Kind::Notice, call, payload: parcel.payload, ..self.message(called) })
    }

    /// Calls it, as a call made from `parent`, and waits until it has run. What is encoded is not encoded again: a stream is
    /// taken out of what is encoded.
    fn call_encoded(&self, called: Called, parent: u32, parcel: Parcel) -> Result<()> {
        let Some(_level) = depth::enter() else { return Err(too_deep(&self.peer, called.name)) };
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, self.call_timeout());
        let told = self.told();
        let request = self.made_from(parent, called, parcel)?;
        let answer = self.connection.call(request, deadline);
        context::note_wait(began);
        self.ran(called, told, (began, deadline), answer)
    }

    /// What becomes of one that was waited for though nothing answers it: that it panicked is no more its caller's concern than if
    /// it had not been waited for.
    pub(super) fn ran(
        &self,
        called: Called,
        told: Told,
        times: (Instant, Option<Instant>),
        answer: Result<Message, CallFailure>,
    ) -> Result<()> {
        match self.answer(called, told, times, answer) {
            Err(error @ Error::Panicked { .. }) => {
                tracing::warn!(%error, "a callback without a result did not run to its end");
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// The request of what is encoded already, made from that call.
    pub(super) fn made_from(&self, parent: u32, called: Called, parcel: Parcel) -> Result<Message> {
        let parcel = parcel.made_from(self.connection.max_message(), parent);
        let request = parcel.and_then(|parcel| parcel.address(self.message(called), &self.connection));
        request.map_err(|error| unsent(&self.peer, called.name, error))
    }

    fn send(
        &self,
        called: Called,
        send: impl FnOnce(&Arc<Connection>, Option<Instant>) -> Result<(), (Unsent, Message)>,
    ) -> Result<()> {
        let began = Instant::now();
        let deadline = deadline::for_call(began, called.timeout, self.call_timeout());
        let outcome = send(&self.connection, deadline);
        outcome.map_err(|(unsent, message)| self.explain(called.name, began, deadline, &failure(unsent, message)))
    }

    /// Waits until all is known that [`explain`](Self::explain) tells.
    pub(crate) async fn settle(&self, deadline: Option<Instant>) {
        if let Hold::Held { keeper: Some(keeper), .. } = &self.hold {
            keeper.settle(deadline).await;
        }
    }

    pub(crate) fn explain(
        &self,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
        failure: &CallFailure,
    ) -> Error {
        if let Hold::Held { keeper: Some(keeper), .. } = &self.hold {
            return keeper.explain(method, began, deadline, failure);
        }
        let (connection, plugin, method) = (&self.connection, self.peer.to_string(), method.to_owned());
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

    /// The call that lends it, seen from the method that it was called with.
    pub(super) fn of_call(context: Context, target: u32) -> Self {
        let Context { connection, call } = context;
        Self { peer: connection.peer(), connection, target, hold: Hold::Lent { call, notices: Arc::default() } }
    }

    /// What this side holds.
    pub(crate) fn held(import: Arc<Import>) -> Self {
        let connection = Arc::clone(import.connection());
        let keeper = connection.keeper().and_then(|keeper| keeper.downcast().ok());
        Self { peer: connection.peer(), target: import.target(), connection, hold: Hold::Held { keeper, import } }
    }
}

/// Why a call without an answer has failed.
pub(super) fn failure(unsent: Unsent, message: Message) -> CallFailure {
    match unsent {
        Unsent::Closed => CallFailure::Unsent(message),
        Unsent::Late => CallFailure::Late { may_have_run: false },
    }
}

//! An object of the other side's behind one of its interfaces.

use std::{sync::Arc, time::Instant};

use super::{
    Lending, Lent, LentByTask, Parcel,
    callee::{Called, Callee, Encode, Hold, failure},
    depth::Within,
};
use crate::{
    Error, Result,
    client::{Answer, check_version, number_methods, too_deep, unsent},
    codec::DecodeError,
    connection::Import,
    deadline::Scope,
    interface::{BoxFuture, Descriptor, Method},
    protocol::{frame::Kind, message::Message},
};

/// An object of the other side's.
#[derive(Clone)]
pub(crate) struct Distant {
    callee: Callee,
    descriptor: &'static Descriptor,
    /// The other side's own number for each method of the descriptor, where it has the method.
    numbers: Arc<[Option<u16>]>,
}

impl Distant {
    /// One that is of the interface declared under that number, which is to be `descriptor`'s.
    pub(super) fn new(
        callee: Callee,
        descriptor: &'static Descriptor,
        interface: Option<u32>,
    ) -> Result<Self, DecodeError> {
        let entry = interface.and_then(|interface| callee.connection.declared(interface));
        let wanted = || DecodeError::Malformed(format!("expected an object of interface `{}`", descriptor.name));
        let entry = entry.filter(|entry| entry.name == descriptor.name).ok_or_else(wanted)?;
        let misfit = |error: Error| DecodeError::Malformed(error.to_string());
        check_version(&callee.peer, descriptor, &entry).map_err(misfit)?;
        let numbers = number_methods(&callee.peer, descriptor, &entry).map_err(misfit)?;
        Ok(Self { callee, descriptor, numbers })
    }

    /// One that this side holds.
    pub(super) fn held(
        import: Arc<Import>,
        descriptor: &'static Descriptor,
        interface: u32,
    ) -> Result<Self, DecodeError> {
        Self::new(Callee::held(import), descriptor, Some(interface))
    }

    pub(super) fn interface(&self) -> &'static str {
        self.descriptor.name
    }

    pub(super) fn peer(&self) -> &str {
        &self.callee.peer
    }

    /// What is held, unless it is lent.
    pub(super) fn import(&self) -> Option<&Arc<Import>> {
        match &self.callee.hold {
            Hold::Held { import, .. } => Some(import),
            Hold::Lent { .. } => None,
        }
    }

    pub(super) fn supports(&self, method: usize) -> bool {
        self.numbers[method].is_some()
    }

    fn method(&self, method: usize) -> Result<Called> {
        let Method { name, timeout, .. } = self.descriptor.methods[method];
        let unknown = || Error::UnknownMethod { plugin: self.callee.peer.to_string(), method: name.into() };
        Ok(Called { method: self.numbers[method].ok_or_else(unknown)?, name, timeout })
    }

    pub(super) fn call(
        &self,
        method: usize,
        arguments: u32,
        encode: Encode<'_>,
        lent: &mut [Lent<'_>],
    ) -> Result<Answer<'_>> {
        match self.method(method) {
            Ok(called) => self.callee.call(called, arguments, encode, lent),
            Err(error) => Err(error),
        }
    }

    pub(super) fn call_oneway(&self, method: usize, arguments: u32, encode: Encode<'_>) -> Result<()> {
        self.callee.notify(self.method(method)?, arguments, encode)
    }

    /// Encodes the arguments of a call of async method number `method`, to be made when somebody waits for it.
    pub(super) fn prepare(&self, method: usize, arguments: u32, encode: Encode<'_>) -> Result<Prepared> {
        // One of a handler that calls what it holds has no parent: nobody waits on a thread of its own to run it. Of one that
        // nothing answers, the message itself says by which call it was lent.
        let parent = match self.callee.hold {
            Hold::Lent { call, .. } if !self.descriptor.methods[method].is_oneway => Some(call),
            _ => None,
        };
        let called = self.method(method)?;
        let parcel = self.callee.encode(called, parent, arguments, encode)?;
        Ok(Prepared { callee: self.callee.clone(), called, began: Instant::now(), scope: Scope::current(), parcel })
    }
}

/// A call of an async method that is ready to be made.
pub(super) struct Prepared {
    callee: Callee,
    called: Called,
    /// When and under which deadlines its method was called.
    began: Instant,
    scope: Scope,
    parcel: Parcel,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("called", &self.called).finish_non_exhaustive()
    }
}

impl Prepared {
    /// Makes the call. Dropping the future cancels it.
    pub(super) fn call_lending<'b, 'c: 'b>(self, lent: &'b mut [LentByTask<'_>]) -> BoxFuture<'b, Result<Answer<'c>>> {
        let (peer, name) = (Arc::clone(&self.callee.peer), self.called.name);
        let make = Box::pin(self.make_lending(lent));
        Box::pin(Within::new(make, move || Err(too_deep(&peer, name))))
    }

    /// While the call waits, this takes little of the stack.
    async fn make_lending<'c>(self, lent: &mut [LentByTask<'_>]) -> Result<Answer<'c>> {
        let Self { callee, called, began, scope, parcel } = self;
        let deadline = callee.deadline(called, began, scope);
        let mut lending = Lending::new(lent, &callee.peer);
        let request = callee.address(called, parcel, &lending)?;
        let told = callee.told();
        let answer = callee.connection.call_lending_async(request, deadline, &mut lending).await;
        if answer.is_err() {
            Box::pin(callee.settle(deadline)).await;
        }
        callee.answer(called, told, (began, deadline), answer)
    }

    /// Sends the call of a method that nothing answers.
    pub(super) async fn call_oneway(self) -> Result<()> {
        let Self { callee, called, began, scope, parcel } = self;
        let deadline = callee.deadline(called, began, scope);
        let message = match &callee.hold {
            Hold::Lent { call, notices } => match callee.notice(called, *call, notices, parcel) {
                Ok(notice) => notice,
                Err(parcel) => {
                    let told = callee.told();
                    let request = callee.made_from(*call, called, parcel)?;
                    let answer = callee.connection.call_async(request, deadline).await;
                    return callee.ran(called, told, (began, deadline), answer);
                }
            },
            Hold::Held { .. } => {
                let call = parcel.address(Message { kind: Kind::Oneway, ..callee.message(called) }, &callee.connection);
                call.map_err(|error| unsent(&callee.peer, called.name, error))?
            }
        };
        let Err((unsent, call)) = callee.connection.send_oneway_async(message, deadline).await else { return Ok(()) };
        callee.settle(deadline).await;
        Err(callee.explain(called.name, began, deadline, &failure(unsent, call)))
    }
}

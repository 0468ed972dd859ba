//! Calls of async methods: encoded where the method is called, made where its future is polled.

use std::time::Instant;

use super::{Answer, Attempt, Client, Crash, Times, unsent};
use crate::{
    Result,
    buffer::Buffer,
    connection::{CallFailure, Unsent},
    deadline::Scope,
    host::{Lease, explain},
    interface::Method,
    objects::{Lending, LentByTask, Parcel},
    protocol::{frame::Kind, message::Message},
};

/// A call of an async method that is ready to be made.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(super) client: &'a Client,
    pub(super) method: usize,
    /// When and under which deadlines its method was called.
    pub(super) began: Instant,
    pub(super) scope: Scope,
    pub(super) arguments: Parcel,
}

impl<'a> Prepared<'a> {
    /// Makes the call, whatever has to be waited for.
    pub(super) async fn call_slowly(self) -> Result<Answer<'a>> {
        let deadline = self.deadline();
        let Self { client, method, began, arguments, .. } = self;
        client.make(method, arguments, Times { began, deadline }, None).await
    }

    /// As [`call`](Self::call), lending functions and objects for as long as it lasts.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) async fn call_lending(self, lent: &mut [LentByTask<'_>]) -> Result<Answer<'a>> {
        let deadline = self.deadline();
        let Self { client, method, began, mut arguments, .. } = self;
        let called = &client.descriptor.methods[method];
        let mut crash = None;
        loop {
            match client.attempt_lending_async(method, &mut arguments, Times { began, deadline }, lent).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => arguments.payload = attempt.again(&mut crash, called, deadline)?,
            }
        }
    }

    /// Makes the call of a oneway method.
    ///
    /// # Errors
    /// As [`Client::call_oneway`].
    pub(crate) async fn call_oneway(self) -> Result<()> {
        let deadline = self.deadline();
        let Self { client, method, began, arguments, .. } = self;
        let called = &client.descriptor.methods[method];
        let Parcel { mut payload, meta, attachments } = arguments;
        loop {
            let lease = client.plugin.acquire_async(called.name, began, deadline).await?;
            let (target, number) = client.bind(&lease, method)?;
            let call = Message { target, method: number, meta, payload, ..Message::control(Kind::Oneway, 0) };
            let call = client.attach(&attachments, call, called, &lease)?;
            let Err((unsent, call)) = lease.connection.send_oneway_async(call, deadline).await else { return Ok(()) };
            payload = client.unsent_oneway(&lease, called, unsent, call, Times { began, deadline }).await?;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let method = &self.client.descriptor.methods[self.method];
        self.scope.for_call(self.began, method.timeout, self.client.plugin.call_timeout())
    }
}

impl Client {
    /// Makes a call, again where it may be made again.
    pub(super) async fn make(
        &self,
        method: usize,
        mut arguments: Parcel,
        times: Times,
        mut crash: Option<Crash>,
    ) -> Result<Answer<'_>> {
        let called = &self.descriptor.methods[method];
        loop {
            match self.attempt_async(method, &mut arguments, times.began, times.deadline).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => arguments.payload = attempt.again(&mut crash, called, times.deadline)?,
            }
        }
    }

    /// As [`attempt`](Self::attempt), for a task.
    async fn attempt_async(
        &self,
        method: usize,
        arguments: &mut Parcel,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Result<Answer<'_>, Attempt> {
        let called = &self.descriptor.methods[method];
        let lease = self.plugin.acquire_async(called.name, began, deadline).await?;
        let (request, kept) = self.address_async(method, arguments, &lease)?;
        let outcome = lease.connection.call_async(request, deadline).await;
        if outcome.is_err() {
            lease.settle(deadline).await;
        }
        self.conclude(&lease, called, kept, outcome, Times { began, deadline })
    }

    /// As [`attempt_async`](Self::attempt_async), lending what the call lends.
    async fn attempt_lending_async(
        &self,
        method: usize,
        arguments: &mut Parcel,
        times: Times,
        lent: &mut [LentByTask<'_>],
    ) -> Result<Answer<'_>, Attempt> {
        let Times { began, deadline } = times;
        let called = &self.descriptor.methods[method];
        let lease = self.plugin.acquire_async(called.name, began, deadline).await?;
        let (request, kept) = self.address_async(method, arguments, &lease)?;
        let mut lending = Lending::new(lent, self.plugin.shared_name());
        lending.declare(&lease.connection).map_err(|error| unsent(self.plugin.name(), called.name, error))?;
        let outcome = lease.connection.call_lending_async(request, deadline, &mut lending).await;
        if outcome.is_err() {
            lease.settle(deadline).await;
        }
        self.conclude(&lease, called, kept, outcome, times)
    }

    /// The request for that run, and what is kept of it if it may be repeated.
    pub(super) fn address_async(
        &self,
        method: usize,
        arguments: &mut Parcel,
        lease: &Lease,
    ) -> Result<(Message, Option<Buffer>)> {
        let called = &self.descriptor.methods[method];
        let (target, number) = self.bind(lease, method)?;
        let payload = std::mem::take(&mut arguments.payload);
        let kept = called.idempotent.then(|| payload.clone());
        let request =
            Message { target, method: number, meta: arguments.meta, payload, ..Message::control(Kind::Request, 0) };
        Ok((self.attach(&arguments.attachments, request, called, lease)?, kept))
    }

    /// The arguments of a oneway call to send to the next run, or why there is none.
    async fn unsent_oneway(
        &self,
        lease: &Lease,
        called: &Method,
        unsent: Unsent,
        call: Message,
        Times { began, deadline }: Times,
    ) -> Result<Buffer> {
        let failure = match unsent {
            Unsent::Closed if !lease.is_stopping() => return Ok(call.payload),
            Unsent::Closed => CallFailure::Unsent(call),
            Unsent::Late => CallFailure::Late { may_have_run: false },
        };
        lease.settle(deadline).await;
        Err(explain(lease, called.name, began, deadline, &failure))
    }
}

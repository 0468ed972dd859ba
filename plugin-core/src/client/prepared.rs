//! Calls of async methods: encoded where the method is called, made where its future is polled.

use std::time::Instant;

use super::{Answer, Attempt, Client, Crash, Times, too_deep, unsent};
use crate::{
    Result,
    buffer::Buffer,
    connection::{CallFailure, Unsent},
    deadline::Scope,
    host::{Lease, explain},
    interface::{BoxFuture, Method},
    objects::{Lending, LentByTask, Parcel, depth::Within},
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
    pub(crate) fn call_lending<'b>(self, lent: &'b mut [LentByTask<'_>]) -> BoxFuture<'b, Result<Answer<'a>>>
    where
        'a: 'b,
    {
        let (client, called) = (self.client, &self.client.descriptor.methods[self.method]);
        let make = Box::pin(self.make_lending(lent));
        Box::pin(Within::new(make, || Err(too_deep(client.plugin.name(), called.name))))
    }

    /// While the call waits, this takes little of the stack: what is done before and behind that, is in futures of their own.
    async fn make_lending(self, lent: &mut [LentByTask<'_>]) -> Result<Answer<'a>> {
        let deadline = self.deadline();
        let Self { client, method, began, mut arguments, .. } = self;
        let (called, times) = (&client.descriptor.methods[method], Times { began, deadline });
        let mut lending = Lending::new(lent, client.plugin.shared_name());
        let mut crash = None;
        loop {
            let (lease, request, kept) = client.begin_lending(method, &mut arguments, times, &mut lending).await?;
            let outcome = lease.connection.call_lending_async(request, deadline, &mut lending).await;
            match client.end_lending(lease, called, kept, outcome, times).await {
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

    /// The run that there is now, and the request for it.
    fn begin_lending<'b>(
        &'b self,
        method: usize,
        arguments: &'b mut Parcel,
        Times { began, deadline }: Times,
        lending: &'b mut Lending<'_, LentByTask<'_>>,
    ) -> BoxFuture<'b, Result<(Lease, Message, Option<Buffer>)>> {
        Box::pin(async move {
            let called = &self.descriptor.methods[method];
            let lease = self.plugin.acquire_async(called.name, began, deadline).await?;
            let (request, kept) = self.address_async(method, arguments, &lease)?;
            lending.declare(&lease.connection).map_err(|error| unsent(self.plugin.name(), called.name, error))?;
            Ok((lease, request, kept))
        })
    }

    fn end_lending(
        &self,
        lease: Lease,
        called: &'static Method,
        kept: Option<Buffer>,
        outcome: Result<Message, CallFailure>,
        times: Times,
    ) -> BoxFuture<'_, Result<Answer<'_>, Attempt>> {
        Box::pin(async move {
            if outcome.is_err() {
                lease.settle(times.deadline).await;
            }
            self.conclude(&lease, called, kept, outcome, times)
        })
    }

    /// The request for that run, and what is kept of it if it may be repeated.
    #[inline]
    pub(super) fn address_async(
        &self,
        method: usize,
        arguments: &mut Parcel,
        lease: &Lease,
    ) -> Result<(Message, Option<Buffer>)> {
        let called = &self.descriptor.methods[method];
        let (target, number) = self.bind(lease, method)?;
        let request = Message { target, method: number, meta: arguments.meta, ..Message::control(Kind::Request, 0) };
        let mut request = self.attach(&arguments.attachments, request, called, lease)?;
        // Only now that nothing fails any more: what fails may be tried again.
        request.payload = std::mem::take(&mut arguments.payload);
        let kept = called.idempotent.then(|| request.payload.clone());
        Ok((request, kept))
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

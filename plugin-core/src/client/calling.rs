//! The future of an async method's call.
//!
//! Nearly all calls find the plugin running, room for what they send, and an answer: that takes no more memory than is kept here,
//! and no step but sending and being woken. Whatever else may happen, [`Client::make`] sees to it, in a future of its own.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{Answer, Client, Prepared, Times, prepared::Arguments};
use crate::{
    Result,
    buffer::Buffer,
    connection::{CallFailure, Prompt},
    host::Lease,
    interface::BoxFuture,
    objects::Attachments,
    protocol::message::Message,
};

/// Makes a call. Dropping it cancels the call.
pub(crate) struct Calling<'a>(State<'a>);

type Slow<'a> = BoxFuture<'a, Result<Answer>>;

enum State<'a> {
    Prepared(Prepared<'a>),
    Sent(Sent<'a>),
    Slow(Slow<'a>),
    Over,
}

/// A call that waits for its answer.
struct Sent<'a> {
    prompt: Prompt<Lease>,
    client: &'a Client,
    method: usize,
    times: Times,
    /// Its arguments, if it may be repeated.
    kept: Option<Buffer>,
    meta: bool,
    attachments: Attachments,
}

impl<'a> Calling<'a> {
    /// That of a call of another kind, or of none.
    pub(crate) fn of(call: impl Future<Output = Result<Answer>> + Send + 'a) -> Self {
        Self(State::Slow(Box::pin(call)))
    }
}

impl<'a> Prepared<'a> {
    /// Makes the call. Dropping the future cancels it.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn call(self) -> Calling<'a> {
        Calling(State::Prepared(self))
    }

    /// Sends the request, unless that takes waiting or fails.
    fn send(&mut self, context: &Context<'_>) -> Option<Sent<'a>> {
        let (client, began, deadline) = (self.client, self.began, self.deadline());
        let called = &client.descriptor.methods[self.method];
        let lease = client.plugin.acquire_at_once(called.name, deadline)?.ok()?;
        let (request, kept) = client.address_async(self.method, &mut self.arguments, &lease).ok()?;
        match Prompt::begin(lease, request, deadline, context) {
            Ok(prompt) => {
                let attachments = mem::take(&mut self.arguments.attachments);
                let times = Times { began, deadline };
                Some(Sent { prompt, client, method: self.method, times, kept, meta: self.arguments.meta, attachments })
            }
            Err(request) => {
                self.arguments.payload = request.payload;
                None
            }
        }
    }
}

impl<'a> Sent<'a> {
    /// What the outcome comes to, or what is still to be done for that.
    fn conclude(self, outcome: Result<Message, CallFailure>) -> Result<Result<Answer>, Slow<'a>> {
        if outcome.is_err() {
            return Err(Box::pin(self.conclude_slowly(outcome)));
        }
        let Self { prompt, client, method, times, kept, meta, attachments } = self;
        let called = &client.descriptor.methods[method];
        match client.conclude(prompt.connection(), called, kept, outcome, times) {
            Ok(answer) => Ok(Ok(answer)),
            Err(attempt) => attempt.again(&mut None, called, times.deadline).map_or_else(
                |error| Ok(Err(error)),
                |payload| {
                    let arguments = Arguments { payload, meta, attachments };
                    Err(Box::pin(client.make(method, arguments, times, None)) as Slow<'a>)
                },
            ),
        }
    }

    async fn conclude_slowly(self, outcome: Result<Message, CallFailure>) -> Result<Answer> {
        let Self { prompt, client, method, times, kept, meta, attachments } = self;
        let called = &client.descriptor.methods[method];
        prompt.connection().settle(times.deadline).await;
        match client.conclude(prompt.connection(), called, kept, outcome, times) {
            Ok(answer) => Ok(answer),
            Err(attempt) => {
                let mut crash = None;
                let payload = attempt.again(&mut crash, called, times.deadline)?;
                drop(prompt);
                let arguments = Arguments { payload, meta, attachments };
                client.make(method, arguments, times, crash).await
            }
        }
    }
}

impl Future for Calling<'_> {
    type Output = Result<Answer>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Answer>> {
        let state = &mut self.0;
        if let State::Prepared(prepared) = state {
            if let Some(sent) = prepared.send(context) {
                *state = State::Sent(sent);
                return Poll::Pending;
            }
            let State::Prepared(prepared) = mem::replace(state, State::Over) else { return Poll::Pending };
            *state = State::Slow(Box::pin(prepared.call_slowly()));
        }
        if let State::Sent(sent) = state {
            let outcome = ready!(Pin::new(&mut sent.prompt).poll(context));
            let State::Sent(sent) = mem::replace(state, State::Over) else { return Poll::Pending };
            match sent.conclude(outcome) {
                Ok(answer) => return Poll::Ready(answer),
                Err(slow) => *state = State::Slow(slow),
            }
        }
        let State::Slow(slow) = state else { return Poll::Pending };
        let answer = ready!(slow.as_mut().poll(context));
        *state = State::Over;
        Poll::Ready(answer)
    }
}

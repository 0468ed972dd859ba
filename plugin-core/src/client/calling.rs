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

use super::{Answer, Client, Prepared, Times};
use crate::{
    Result,
    buffer::Buffer,
    connection::{CallFailure, Prompt},
    host::Lease,
    interface::BoxFuture,
    objects::{Attachments, Parcel},
    protocol::message::Message,
};

/// Makes a call. Dropping it cancels the call.
pub(crate) struct Calling<'a>(State<'a>);

type Slow<'a> = BoxFuture<'a, Result<Answer<'a>>>;

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
    pub(crate) fn of(call: impl Future<Output = Result<Answer<'a>>> + Send + 'a) -> Self {
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
        let lease = client.bindings.lease().map(Ok);
        let lease = lease.or_else(|| client.plugin.acquire_at_once(called.name, deadline))?.ok()?;
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
    /// What an answer comes to, or what is still to be done for that.
    fn conclude(&mut self, answer: Message) -> Result<Result<Answer<'a>>, Slow<'a>> {
        let Self { prompt, client, method, times, kept, meta, attachments } = self;
        let (client, called): (&'a Client, _) = (client, &client.descriptor.methods[*method]);
        match client.conclude(prompt.connection(), called, kept.take(), Ok(answer), *times) {
            Ok(answer) => Ok(Ok(answer)),
            Err(attempt) => attempt.again(&mut None, called, times.deadline).map_or_else(
                |error| Ok(Err(error)),
                |payload| {
                    let arguments = Parcel { payload, meta: *meta, attachments: mem::take(attachments) };
                    Err(Box::pin(client.make(*method, arguments, *times, None)) as Slow<'a>)
                },
            ),
        }
    }

    async fn conclude_slowly(self, outcome: Result<Message, CallFailure>) -> Result<Answer<'a>> {
        let Self { prompt, client, method, times, kept, meta, attachments } = self;
        let called = &client.descriptor.methods[method];
        prompt.connection().settle(times.deadline).await;
        match client.conclude(prompt.connection(), called, kept, outcome, times) {
            Ok(answer) => Ok(answer),
            Err(attempt) => {
                let mut crash = None;
                let payload = attempt.again(&mut crash, called, times.deadline)?;
                drop(prompt);
                let arguments = Parcel { payload, meta, attachments };
                client.make(method, arguments, times, crash).await
            }
        }
    }
}

impl<'a> Future for Calling<'a> {
    type Output = Result<Answer<'a>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Answer<'a>>> {
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
            // Concluded in its place, mostly: it is not small.
            let concluded = match ready!(Pin::new(&mut sent.prompt).poll(context)) {
                Ok(answer) => sent.conclude(answer),
                failed => {
                    let State::Sent(sent) = mem::replace(state, State::Over) else { return Poll::Pending };
                    Err(Box::pin(sent.conclude_slowly(failed)) as Slow<'a>)
                }
            };
            *state = match concluded {
                Ok(answer) => {
                    *state = State::Over;
                    return Poll::Ready(answer);
                }
                Err(slow) => State::Slow(slow),
            };
        }
        let State::Slow(slow) = state else { return Poll::Pending };
        let answer = ready!(slow.as_mut().poll(context));
        *state = State::Over;
        Poll::Ready(answer)
    }
}

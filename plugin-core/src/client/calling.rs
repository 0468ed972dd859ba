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
    connection::{CallFailure, Prompt},
    host::Lease,
    interface::BoxFuture,
    objects::Parcel,
    protocol::message::Message,
};

/// Makes a call. Dropping it cancels the call.
pub(crate) struct Calling<'a>(State<'a>);

type Slow<'a> = BoxFuture<'a, Result<Answer<'a>>>;

enum State<'a> {
    /// Made at once, or sent and waiting for its answer: in one place, since it is not small.
    Direct(Prepared<'a>, Option<Prompt<Lease>>),
    Slow(Slow<'a>),
    Over,
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
    #[inline]
    pub(crate) fn call(self) -> Calling<'a> {
        Calling(State::Direct(self, None))
    }

    /// Sends the request, unless that takes waiting or fails. From then on, the arguments are those that may be sent again, if any.
    fn send(&mut self, context: &Context<'_>) -> Option<Prompt<Lease>> {
        let (client, deadline) = (self.client, self.deadline());
        let called = &client.descriptor.methods[self.method];
        let lease = client.bindings.lease().map(Ok);
        let lease = lease.or_else(|| client.plugin.acquire_at_once(called.name, deadline))?.ok()?;
        let (request, kept) = client.address_async(self.method, &mut self.arguments, &lease).ok()?;
        match Prompt::begin(lease, request, deadline, context) {
            Ok(prompt) => {
                self.arguments.payload = kept.unwrap_or_default();
                Some(prompt)
            }
            Err(request) => {
                self.arguments.payload = request.payload;
                None
            }
        }
    }

    /// What an answer comes to, or what is still to be done for that.
    #[inline]
    fn conclude(&mut self, prompt: &Prompt<Lease>, answer: Message) -> Result<Result<Answer<'a>>, Slow<'a>> {
        let client: &'a Client = self.client;
        let called = &client.descriptor.methods[self.method];
        let times = Times { began: self.began, deadline: prompt.deadline() };
        let kept = called.idempotent.then(|| mem::take(&mut self.arguments.payload));
        match client.conclude(prompt.connection(), called, kept, Ok(answer), times) {
            Ok(answer) => Ok(Ok(answer)),
            Err(attempt) => attempt.again(&mut None, called, times.deadline).map_or_else(
                |error| Ok(Err(error)),
                |payload| {
                    let arguments = Parcel {
                        payload,
                        meta: self.arguments.meta,
                        attachments: mem::take(&mut self.arguments.attachments),
                    };
                    Err(Box::pin(client.make(self.method, arguments, times, None)) as Slow<'a>)
                },
            ),
        }
    }

    async fn conclude_slowly(self, prompt: Prompt<Lease>, outcome: Result<Message, CallFailure>) -> Result<Answer<'a>> {
        let Self { client, method, began, mut arguments, .. } = self;
        let called = &client.descriptor.methods[method];
        let times = Times { began, deadline: prompt.deadline() };
        prompt.connection().settle(times.deadline).await;
        let kept = called.idempotent.then(|| mem::take(&mut arguments.payload));
        match client.conclude(prompt.connection(), called, kept, outcome, times) {
            Ok(answer) => Ok(answer),
            Err(attempt) => {
                let mut crash = None;
                arguments.payload = attempt.again(&mut crash, called, times.deadline)?;
                drop(prompt);
                client.make(method, arguments, times, crash).await
            }
        }
    }
}

impl<'a> Future for Calling<'a> {
    type Output = Result<Answer<'a>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Answer<'a>>> {
        let state = &mut self.0;
        if let State::Direct(prepared, sent) = state {
            let slow = if let Some(prompt) = sent {
                match ready!(Pin::new(&mut *prompt).poll(context)) {
                    Ok(answer) => match prepared.conclude(prompt, answer) {
                        Ok(answer) => {
                            *state = State::Over;
                            return Poll::Ready(answer);
                        }
                        Err(slow) => Some(slow),
                    },
                    failed => match mem::replace(state, State::Over) {
                        State::Direct(prepared, Some(prompt)) => {
                            Some(Box::pin(prepared.conclude_slowly(prompt, failed)) as Slow<'a>)
                        }
                        _ => None,
                    },
                }
            } else {
                *sent = prepared.send(context);
                if sent.is_some() {
                    return Poll::Pending;
                }
                match mem::replace(state, State::Over) {
                    State::Direct(prepared, _) => Some(Box::pin(prepared.call_slowly()) as Slow<'a>),
                    _ => None,
                }
            };
            let Some(slow) = slow else { return Poll::Pending };
            *state = State::Slow(slow);
        }
        let State::Slow(slow) = state else { return Poll::Pending };
        let answer = ready!(slow.as_mut().poll(context));
        *state = State::Over;
        Poll::Ready(answer)
    }
}

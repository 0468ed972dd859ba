//! Calling from a task where nothing has to be waited for but the answer, which is what nearly all calls come to.
//!
//! The future of such a call is small and moved seldom, and polled no more often than is needed: its task's waker is known before
//! the request can be answered, so whatever comes finds whom to wake. Where there is no room for the request, or no connection any
//! more, [`call_async`](Connection::call_async) sees to it.

use std::{
    borrow::Borrow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{CallFailure, Connection, outbox::Next, tasks::Registered, waiter::Waiter};
use crate::{
    protocol::message::Message,
    sync::{Arc, Instant},
};

/// A call whose request is queued, and given up when this is dropped before its end.
pub(crate) struct Prompt<C: Borrow<Arc<Connection>>> {
    registered: Registered<C>,
    deadline: Option<Instant>,
    /// To be written by this task, once others have added what they send.
    writes: bool,
}

impl<C: Borrow<Arc<Connection>> + Unpin> Prompt<C> {
    /// Makes a call from the task of `context`, which is to poll the future when it is woken and need not before; gives the
    /// request back where that would take waiting.
    pub(crate) fn begin(
        connection: C,
        mut request: Message,
        deadline: Option<Instant>,
        context: &Context<'_>,
    ) -> Result<Self, Message> {
        let waiter = Waiter::of_task(deadline, Some(context.waker().clone()));
        let Some(mut registered) = Registered::new(connection, waiter) else { return Err(request) };
        request.call = registered.call;
        let next = registered.connection().queue_at_once(request, deadline, registered.has_company)?;
        registered.is_queued = true;
        let writes = next == Next::Write;
        if writes {
            // Behind the other tasks that are ready.
            context.waker().wake_by_ref();
        }
        Ok(Self { registered, deadline, writes })
    }

    pub(crate) fn connection(&self) -> &C {
        &self.registered.connection
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn write(&mut self) {
        if std::mem::take(&mut self.writes) {
            self.registered.connection().write_for_tasks();
        }
    }
}

impl<C: Borrow<Arc<Connection>> + Unpin> Future for Prompt<C> {
    type Output = Result<Message, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        me.write();
        let outcome = ready!(me.registered.poll(context, me.deadline));
        if outcome.is_ok() {
            me.registered.put_back_waiter();
        }
        Poll::Ready(outcome)
    }
}

impl<C: Borrow<Arc<Connection>>> Drop for Prompt<C> {
    fn drop(&mut self) {
        if self.writes {
            self.registered.connection().write_for_tasks();
        }
    }
}

//! Sending from a task: waiting for room, and writing for everybody, without blocking.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{Outbox, Sent, Unsent, line::OUTSIDE, stamp};
use crate::{
    connection::{Connection, lock, tasks::is_past, waiter::Waiter},
    protocol::{
        frame::{Kind, MAX_PAYLOAD},
        message::Message,
    },
    signal::Place,
    sync::{
        Arc, Instant, MutexGuard,
        thread::{self, ThreadId},
        thread_local,
    },
};

thread_local! {
    /// Asked for by nearly every call of a task, and dear to find out.
    static THIS_THREAD: ThreadId = thread::current().id();
}

/// A message that a task sends, in whatever line it waits in.
struct Sending<'a> {
    connection: &'a Arc<Connection>,
    /// `None` once it is sent.
    message: Option<Message>,
    deadline: Option<Instant>,
    has_company: bool,
    /// Its place in the line of large messages, and in that of oneway calls.
    in_line: Option<u64>,
    in_oneway_line: Option<u64>,
    /// It has been counted among those that wait.
    has_waited: bool,
    place: Place,
}

/// What is left to do for a task whose message is queued.
#[must_use = "the message may lie unwritten"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connection) enum Next {
    Nothing,
    /// To write, once others have added what they send.
    Write,
}

impl Connection {
    /// As [`send`](Self::send), for a task that answers; `is_sent` says when the answer cannot get lost any more.
    pub(crate) async fn answer_async(self: &Arc<Self>, answer: Message, has_company: bool, is_sent: &mut bool) {
        let queued = self.queue(answer, None, None, has_company).await;
        *is_sent = true;
        // Fails only where the connection has ended, and with it whoever waited for the answer.
        if let Ok(next) = queued {
            self.see_to(next).await;
        }
    }

    /// Queues a message of a task, be it a oneway call, once there is room; what is then left for the task to
    /// [`see_to`](Self::see_to). `waiter` is told whom to wake when time is over. With company, others may be about to send, too.
    pub(in crate::connection) async fn queue(
        self: &Arc<Self>,
        message: Message,
        deadline: Option<Instant>,
        waiter: Option<&Waiter>,
        has_company: bool,
    ) -> Result<Next, (Unsent, Message)> {
        let admitted = {
            let mut sending = Sending::new(self, message, deadline, has_company);
            // Boxed: most messages never wait, and need no memory for it.
            sending.admit().ok_or_else(|| Box::pin(sending.wait(waiter)))
        };
        match admitted {
            Ok(next) => next,
            Err(waits) => waits.await,
        }
    }

    /// As [`queue`](Self::queue), where there is room; gives the message back where there is none, or no connection any more.
    pub(in crate::connection) fn queue_at_once(
        self: &Arc<Self>,
        message: Message,
        deadline: Option<Instant>,
        has_company: bool,
    ) -> Result<Next, Message> {
        let outbox = lock(&self.outbox);
        if outbox.end.is_some() || !outbox.admits(message.length(), OUTSIDE) {
            return Err(message);
        }
        self.enqueue(outbox, message, deadline, has_company).map_err(|(_, message)| message)
    }

    /// Queues a message for which there is room, unless time is over.
    #[inline]
    fn enqueue(
        self: &Arc<Self>,
        mut outbox: MutexGuard<'_, Outbox>,
        mut message: Message,
        deadline: Option<Instant>,
        has_company: bool,
    ) -> Result<Next, (Unsent, Message)> {
        if !stamp(&mut message, deadline) {
            return Err((Unsent::Late, message));
        }
        outbox.queue.push(message);
        if outbox.reader_writes || outbox.is_written() {
            return Ok(Next::Nothing);
        }
        if !has_company {
            if self.write(outbox) == Sent::Partly {
                self.handler.stalled(self);
            }
            return Ok(Next::Nothing);
        }
        // One task of each thread writes for all of them: its executor comes back to it as soon as to any other.
        let me = this_thread();
        if outbox.task_writers.contains(&me) {
            return Ok(Next::Nothing);
        }
        outbox.task_writers.push(me);
        Ok(Next::Write)
    }

    /// Has what a task has queued written, if that is its to do.
    pub(in crate::connection) async fn see_to(self: &Arc<Self>, next: Next) {
        if next == Next::Write {
            let _writes = Writes(self);
            yield_once().await;
        }
    }
}

impl Connection {
    /// As [`send`](Self::send), for a task, without a deadline; `false` where the connection has ended.
    pub(crate) async fn send_async(self: &Arc<Self>, message: Message) -> bool {
        let Ok(next) = self.queue(message, None, None, false).await else { return false };
        self.see_to(next).await;
        true
    }

    /// Writes what tasks have left to other tasks.
    pub(in crate::connection) fn write_for_tasks(self: &Arc<Self>) {
        let mut outbox = lock(&self.outbox);
        // Under the lock that senders take: one that comes later finds nobody who writes for it. Which thread's tasks left
        // theirs does not matter: whoever writes writes everything.
        outbox.task_writers.clear();
        if self.write_unless_reader_does(outbox) == Sent::Partly {
            self.handler.stalled(self);
        }
    }
}

impl<'a> Sending<'a> {
    fn new(connection: &'a Arc<Connection>, message: Message, deadline: Option<Instant>, has_company: bool) -> Self {
        Self {
            connection,
            message: Some(message),
            deadline,
            has_company,
            in_line: None,
            in_oneway_line: None,
            has_waited: false,
            place: Place::default(),
        }
    }

    /// Waits for room, and queues the message.
    async fn wait(mut self, waiter: Option<&Waiter>) -> Result<Next, (Unsent, Message)> {
        poll_fn(|context| {
            if let Some(waiter) = waiter {
                // Before it is looked at whether time is over: who is late is woken then.
                waiter.wakes(context);
            }
            self.poll(context)
        })
        .await
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Next, (Unsent, Message)>> {
        if let Some(outcome) = self.admit() {
            return Poll::Ready(outcome);
        }
        let waker = context.waker().clone();
        {
            let mut outbox = lock(&self.connection.outbox);
            if !std::mem::replace(&mut self.has_waited, true) {
                outbox.waiting += 1;
            }
            let last = self.connection.changed.register(&mut self.place, waker);
            drop(outbox);
            drop(last);
        }
        // There may have been room, or an end, before whoever tells of them knew of this task.
        self.admit().map_or(Poll::Pending, Poll::Ready)
    }

    /// Queues the message if there is room, or gives it back if time is over or the connection has ended.
    fn admit(&mut self) -> Option<Result<Next, (Unsent, Message)>> {
        let message = self.message.take()?;
        let mut outbox = lock(&self.connection.outbox);
        if outbox.end.is_some() {
            return Some(Err((Unsent::Closed, message)));
        }
        let length = message.length();
        let is_admitted = if message.kind == Kind::Oneway {
            self.admits_oneway(&mut outbox, length)
        } else {
            self.admits(&mut outbox, length)
        };
        if !is_admitted {
            if is_past(self.deadline) {
                return Some(Err((Unsent::Late, message)));
            }
            self.message = Some(message);
            return None;
        }
        Some(self.connection.enqueue(outbox, message, self.deadline, self.has_company))
    }

    fn admits(&mut self, outbox: &mut Outbox, length: usize) -> bool {
        let is_admitted = outbox.admits(length, self.in_line.unwrap_or(OUTSIDE));
        if !is_admitted && length > MAX_PAYLOAD && self.in_line.is_none() {
            self.in_line = Some(outbox.large_line.join());
        }
        is_admitted
    }

    fn admits_oneway(&mut self, outbox: &mut Outbox, length: usize) -> bool {
        if self.in_oneway_line.is_none() && outbox.oneway_line.is_empty() && outbox.takes_oneway(length) {
            return true;
        }
        let place = *self.in_oneway_line.get_or_insert_with(|| outbox.oneway_line.join());
        // Only the next of this line, so that nobody else takes the room that the other side has.
        outbox.oneway_line.lets(place) && outbox.queue.may_send_oneway() && self.admits(outbox, length)
    }
}

impl Drop for Sending<'_> {
    /// Leaves the lines; whoever is next may go now.
    fn drop(&mut self) {
        self.connection.changed.forget(&mut self.place);
        // One whose time was over when it came is in line, too, though it has not waited.
        if !self.has_waited && self.in_line.is_none() && self.in_oneway_line.is_none() {
            return;
        }
        {
            let mut outbox = lock(&self.connection.outbox);
            outbox.waiting -= usize::from(self.has_waited);
            if let Some(place) = self.in_line {
                outbox.large_line.leave(place);
            }
            if let Some(place) = self.in_oneway_line {
                outbox.oneway_line.leave(place);
            }
        }
        self.connection.changed.notify_all();
    }
}

/// A task that has let others add to what it is going to write. It writes when dropped, be that because it was cancelled.
struct Writes<'a>(&'a Arc<Connection>);

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        self.0.write_for_tasks();
    }
}

fn this_thread() -> ThreadId {
    // A thread that ends may send in the destructors of its own values.
    THIS_THREAD.try_with(|thread| *thread).unwrap_or_else(|_| thread::current().id())
}

/// Lets the executor run the other tasks that are ready.
pub(crate) async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

//! Calling from a task: as from a thread, but nothing here ever blocks.
//!
//! A task neither sleeps nor reads. It registers for its answer and is woken; who reads meanwhile is the handler's to arrange
//! ([`Handler::awaited`](super::Handler::awaited)), unless a thread that calls does. A task that sends while others wait does
//! not write at once: it lets the executor run the others first, so that what they send goes out together with it.

use std::{
    borrow::Borrow,
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    CallFailure, Connection,
    baton::Attendance,
    calls::LOOK,
    lock,
    outbox::Unsent,
    waiter::{State, Waiter, Woken},
};
use crate::{
    protocol::message::Message,
    sync::{Arc, Instant},
};

/// A call of a task that is registered, and given up when this is dropped before its end.
pub(super) struct Registered<C: Borrow<Arc<Connection>>> {
    pub(super) connection: C,
    /// `None` once another call may have it.
    waiter: Option<Arc<Waiter>>,
    pub(super) call: u32,
    /// Others were registered when it was.
    pub(super) has_company: bool,
    /// The request has been queued: an answer may come.
    pub(super) is_queued: bool,
    /// Nobody finds the waiter any more.
    is_over: bool,
}

impl Connection {
    /// As [`call`](Self::call), for a task. A call whose future is dropped is cancelled.
    pub(crate) async fn call_async(
        self: &Arc<Self>,
        request: Message,
        deadline: Option<Instant>,
    ) -> Result<Message, CallFailure> {
        let mut registered = self.begin_async(request, deadline).await?;
        poll_fn(|context| registered.poll(context, deadline)).await
    }

    /// Registers and sends a call.
    pub(super) async fn begin_async(
        self: &Arc<Self>,
        mut request: Message,
        deadline: Option<Instant>,
    ) -> Result<Registered<&Arc<Self>>, CallFailure> {
        let waiter = Waiter::of_task(deadline, None);
        let Some(mut registered) = Registered::new(self, waiter) else {
            return Err(CallFailure::Unsent(request));
        };
        request.call = registered.call;
        let next = match self.queue(request, deadline, Some(registered.waiter()), registered.has_company).await {
            Ok(next) => next,
            Err((Unsent::Closed, request)) => return Err(CallFailure::Unsent(request)),
            Err((Unsent::Late, _)) => return Err(CallFailure::Late { may_have_run: false }),
        };
        registered.is_queued = true;
        self.see_to(next).await;
        Ok(registered)
    }

    /// As [`send_oneway`](Self::send_oneway), for a task.
    pub(crate) async fn send_oneway_async(
        self: &Arc<Self>,
        call: Message,
        deadline: Option<Instant>,
    ) -> Result<(), (Unsent, Message)> {
        // While it waits, it is among the calls, so that it is woken when its time is over.
        let Some(registered) = Registered::new(self, Waiter::of_task(deadline, None)) else {
            return Err((Unsent::Closed, call));
        };
        let next = self.queue(call, deadline, Some(registered.waiter()), registered.has_company).await?;
        drop(registered);
        self.see_to(next).await;
        Ok(())
    }

    /// Has somebody look after tasks when it is time for that.
    pub(super) fn arrange(self: &Arc<Self>, alarm: Option<Instant>) {
        if alarm.is_some_and(|alarm| !self.handler.look_at(self, alarm)) {
            // The next that calls tries again.
            lock(&self.calls).tasks.alarm = None;
        }
    }

    /// Wakes tasks whose time is over, and looks for signs of life as long as any wait; when to come again, if at all. `due`
    /// is when this was to be called: if another time has been arranged since, this is not to be called again.
    pub(crate) fn look_after_tasks(self: &Arc<Self>, due: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut late = Vec::new();
        let (next, is_neglected) = {
            let mut calls = lock(&self.calls);
            if calls.tasks.alarm != Some(due) {
                return None;
            }
            let is_in_use = calls.tasks.count > 0 || std::mem::take(&mut calls.tasks.has_called);
            let mut next = now + LOOK;
            for waiter in calls.waiting_tasks() {
                match waiter.task().and_then(|task| task.deadline) {
                    Some(deadline) if deadline <= now => late.extend(waiter.looks_again()),
                    Some(deadline) => next = next.min(deadline),
                    None => {}
                }
            }
            calls.tasks.alarm = is_in_use.then_some(next);
            if !is_in_use {
                calls.baton.leave_to_watcher();
            }
            (calls.tasks.alarm, calls.is_neglected())
        };
        late.into_iter().for_each(Woken::wake);
        if next.is_none() {
            self.handler.untasked(self);
            // Its driver, if it has one, ends when its runtime runs: from here on the watcher comes.
            self.handler.neglected(self);
            return None;
        }
        // A task that was to write for others may never be polled again.
        self.write_for_tasks();
        if self.has_tasks() {
            self.check_pulse();
        }
        if is_neglected {
            self.handler.neglected(self);
        }
        next
    }

    /// Whether any task waits for an answer.
    pub(crate) fn has_tasks(&self) -> bool {
        lock(&self.calls).tasks.count > 0
    }

    /// How many calls of this side have no answer yet, whoever waits for it.
    pub(crate) fn pending(&self) -> usize {
        lock(&self.calls).len()
    }

    /// Has somebody come for what there is to read, where a task waits and nobody else does.
    pub(super) fn see_to_attendance(self: &Arc<Self>) {
        let (attendance, count) = {
            let mut calls = lock(&self.calls);
            if calls.tasks.count == 0 {
                return;
            }
            (calls.baton.attendance(), calls.tasks.count)
        };
        self.attend_to(attendance, count == 1);
    }

    /// `is_alone` where the task that calls this is the only one that waits.
    fn attend_to(self: &Arc<Self>, attendance: Option<Attendance>, is_alone: bool) {
        let is_awaited = match attendance {
            None => false,
            Some(Attendance::Driven) => return self.attend_beside_driver(is_alone),
            Some(Attendance::Watched) => self.handler.could_drive(),
            Some(Attendance::Nobody) => true,
        };
        if is_awaited {
            self.handler.awaited(self);
        }
    }

    fn attend_beside_driver(self: &Arc<Self>, is_alone: bool) {
        if !self.handler.driver_stands_still(is_alone) {
            return;
        }
        lock(&self.calls).baton.leave_to_watcher();
        if is_alone {
            self.handler.awaited(self);
        } else {
            // The driver stays, since those that wait with this task may be where it runs.
            self.handler.neglected(self);
        }
    }
}

impl<C: Borrow<Arc<Connection>>> Registered<C> {
    /// Registers; `None` where the connection has ended.
    pub(super) fn new(connection: C, waiter: Arc<Waiter>) -> Option<Self> {
        let deadline = waiter.task().and_then(|task| task.deadline);
        let at = connection.borrow();
        let (call, alarm, is_alone, has_company, attendance) = {
            let mut calls = lock(&at.calls);
            let call = calls.register(&waiter)?;
            let (alarm, is_alone) = (calls.tasks.alarm_for(deadline), calls.tasks.count == 1);
            (call, alarm, is_alone, calls.tasks.has_company(), calls.baton.attendance())
        };
        // From here on, whoever leaves the reading finds that a task waits.
        at.attend_to(attendance, is_alone);
        at.arrange(alarm);
        Some(Self { connection, waiter: Some(waiter), call, has_company, is_queued: false, is_over: false })
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.connection.borrow()
    }

    pub(super) fn waiter(&self) -> &Arc<Waiter> {
        self.waiter.as_ref().expect("its answer has not been taken")
    }

    /// Lets another call have the waiter: the answer has been taken, and this one has lent nothing.
    pub(super) fn put_back_waiter(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.connection().refuse_waiting(&waiter);
            waiter.put_back_by_task();
        }
    }

    pub(super) fn poll(
        &mut self,
        context: &Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<Message, CallFailure>> {
        let connection = self.connection.borrow();
        let outcome = match self.waiter().poll(context) {
            Poll::Ready(State::Answered(answer)) => Ok(answer),
            Poll::Ready(_) => Err(connection.closed_under(self.call)),
            Poll::Pending if is_past(deadline) => connection.abandon(self.call, self.waiter()),
            Poll::Pending => return Poll::Pending,
        };
        self.is_over = true;
        Poll::Ready(outcome)
    }
}

impl<C: Borrow<Arc<Connection>>> Drop for Registered<C> {
    fn drop(&mut self) {
        let Some(waiter) = &self.waiter else { return };
        let connection = self.connection.borrow();
        if self.is_over {
            // Nobody finds the waiter any more.
        } else if self.is_queued {
            // An answer that has come meanwhile is for nobody.
            let _ = connection.abandon(self.call, waiter);
        } else {
            // The other side has never heard of it, and answers nothing.
            lock(&connection.calls).leave_unanswered(self.call, false);
        }
        // Nobody finds the waiter any more.
        connection.refuse_waiting(waiter);
    }
}

pub(super) fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::{Pin, pin},
        task::Waker,
    };

    use super::*;
    use crate::{
        connection::tests::connect,
        protocol::{
            frame::{Kind, MAX_PAYLOAD},
            oneway::MESSAGES,
            outgoing::MEMORY,
        },
    };

    fn message(kind: Kind, length: usize) -> Message {
        Message::answer(kind, 0, vec![0; length])
    }

    fn poll<R>(future: Pin<&mut impl Future<Output = R>>) -> Poll<R> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_is_dropped_while_it_waits_for_room_leaves_nothing_behind() {
        let (connection, _unread) = connect();
        (0..MESSAGES).for_each(|_| connection.send_oneway(message(Kind::Oneway, 1), None).unwrap());
        connection.send(message(Kind::Request, MEMORY), None).unwrap();
        for length in [1, MAX_PAYLOAD + 1] {
            let mut call = Box::pin(connection.call_async(message(Kind::Request, length), None));
            let mut oneway = Box::pin(connection.send_oneway_async(message(Kind::Oneway, length), None));
            assert!(poll(call.as_mut()).is_pending() && poll(oneway.as_mut()).is_pending());
            assert_eq!((connection.pending(), lock(&connection.outbox).waiting()), (2, 2));
            drop((call, oneway));
            assert_eq!((connection.pending(), connection.has_tasks()), (0, false));
            let outbox = lock(&connection.outbox);
            assert_eq!((outbox.waiting(), outbox.is_anybody_in_line()), (0, false));
        }
    }

    #[test]
    fn those_that_were_answered_together_call_together() {
        let (connection, _unread) = connect();
        let register = || Registered::new(&connection, Waiter::of_task(None, None)).unwrap();
        assert!(!register().has_company && !register().has_company, "one after the other");
        let several = [register(), register(), register()];
        assert_eq!(several.each_ref().map(|registered| registered.has_company), [false, true, true]);
        for registered in &several {
            drop(lock(&connection.calls).answer(Message::control(Kind::Pong, registered.call)));
        }
        assert!(register().has_company, "others are about to call, too");
        assert!(!register().has_company, "they have not");
    }

    #[test]
    fn who_is_late_when_it_comes_keeps_no_place_in_line() {
        let (connection, _unread) = connect();
        (0..MESSAGES).for_each(|_| connection.send_oneway(message(Kind::Oneway, 1), None).unwrap());
        connection.send(message(Kind::Request, MEMORY), None).unwrap();
        for kind in [Kind::Request, Kind::Oneway] {
            let queued = connection.queue(message(kind, MAX_PAYLOAD + 1), Some(Instant::now()), None, false);
            let Poll::Ready(Err((Unsent::Late, _))) = poll(pin!(queued)) else { panic!("there is no room") };
            assert!(!lock(&connection.outbox).is_anybody_in_line());
        }
    }
}

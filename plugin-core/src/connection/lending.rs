//! Calls of tasks that lend: what the other side asks runs where the task is polled.
//!
//! What is done at once, such as a function, is run in turn, as by a thread. An async method is begun in turn, and then polled
//! beside the call and beside others of its kind, so that any number of them may wait for something. One of a method that nothing
//! answers is the exception: it is run to its end before anything else begins, for such calls keep their order.

use std::{
    borrow::Borrow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{
    CallFailure, Connection,
    asked::Cancel,
    callbacks::{call_ended, given_up_failure, no_room},
    outbox::Unsent,
    running::Running,
    tasks::{Registered, is_past},
    waiter::Waiter,
};
use crate::{
    protocol::message::{Failure, FailureKind, Message},
    sync::{Arc, Instant},
};

/// How many callbacks a task runs in a row before it lets others run.
const PATIENCE: u32 = 32;

/// How many async methods of what one call lends may run at once before further ones are refused, and how many bytes of arguments
/// they may hold then beside those of one.
const MAX_RUNNING: usize = 65_536;
const MAX_RUNNING_BYTES: usize = 256 << 20;

/// What runs the functions and objects that the call of a task has lent, for as long as `'a`.
pub(crate) trait TaskLender<'a> {
    /// Runs a request for one of them, or a notice, or begins to.
    fn begin(&mut self, connection: &Arc<Connection>, request: Message) -> Begun<'a>;
}

/// What has become of a request for something lent.
pub(crate) enum Begun<'a> {
    /// It has run, or never will; here is the answer, if it is a request.
    Done(Option<Message>),
    /// It runs when it is polled.
    Runs(Callback<'a>),
}

/// The run of an async method of something lent.
pub(crate) struct Callback<'a> {
    /// Gives the answer, if it is a request.
    pub(crate) run: Pin<Box<dyn Future<Output = Option<Message>> + Send + 'a>>,
    /// 0 if nobody waits for it.
    pub(crate) number: u32,
    /// It is of a method that nothing answers: where somebody waits for it, only so that there are never too many under way.
    pub(crate) is_oneway: bool,
    pub(crate) cancel: Arc<dyn Cancel>,
}

/// What happens to a call that lends.
enum Event {
    /// The other side asks for something.
    Asked(Message),
    Over(Result<Message, CallFailure>),
}

/// The call of a task that lends. When it ends, those of its callbacks are dropped that have not ended, and whoever waits for them is
/// told.
///
/// Written by hand, as all that is polled while others are polled inside of it: `objects/depth` says why.
pub(crate) struct LendingCall<'b, 'a> {
    connection: &'b Arc<Connection>,
    lender: &'b mut (dyn TaskLender<'a> + Send),
    deadline: Option<Instant>,
    /// `None` while it sends its request.
    registered: Option<Registered<&'b Arc<Connection>>>,
    /// What is sent meanwhile: the request,
    beginning: Option<Job<'b, Beginning<'b>>>,
    /// or the answer of what has run last.
    answering: Option<Job<'b, ()>>,
    running: Running<'a>,
    /// The last callback of a method that nothing answers.
    told: Option<u64>,
    /// How many have begun.
    count: u32,
    /// What the call has come to, but for what was asked before.
    answer: Option<Message>,
}

type Job<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;
type Beginning<'b> = Result<Registered<&'b Arc<Connection>>, CallFailure>;

impl Connection {
    /// As [`call_lending`](Self::call_lending), for a task.
    pub(crate) fn call_lending_async<'b, 'a>(
        self: &'b Arc<Self>,
        request: Message,
        deadline: Option<Instant>,
        lender: &'b mut (dyn TaskLender<'a> + Send),
    ) -> Pin<Box<LendingCall<'b, 'a>>> {
        Box::pin(LendingCall {
            connection: self,
            lender,
            deadline,
            registered: None,
            beginning: Some(Box::pin(self.begin_async(request, deadline))),
            answering: None,
            running: Running::default(),
            told: None,
            count: 0,
            answer: None,
        })
    }

    /// Sends the answer of something lent.
    fn answer_lent(
        self: Arc<Self>,
        answer: Message,
        deadline: Option<Instant>,
        waiter: Option<Arc<Waiter>>,
    ) -> impl Future<Output = ()> + Send {
        // From here on: the task may be dropped before it polls this.
        let mut owed = Owed { connection: self, call: answer.call, is_paid: false };
        async move {
            let queued = owed.connection.queue(answer, deadline, waiter.as_deref(), false).await;
            // With the connection, whoever waited for the answer has ended.
            owed.is_paid = !matches!(queued, Err((Unsent::Late, _)));
            if let Ok(next) = queued {
                owed.connection.see_to(next).await;
            }
        }
    }
}

impl Future for LendingCall<'_, '_> {
    type Output = Result<Message, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        if let Some(beginning) = &mut me.beginning {
            me.registered = Some(ready!(beginning.as_mut().poll(context))?);
            me.beginning = None;
        }
        loop {
            me.running.poll(context);
            if let Some(answering) = &mut me.answering {
                ready!(answering.as_mut().poll(context));
                me.answering = None;
            }
            if let Some(outcome) = ready!(me.go_on(context)) {
                return Poll::Ready(outcome);
            }
            me.count = me.count.wrapping_add(1);
            if me.count % PATIENCE == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl LendingCall<'_, '_> {
    /// Begins what is asked next; gives what the call has come to once that is known, and all has run that was asked before.
    fn go_on(&mut self, context: &Context<'_>) -> Poll<Option<Result<Message, CallFailure>>> {
        let Some(registered) = &mut self.registered else { return Poll::Pending };
        // Behind what nothing answers nothing begins before that has ended.
        let is_held_up = self.told.is_some_and(|told| self.running.has(told));
        if self.answer.is_none() {
            match ready!(registered.poll_asked(context, self.deadline, !is_held_up)) {
                Event::Asked(request) => self.begin(request),
                Event::Over(Ok(answer)) => self.answer = Some(answer),
                Event::Over(Err(failure)) => return Poll::Ready(Some(Err(failure))),
            }
            return Poll::Ready(None);
        }
        if is_held_up {
            return Poll::Pending;
        }
        match registered.waiter().asked.next() {
            Some(request) => self.begin(request),
            None => return Poll::Ready(self.answer.take().map(Ok)),
        }
        Poll::Ready(None)
    }

    /// Runs what is asked, or begins to.
    fn begin(&mut self, request: Message) {
        let (connection, deadline, bytes) = (self.connection, self.deadline, request.payload.len());
        let begun = self.lender.begin(connection, request);
        let Some(waiter) = self.registered.as_ref().map(Registered::waiter) else { return };
        match begun {
            Begun::Done(None) => {}
            Begun::Done(Some(answer)) => {
                // Where there is room, that is all.
                if let Err(answer) = connection.queue_at_once(answer, deadline, false) {
                    let sending = Arc::clone(connection).answer_lent(answer, deadline, Some(Arc::clone(waiter)));
                    self.answering = Some(Box::pin(sending));
                }
            }
            Begun::Runs(Callback { run, number: 0, .. }) => {
                self.told = Some(self.running.add(async move { drop(run.await) }));
            }
            Begun::Runs(callback) => {
                if let Some(why) = self.refusal(waiter, &callback, bytes) {
                    return connection.refuse(callback.number, &why);
                }
                let (connection, waiter) = (Arc::clone(connection), Arc::clone(waiter));
                let Callback { run, number, is_oneway, .. } = callback;
                waiter.asked.hold(bytes);
                let run = Some(run);
                let begun =
                    self.running.add(Underway { connection, waiter, number, bytes, deadline, run, answering: None });
                if is_oneway {
                    self.told = Some(begun);
                }
            }
        }
    }

    /// Why a callback does not begin that somebody waits for, if it does not.
    fn refusal(&self, waiter: &Waiter, callback: &Callback<'_>, bytes: usize) -> Option<Failure> {
        if self.answer.is_some() {
            return Some(call_ended());
        }
        let held = waiter.asked.held();
        if self.running.len() >= MAX_RUNNING || (held > 0 && held.saturating_add(bytes) > MAX_RUNNING_BYTES) {
            return Some(Failure::new(FailureKind::Overloaded, "too many callbacks of one call wait for something"));
        }
        (!waiter.asked.begin(callback.number, &callback.cancel)).then(given_up_failure)
    }
}

/// A callback that somebody waits for. If it is dropped before its end, that is what is told.
struct Underway<'a> {
    connection: Arc<Connection>,
    waiter: Arc<Waiter>,
    number: u32,
    /// What its arguments hold until it has ended.
    bytes: usize,
    deadline: Option<Instant>,
    /// `None` once it has ended.
    run: Option<Job<'a, Option<Message>>>,
    /// Its answer, where there was no room for it.
    answering: Option<Job<'a, ()>>,
}

impl Future for Underway<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(run) = &mut self.run {
            let answer = ready!(run.as_mut().poll(context));
            self.answer(answer);
        }
        match &mut self.answering {
            Some(answering) => answering.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl Underway<'_> {
    fn answer(&mut self, answer: Option<Message>) {
        self.run = None;
        self.waiter.asked.let_go(self.bytes);
        self.waiter.asked.end(self.number);
        let Some(Err(answer)) = answer.map(|answer| self.connection.queue_at_once(answer, self.deadline, false)) else {
            return;
        };
        self.answering = Some(Box::pin(Arc::clone(&self.connection).answer_lent(answer, self.deadline, None)));
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if self.run.take().is_some() {
            self.waiter.asked.let_go(self.bytes);
            self.waiter.asked.end(self.number);
            self.connection.refuse(self.number, &unfinished());
        }
    }
}

/// The answer of what a task has lent. If there is no room in time, or the task is dropped meanwhile, that is what is told.
struct Owed {
    connection: Arc<Connection>,
    call: u32,
    is_paid: bool,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_paid {
            self.connection.refuse(self.call, &no_room());
        }
    }
}

/// Why a callback that had begun has not ended.
fn unfinished() -> Failure {
    Failure::new(FailureKind::Interrupted, "the call that lent it has ended before it was done")
}

impl<C: Borrow<Arc<Connection>>> Registered<C> {
    /// As [`poll`](Self::poll), of a call that lends, and `takes` what is asked.
    fn poll_asked(&mut self, context: &Context<'_>, deadline: Option<Instant>, takes: bool) -> Poll<Event> {
        // Before it is looked at what is asked: whoever asks does that first, and wakes then.
        self.waiter().wakes(context);
        let asked = if !takes || is_past(deadline) { None } else { self.waiter().asked.next() };
        match asked {
            Some(request) => Poll::Ready(Event::Asked(request)),
            None => self.poll(context, deadline).map(Event::Over),
        }
    }
}

#[cfg(test)]
mod tests;

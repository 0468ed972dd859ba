//! Answering with async methods: polled where the request was read, and left to the executor only if that does not finish it.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{
    call::CallState,
    executor::Executor,
    outcome::{message, unless_over},
    service::{Service, Task},
    tasks::{Run, interrupted},
};
use crate::{
    connection::{Connection, Sent},
    interface::Dispatch,
    objects::{
        context::{self, Timed},
        depth,
    },
    protocol::message::{Failure, FailureKind},
};

impl Service {
    /// Polls an async handler, sends the answer if that is all it takes, and else has the executor go on.
    pub(super) fn answer_async(
        &self,
        connection: &Arc<Connection>,
        task: Task,
        dispatcher: &dyn Dispatch,
        (executor, is_entered): (&Executor, bool),
        began: Instant,
    ) -> (Sent, Instant) {
        let place = task.place();
        let Task { mut request, call, .. } = task;
        let (number, bytes) = (request.call, request.payload.len());
        let handler = || {
            let Some(_level) = depth::enter() else { return Err(Failure::new(FailureKind::TooDeep, "")) };
            if self.spawned.is_full(bytes) {
                return Err(Failure::new(FailureKind::Overloaded, "too many async methods wait for something"));
            }
            let context = self.context(connection, number);
            let dispatch = |method, request, answer| dispatcher.dispatch_async(method, request, answer);
            let mut run = Run::new(dispatcher.descriptor(), &mut request, &call, context, dispatch)?;
            // Nobody could wake it: if this is not its end, it is polled again at once where it can be.
            let mut poll = || run.go_on(&mut Context::from_waker(Waker::noop()));
            match if is_entered { poll() } else { executor.enter(poll) } {
                Poll::Ready(outcome) => outcome.map(Ok),
                Poll::Pending => Ok(Err(run)),
            }
        };
        let Timed { outcome, ended, longest } = context::timed(began, || unless_over(&call, began, handler));
        self.paces.note(place, longest);
        let outcome = match outcome {
            Ok(Err(run)) => {
                self.spawn(connection, Spawning { number, bytes, call }, executor, run);
                return (Sent::Cared, ended);
            }
            Ok(Ok(answer)) => Ok(answer),
            Err(failure) => Err(failure),
        };
        self.forget(number);
        let answer = message(number, &call, outcome, connection);
        call.put_back();
        (connection.send(answer, None).unwrap_or_default(), ended)
    }

    /// Has the executor run an async handler to its end, and send the answer.
    fn spawn(&self, connection: &Arc<Connection>, spawning: Spawning, executor: &Executor, run: Run<'static>) {
        let Some(me) = self.me.upgrade() else { return };
        let Spawning { number, bytes, call } = spawning;
        let mut owed = Owed { service: me, connection: Arc::clone(connection), number, call, is_paid: false };
        let counted = self.spawned.begin(bytes);
        executor.spawn(&self.workers, async move {
            let outcome = run.await;
            let has_company = owed.service.forget(number);
            let answer = message(number, &owed.call, outcome, &owed.connection);
            owed.connection.answer_async(answer, has_company, &mut owed.is_paid).await;
            drop(counted);
        });
    }
}

/// A call whose handler was not done at once, and how many bytes its request held.
struct Spawning {
    number: u32,
    bytes: usize,
    call: Arc<CallState>,
}

/// The answer to a call whose handler an executor runs. An executor that ends drops what it has not run.
struct Owed {
    service: Arc<Service>,
    connection: Arc<Connection>,
    number: u32,
    call: Arc<CallState>,
    is_paid: bool,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_paid {
            self.service.forget(self.number);
            // It had begun, or it would not have been spawned.
            self.connection.refuse(self.number, &interrupted());
        }
    }
}

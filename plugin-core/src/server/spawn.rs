//! Answering with async methods: polled where the request was read, and left to the executor only if that does not finish it.

use std::{
    sync::Arc,
    task::{self, Poll, Waker},
};

use super::{
    call::CallState,
    executor::Executor,
    leaders::{Answered, Timing},
    outcome::{check, failed, message},
    service::{Service, Task},
    tasks::{Run, interrupted},
};
use crate::{
    connection::{Connection, Sent},
    interface::Dispatch,
    objects::{
        context::{self, Context, Timed},
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
        timing: Timing,
    ) -> (Sent, Answered) {
        let place = task.place();
        let Task { mut request, call, .. } = task;
        let (number, bytes) = (request.call, request.payload.len());
        // Kept here, and not given from one to the next: it is not small.
        let mut begun = None;
        let handler = || {
            check(&call, timing.began)?;
            let Some(_level) = depth::enter() else { return Err(Failure::new(FailureKind::TooDeep, "")) };
            if self.spawned.is_full(bytes) {
                return Err(Failure::new(FailureKind::Overloaded, "too many async methods wait for something"));
            }
            let dispatch = |method, request, answer| dispatcher.dispatch_async(method, request, answer);
            let limit = connection.max_message();
            let run = begun.insert(Run::new(dispatcher.descriptor(), &mut request, call, limit, dispatch)?);
            // Nobody could wake it: if this is not its end, it is polled again at once where it can be.
            let mut poll = || run.go_on(&mut task::Context::from_waker(Waker::noop()));
            Ok(if is_entered { poll() } else { executor.enter(poll) })
        };
        let Timed { outcome, ended, longest } = context::timed(timing.began, timing.count, handler);
        self.paces.note(place, longest);
        let answer = match (outcome, &begun) {
            (Ok(Poll::Ready(outcome)), Some(run)) => message(number, run.call(), outcome, connection),
            (Err(failure), _) => failed(number, &failure),
            (Ok(_), _) => {
                if let Some(run) = begun {
                    self.spawn(connection, (number, bytes), executor, run);
                }
                return (Sent::Cared, Answered { ended, is_over: None });
            }
        };
        (connection.send(answer, None).unwrap_or_default(), Answered { ended, is_over: Some(number) })
    }

    /// Has the executor run an async handler to its end, and send the answer.
    fn spawn(
        &self,
        connection: &Arc<Connection>,
        (number, bytes): (u32, usize),
        executor: &Executor,
        mut run: Run<'static>,
    ) {
        let Some(me) = self.me.upgrade() else { return };
        run.is_made_from(Context::new(connection, number));
        let call = Arc::clone(run.call());
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

//! Calling from a task: getting to a run of the plugin, and told what has become of it, without blocking.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Instant,
};

use super::{
    acquire::Step,
    instance::{Body, Instance},
    life::Waiting,
    phase::State,
    supervisor::Supervisor,
    usage::Lease,
};
use crate::{
    Error, Result,
    connection::{Cause, End, lock},
    signal::Place,
    timer::Alarm,
};

/// A task that waits for the plugin to be started.
struct InLine<'a> {
    supervisor: &'a Arc<Supervisor>,
    waiting: Waiting<'a>,
    alarm: Alarm,
    has_waited: bool,
}

impl Supervisor {
    /// As [`acquire`](Self::acquire), for a task.
    pub(super) async fn acquire_async(
        self: &Arc<Self>,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Result<Lease> {
        if let Some(acquired) = self.acquire_at_once(method, deadline) {
            return acquired;
        }
        // Boxed: most calls never wait, and need no memory for it.
        Box::pin(self.wait_to_acquire(method, began, deadline)).await
    }

    /// As [`acquire`](Self::acquire), where that takes no waiting.
    pub(super) fn acquire_at_once(&self, method: &str, deadline: Option<Instant>) -> Option<Result<Lease>> {
        self.admitted(method, deadline).or_else(|| lock(&self.state).lease().map(Ok))
    }

    async fn wait_to_acquire(
        self: &Arc<Self>,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Result<Lease> {
        let waiting = Waiting { signal: &self.changed, place: Place::default() };
        let mut line = InLine { supervisor: self, waiting, alarm: Alarm::default(), has_waited: false };
        let lost = match poll_fn(|context| line.poll(context, method, began, deadline)).await? {
            Ok(lease) => return Ok(lease),
            Err(lost) => lost,
        };
        drop(line);
        lost.settle(deadline).await;
        Err(lost.lost(method, false, deadline))
    }

    /// Sees to the end of a run that is of no use any more, on a thread of its own, unless one does already.
    fn bury_soon(self: &Arc<Self>, state: &mut State, instance: &Arc<Instance>) -> Result<()> {
        if state.burying.as_ref().is_some_and(|burying| Arc::ptr_eq(burying, instance)) {
            return state.unburied.clone().map_or(Ok(()), Err);
        }
        let (supervisor, burying) = (Arc::clone(self), Arc::clone(instance));
        let bury = move || {
            // What kept it from ending is for those who wait; that it has ended, they see.
            let failed = supervisor.bury(&burying, "restart", Instant::now(), None).err();
            let is_unkillable = matches!(failed, Some(Error::Unkillable { .. }));
            lock(&supervisor.state).unburied = failed.filter(|_| is_unkillable);
            supervisor.changed.notify_all();
        };
        let spawned = thread::Builder::new().name("plugin-core bury".into()).spawn(bury);
        spawned.map_err(|error| Error::Spawn { program: self.name.to_string(), source: Arc::new(error) })?;
        (state.burying, state.unburied) = (Some(Arc::clone(instance)), None);
        Ok(())
    }
}

impl InLine<'_> {
    /// The right to call, or a run that was lost and is the last.
    fn poll(
        &mut self,
        context: &Context<'_>,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Poll<Result<Result<Lease, Arc<Instance>>>> {
        let supervisor = self.supervisor;
        // Without the lock: a waker is code of somebody else's.
        let waker = context.waker().clone();
        let mut state = lock(&supervisor.state);
        loop {
            match supervisor.next_step(&mut state, method, self.has_waited) {
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Step::Call(lease)) => return Poll::Ready(Ok(Ok(lease))),
                Ok(Step::Again) => continue,
                Ok(Step::Bury(instance)) if supervisor.launch.is_none() || instance.is_stopping() => {
                    return Poll::Ready(Ok(Err(instance)));
                }
                Ok(Step::Bury(instance)) => {
                    if let Err(error) = supervisor.bury_soon(&mut state, &instance) {
                        return Poll::Ready(Err(error));
                    }
                }
                Ok(Step::Wait) => {}
            }
            if !std::mem::replace(&mut self.has_waited, true) {
                state.waiting += 1;
            }
            let last = supervisor.changed.register(&mut self.waiting.place, waker);
            drop(state);
            drop(last);
            if self.alarm.is_over(context, deadline) {
                return Poll::Ready(Err(supervisor.late(method, began, deadline)));
            }
            return Poll::Pending;
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.has_waited {
            lock(&self.supervisor.state).waiting -= 1;
        }
    }
}

impl Instance {
    /// Waits until all is known that is to be told of a lost connection, but not past `deadline`.
    pub(crate) async fn settle(&self, deadline: Option<Instant>) {
        let is_lost = matches!(self.connection.end(), Some(End { cause: Cause::Lost(_) | Cause::Local(_), .. }));
        if is_lost && matches!(self.body, Body::Child { .. }) && !self.is_stopping() {
            Box::pin(self.life.wait_end_async(self.exit_limit(deadline))).await;
        }
    }
}

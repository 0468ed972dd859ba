//! Getting to a run of the plugin that can be called: the present one, or the next.

use std::{
    cell::RefCell,
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use super::{
    handle::limit,
    instance::Instance,
    phase::{Phase, State},
    supervisor::Supervisor,
    usage::Lease,
};
use crate::{Error, Result, connection::lock};

thread_local! {
    /// The runs whose `on_start` this thread is in, the innermost last: they may be called before others are let through.
    pub(super) static ADMITTED: RefCell<Vec<Arc<Instance>>> = const { RefCell::new(Vec::new()) };
}

/// What a call does next.
pub(super) enum Step {
    Call(Lease),
    /// Look again.
    Again,
    /// See to the end of this run.
    Bury(Arc<Instance>),
    /// Wait for a change.
    Wait,
}

impl Supervisor {
    /// The run to call now: the present one, or the next if it has died and may be started again.
    ///
    /// # Errors
    /// When there is none until `deadline`, or there will be none.
    pub(super) fn acquire(self: &Arc<Self>, method: &str, began: Instant, deadline: Option<Instant>) -> Result<Lease> {
        if let Some(admitted) = self.admitted(method, deadline) {
            return admitted;
        }
        let mut has_waited = false;
        let mut state = lock(&self.state);
        loop {
            match self.next_step(&mut state, method, has_waited)? {
                Step::Call(lease) => return Ok(lease),
                Step::Again => {}
                Step::Bury(instance) => {
                    drop(state);
                    self.bury(&instance, method, began, deadline)?;
                    state = lock(&self.state);
                }
                Step::Wait => {
                    has_waited = true;
                    state = self.wait_in_line(state, deadline).ok_or_else(|| self.late(method, began, deadline))?;
                }
            }
        }
    }

    /// What a call is to do next, to get to a run that it can be made to.
    pub(super) fn next_step(self: &Arc<Self>, state: &mut State, method: &str, has_waited: bool) -> Result<Step> {
        if state.is_stopped {
            return Err(Error::Stopped { plugin: self.name(), method: method.into(), may_have_run: false });
        }
        if let Some(lease) = state.lease() {
            return Ok(Step::Call(lease));
        }
        match &state.phase {
            Phase::Running(instance) => Ok(Step::Bury(Arc::clone(instance))),
            Phase::Failed(failed) if has_waited => Err(failed.explain(&self.name, method)),
            Phase::Down(_) | Phase::Failed(_) => self.decide(state, method).map(|()| Step::Again),
            Phase::Idle => self.start_soon(state, Duration::ZERO).map(|()| Step::Again),
            Phase::Starting | Phase::Resting => Ok(Step::Wait),
        }
    }

    /// The right to call the run whose `on_start` this thread is in, if it is in one of this plugin's.
    pub(super) fn admitted(&self, method: &str, deadline: Option<Instant>) -> Option<Result<Lease>> {
        let instance = self.admitted_run()?;
        if instance.is_usable() {
            return Some(Ok(Lease::new(&instance)));
        }
        Some(Err(instance.lost(method, false, deadline)))
    }

    /// The run that this thread may call since it is in its `on_start`.
    fn admitted_run(&self) -> Option<Arc<Instance>> {
        // The name is shared by all runs of one plugin, and by those of no other.
        let is_ours = |instance: &&Arc<Instance>| Arc::ptr_eq(&instance.name, &self.name);
        // At the end of a thread, the destructors of its other values may still call.
        ADMITTED.try_with(|admitted| admitted.borrow().iter().rev().find(is_ours).cloned()).ok()?
    }

    /// As [`wait`](Self::wait), for a call: while it waits, nobody finds the plugin idle.
    fn wait_in_line<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        state.waiting += 1;
        let waited = self.wait(state, deadline);
        let is_late = waited.is_none();
        let mut state = waited.unwrap_or_else(|| lock(&self.state));
        state.waiting -= 1;
        if is_late { None } else { Some(state) }
    }

    pub(super) fn late(&self, method: &str, began: Instant, deadline: Option<Instant>) -> Error {
        Error::Timeout {
            plugin: self.name(),
            method: method.into(),
            after: limit(began, deadline),
            may_have_run: false,
            silent_for: None,
        }
    }
}

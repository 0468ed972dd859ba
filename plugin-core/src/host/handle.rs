//! What all handles to one plugin share: the way to its present run, and that it is stopped with the last of them.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Lease, instance::Instance, supervisor::Supervisor};
use crate::{
    Error, ExitReport, Result,
    connection::{CallFailure, Connection},
};

/// What all handles to one plugin share; its drop stops the plugin.
pub(crate) struct Handle {
    pub(super) supervisor: Arc<Supervisor>,
}

impl Handle {
    pub(super) fn new(supervisor: Arc<Supervisor>) -> Arc<Self> {
        let handle = Arc::new(Self { supervisor });
        handle.supervisor.belongs_to(&handle);
        handle
    }

    /// Stops the plugin for good, and waits for its end.
    pub(super) fn stop(&self, how: fn(&Instance) -> Result<ExitReport>) -> Result<ExitReport> {
        self.supervisor.stop(how)
    }

    pub(crate) fn name(&self) -> &str {
        &self.supervisor.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.supervisor.name
    }

    /// Whether `connection` is that of the present run.
    pub(crate) fn is_connected_by(&self, connection: &Arc<Connection>) -> bool {
        self.supervisor.last().is_some_and(|instance| Arc::ptr_eq(&instance.connection, connection))
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.supervisor.settings.call_timeout
    }

    pub(crate) fn max_message(&self) -> usize {
        self.supervisor.settings.max_message
    }

    /// The run to call now; started now if there is none and that is allowed.
    pub(crate) fn acquire(&self, method: &str, began: Instant, deadline: Option<Instant>) -> Result<Lease> {
        self.supervisor.acquire(method, began, deadline)
    }

    /// As [`acquire`](Self::acquire), where that takes no waiting.
    pub(crate) fn acquire_at_once(&self, method: &str, deadline: Option<Instant>) -> Option<Result<Lease>> {
        self.supervisor.acquire_at_once(method, deadline)
    }

    /// As [`acquire`](Self::acquire), for a task.
    pub(crate) async fn acquire_async(&self, method: &str, began: Instant, deadline: Option<Instant>) -> Result<Lease> {
        self.supervisor.acquire_async(method, began, deadline).await
    }
}

/// How long a call had, to the nearest millisecond: `within` was called a moment before it, or behind it.
pub(crate) fn limit(began: Instant, deadline: Option<Instant>) -> Duration {
    let limit = deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(began));
    let milliseconds = ((limit.as_micros() + 500) / 1000).max(u128::from(!limit.is_zero()));
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// Why a call to `instance` failed.
pub(crate) fn explain(
    instance: &Instance,
    method: &str,
    began: Instant,
    deadline: Option<Instant>,
    failure: &CallFailure,
) -> Error {
    match failure {
        CallFailure::Late { may_have_run } => Error::Timeout {
            plugin: instance.name.to_string(),
            method: method.into(),
            after: limit(began, deadline),
            may_have_run: *may_have_run,
            silent_for: instance.connection.unresponsive_for(),
        },
        CallFailure::Closed { may_have_run } => instance.lost(method, *may_have_run, deadline),
        CallFailure::Unsent(_) => instance.lost(method, false, deadline),
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.supervisor.is_down() {
            return;
        }
        let supervisor = Arc::clone(&self.supervisor);
        let stopping = thread::Builder::new().name("plugin-core stop".into()).spawn(move || {
            if let Err(error) = supervisor.stop(Instance::stop) {
                tracing::warn!(%error, "a plugin could not be stopped");
            }
        });
        if stopping.is_err() {
            self.supervisor.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_as_it_was_given_even_if_the_call_began_a_moment_before_or_behind_it() {
        let began = Instant::now();
        let told = |micros| limit(began, Some(began + Duration::from_micros(micros)));
        assert_eq!([299_960, 300_000, 300_040].map(told), [Duration::from_millis(300); 3]);
        assert_eq!([1, 0].map(told), [Duration::from_millis(1), Duration::ZERO]);
    }
}

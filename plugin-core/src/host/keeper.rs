//! What whoever holds an object of a plugin holds, too: so the plugin is kept running, and can be asked what became of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Handle, Instance, explain};
use crate::{Error, connection::CallFailure};

/// A plugin that is kept running, and the run of it that has the object.
pub(crate) struct Keeper {
    pub(super) instance: Arc<Instance>,
    pub(super) _handle: Arc<Handle>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.instance.note_use();
    }
}

impl Keeper {
    pub(crate) fn call_timeout(&self) -> Duration {
        self.instance.settings.call_timeout
    }

    /// Why a call failed.
    pub(crate) fn explain(
        &self,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
        failure: &CallFailure,
    ) -> Error {
        explain(&self.instance, method, began, deadline, failure)
    }

    /// Waits until all is known that [`explain`](Self::explain) tells, but not past `deadline`.
    pub(crate) async fn settle(&self, deadline: Option<Instant>) {
        self.instance.settle(deadline).await;
    }
}

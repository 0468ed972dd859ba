//! Where a plugin is between two runs, and what is kept of it through all of them.

use std::{sync::Arc, time::Instant};

use super::{instance::Instance, restart::History, usage::Lease};
use crate::{Error, ExitReport};

/// What is known of a plugin, between its runs too.
pub(super) struct State {
    pub(super) phase: Phase,
    /// The present run, or the last.
    pub(super) last: Option<Arc<Instance>>,
    /// The run whose `on_start` is under way.
    pub(super) greeting: Option<Arc<Instance>>,
    pub(super) history: History,
    /// How many calls wait for it to be started.
    pub(super) waiting: usize,
    /// The run that a thread sees to the end of, on behalf of tasks; what came of the last.
    pub(super) burying: Option<Arc<Instance>>,
    pub(super) unburied: Option<Error>,
    pub(super) is_stopped: bool,
    pub(super) has_told_stopped: bool,
    pub(super) has_given_up: bool,
}

impl State {
    /// A plugin that is being started for the first time.
    pub(super) fn new(history: History) -> Self {
        Self {
            phase: Phase::Starting,
            last: None,
            greeting: None,
            history,
            waiting: 0,
            burying: None,
            unburied: None,
            is_stopped: false,
            has_told_stopped: false,
            has_given_up: false,
        }
    }

    /// The right to call the present run, if it can be called now.
    pub(super) fn lease(&self) -> Option<Lease> {
        match &self.phase {
            // With the state locked: who looks whether it is idle finds it in use.
            Phase::Running(instance) if instance.is_usable() && !self.is_stopped => Some(Lease::new(instance)),
            _ => None,
        }
    }

    /// Why the plugin is down, told to a call of `method`.
    pub(super) fn why_down(&self, plugin: &str, method: &str) -> Error {
        let may_have_run = false;
        match &self.phase {
            Phase::Failed(failed) => failed.explain(plugin, method),
            Phase::Running(instance) => instance.lost(method, may_have_run, Some(Instant::now())),
            Phase::Down(report) => {
                let report = Arc::clone(report);
                Error::Died { plugin: plugin.into(), method: method.into(), may_have_run, report }
            }
            Phase::Starting | Phase::Resting | Phase::Idle => {
                Error::Stopped { plugin: plugin.into(), method: method.into(), may_have_run }
            }
        }
    }
}

/// Where the plugin is between two runs.
pub(super) enum Phase {
    /// It runs, or its death has not been noticed yet.
    Running(Arc<Instance>),
    /// A thread is starting it.
    Starting,
    /// It is being stopped since nobody calls it.
    Resting,
    /// It has been.
    Idle,
    /// Its process has ended.
    Down(Arc<ExitReport>),
    /// It could not be started again, or not be stopped.
    Failed(Failed),
}

/// What has failed between two runs.
#[derive(Clone)]
pub(super) enum Failed {
    Start(Error),
    /// What `on_start` called and met is not what those met who wait for it.
    OnStart(Error),
    Stop(Error),
}

impl Failed {
    /// What to tell a call of `method`, which has not been made.
    pub(super) fn explain(&self, plugin: &str, method: &str) -> Error {
        match self {
            Self::Start(error) | Self::Stop(error) => error.clone(),
            Self::OnStart(error) => {
                Error::OnStart { plugin: plugin.into(), method: method.into(), why: Arc::new(error.clone()) }
            }
        }
    }
}

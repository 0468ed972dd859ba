//! Stopping a plugin that nobody calls, so that the next call starts it again.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    events::Event,
    instance::Instance,
    phase::{Failed, Phase},
    supervisor::Supervisor,
};
use crate::{connection::lock, deadline, timer};

/// How long to leave a plugin alone that is in use.
const SHORTEST: Duration = Duration::from_millis(10);

impl Supervisor {
    /// Sees to it that `instance`, which is now let through, is stopped when it is idle, where it is to be.
    pub(super) fn watch_usage(self: &Arc<Self>, instance: &Arc<Instance>) {
        let Some(limit) = self.settings.idle_timeout else { return };
        let (supervisor, instance) = (Arc::downgrade(self), Arc::downgrade(instance));
        let look = move || supervisor.upgrade()?.rest_if_idle(&instance.upgrade()?, limit);
        if let Err(error) = timer::at(deadline::after(Instant::now(), limit), Box::new(look)) {
            tracing::warn!(plugin = &*self.name, %error, "the plugin will not be stopped when it is idle");
        }
    }

    /// Begins to stop `run` if it is still the present one and has been idle for `limit`; else gives when to look again.
    fn rest_if_idle(self: &Arc<Self>, run: &Arc<Instance>, limit: Duration) -> Option<Instant> {
        let now = Instant::now();
        // Calls begin with the state locked, so none begins between the look and the change of phase.
        let mut state = lock(&self.state);
        let Phase::Running(instance) = &state.phase else { return None };
        if !Arc::ptr_eq(instance, run) || !run.is_usable() || state.is_stopped {
            return None;
        }
        let Some(idle_since) = run.idle_since().filter(|_| state.waiting == 0) else {
            return Some(deadline::after(now, limit.max(SHORTEST)));
        };
        let due = deadline::after(idle_since, limit);
        if due > now {
            return Some(due);
        }
        let (supervisor, run) = (Arc::clone(self), Arc::clone(run));
        let stopping = thread::Builder::new().name("plugin-core stop".into()).spawn(move || supervisor.rest(&run));
        if let Err(error) = stopping {
            tracing::warn!(plugin = &*self.name, %error, "the plugin is idle and could not be stopped");
            return Some(deadline::after(now, limit));
        }
        state.phase = Phase::Resting;
        None
    }

    /// Stops `run`, then lets the next call start another.
    fn rest(&self, run: &Instance) {
        let outcome = run.stop();
        let mut state = lock(&self.state);
        state.history.ran_for(run.began.elapsed());
        state.phase = match outcome {
            Ok(report) => {
                // Nothing is told behind `Stopped`.
                if !state.is_stopped {
                    self.events.tell(&Event::Idle(Arc::new(report)));
                }
                Phase::Idle
            }
            Err(error) => {
                tracing::warn!(%error, "an idle plugin could not be stopped");
                Phase::Failed(Failed::Stop(error))
            }
        };
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::Connection,
        host::{Lease, Restart, handler::HostHandler, instance::Body, launcher::Settings, life::Life, usage::Usage},
        protocol::frame::Deframer,
        transport::memory,
    };

    /// A run that is let through, which only the test finds idle; the plugin's end of the link must stay.
    fn running() -> (Arc<Supervisor>, Arc<Instance>, impl Sized) {
        let settings = Settings { idle_timeout: Some(Duration::from_secs(3600)), ..Settings::default() };
        let name: Arc<str> = "test".into();
        let supervisor = Supervisor::new(Arc::clone(&name), settings, None, Restart::Never, None);
        let life = Arc::<Life>::default();
        let weak = Arc::downgrade(&supervisor);
        let handler = HostHandler::new(Arc::clone(&name), Arc::clone(&life), Duration::ZERO, weak, None);
        let (link, plugin) = memory::pair();
        let connection =
            Connection::start(Box::new(link), Deframer::new(), Arc::new(handler), Settings::default().connection())
                .unwrap();
        let (interfaces, usage, body, began) = (Vec::new(), Usage::default(), Body::Attached, Instant::now());
        let run = Arc::new(Instance { name, settings, connection, interfaces, life, usage, body, began });
        supervisor.let_through(&run).unwrap();
        (supervisor, run, plugin)
    }

    #[test]
    fn it_is_idle_where_no_call_is_in_flight_and_none_waits() {
        let (supervisor, run, _plugin) = running();
        let look = || supervisor.rest_if_idle(&run, Duration::ZERO);
        let lease = Lease::new(&run);
        assert!(look().is_some(), "a call is in flight");
        lock(&supervisor.state).waiting = 1;
        drop(lease);
        assert!(look().is_some(), "a call waits, and has not seen yet that it may go on");
        lock(&supervisor.state).waiting = 0;
        let hour = Duration::from_secs(3600);
        assert!(supervisor.rest_if_idle(&run, hour).is_some_and(|due| due > Instant::now() + hour / 2), "not yet");
        assert!(look().is_none());
        assert!(!matches!(lock(&supervisor.state).phase, Phase::Running(_)));
    }
}

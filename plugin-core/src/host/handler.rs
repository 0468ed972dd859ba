//! What a host does with what a plugin starts, and when the connection is cut.

use std::{
    sync::{Arc, Mutex, Weak},
    thread,
    time::{Duration, Instant},
};

use super::{Event, life::Life, supervisor::Supervisor};
use crate::{
    connection::{Cause, Connection, End, Handler, lock},
    deadline,
    protocol::message::{Failure, FailureKind, Message},
};

/// A cut that lasts shorter and ends with the process's death is told as a crash alone.
const DEATH_LIMIT: Duration = Duration::from_millis(100);

/// The host's end of one run of a plugin.
pub(super) struct HostHandler {
    plugin: Arc<str>,
    life: Arc<Life>,
    resume_timeout: Duration,
    events: Arc<CutEvents>,
}

impl HostHandler {
    pub(super) fn new(
        plugin: Arc<str>,
        life: Arc<Life>,
        resume_timeout: Duration,
        supervisor: Weak<Supervisor>,
    ) -> Self {
        Self { plugin, life, resume_timeout, events: Arc::new(CutEvents { supervisor, cut: Mutex::default() }) }
    }
}

impl Handler for HostHandler {
    fn request(&self, connection: &Arc<Connection>, request: Message) {
        let failure = Failure::new(FailureKind::UnknownMethod, "this host serves nothing to plugins");
        connection.refuse(request.call, &failure);
    }

    /// Waits for the plugin to dial again, on a thread of its own. If its process has ended, whoever waits for that closes
    /// the connection.
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        if self.life.is_stopping() || self.life.report().is_some() || self.resume_timeout.is_zero() {
            return connection.close_if_lost(Cause::Lost(reason));
        }
        self.events.cut();
        let (lost, events, limit) = (Arc::clone(connection), Arc::clone(&self.events), self.resume_timeout);
        let plugin = Arc::clone(&self.plugin);
        let spawned = thread::Builder::new().name("plugin-core resume".into()).spawn(move || {
            let began = Instant::now();
            tracing::debug!(plugin = &*plugin, reason, "connection cut");
            if lost.wait_linked(began + limit.min(DEATH_LIMIT)) {
                return;
            }
            events.lasts();
            if !lost.wait_linked(deadline::after(began, limit)) {
                lost.close_if_lost(Cause::Lost(format!("{reason}, and the plugin did not come back within {limit:?}")));
            }
        });
        if let Err(error) = spawned {
            connection.close(Cause::Lost(format!("no thread could be started to wait for the plugin: {error}")));
        }
    }

    fn resumed(&self) {
        self.events.resumed();
    }

    fn closed(&self, _end: &End) {}
}

/// Tells of cuts, each as `Disconnected` and then `Resumed`, or, where the process has died, not at all.
struct CutEvents {
    supervisor: Weak<Supervisor>,
    cut: Mutex<Cut>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    No,
    /// `Disconnected` has not been told.
    Untold,
    Told,
}

impl CutEvents {
    fn cut(&self) {
        *lock(&self.cut) = Cut::Untold;
    }

    fn lasts(&self) {
        let mut cut = lock(&self.cut);
        if *cut == Cut::Untold {
            self.tell(&Event::Disconnected);
            *cut = Cut::Told;
        }
    }

    fn resumed(&self) {
        let was = std::mem::take(&mut *lock(&self.cut));
        if was == Cut::Untold {
            self.tell(&Event::Disconnected);
        }
        if was != Cut::No {
            self.tell(&Event::Resumed);
        }
    }

    fn tell(&self, event: &Event) {
        if let Some(supervisor) = self.supervisor.upgrade() {
            supervisor.events.tell(event);
        }
    }
}

//! What a host does with what a plugin starts, and when the connection is cut.

#[cfg(unix)]
use std::io;
use std::{
    any::Any,
    sync::{Arc, Mutex, OnceLock, Weak},
    thread,
    time::{Duration, Instant},
};

#[cfg(all(unix, feature = "tokio"))]
use super::driver::Drivers;
#[cfg(unix)]
use super::watch::Sight;
use super::{Event, attach::Address, life::Life, rendezvous::Rendezvous, supervisor::Supervisor};
use crate::{
    connection::{Cause, Connection, Cut, End, Export, Handler, lock},
    protocol::{
        message::{Failure, FailureKind, Message},
        metadata::FIRST_OBJECT,
    },
    server::Service,
    timer,
};

/// A cut that lasts shorter and ends with the process's death is told as a crash alone.
const DEATH_LIMIT: Duration = Duration::from_millis(100);

/// How often to look, while a plugin does not come back, whether it still finds the socket.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The host's end of one run of a plugin.
pub(super) struct HostHandler {
    plugin: Arc<str>,
    life: Arc<Life>,
    resume_timeout: Duration,
    /// `None` where there is none.
    way_back: Option<WayBack>,
    events: Arc<CutEvents>,
    /// Answers for the objects that the plugin holds, from when it is first needed.
    service: OnceLock<Arc<Service>>,
    #[cfg(unix)]
    sight: Arc<Sight>,
    #[cfg(all(unix, feature = "tokio"))]
    drivers: Arc<Drivers>,
}

/// How a cut connection is made again.
#[derive(Clone)]
pub(super) enum WayBack {
    /// The plugin dials, and needs a socket to dial.
    PluginDials(Weak<Rendezvous>),
    /// This host dials.
    HostDials(Arc<Address>),
}

impl HostHandler {
    pub(super) fn new(
        plugin: Arc<str>,
        life: Arc<Life>,
        resume_timeout: Duration,
        supervisor: Weak<Supervisor>,
        way_back: Option<WayBack>,
    ) -> Self {
        Self {
            plugin,
            life,
            resume_timeout,
            way_back,
            events: Arc::new(CutEvents { supervisor, cut: Mutex::default() }),
            service: OnceLock::new(),
            #[cfg(unix)]
            sight: Arc::default(),
            #[cfg(all(unix, feature = "tokio"))]
            drivers: Arc::default(),
        }
    }

    fn service(&self) -> &Arc<Service> {
        self.service.get_or_init(|| Service::to_plugin(Arc::clone(&self.plugin)))
    }
}

impl Handler for HostHandler {
    #[cfg(unix)]
    fn reads(&self) -> bool {
        true
    }

    #[cfg(unix)]
    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        self.sight.watch(connection)
    }

    #[cfg(unix)]
    fn unread(&self, _connection: &Arc<Connection>) {
        self.sight.unread();
    }

    #[cfg(unix)]
    fn stalled(&self, _connection: &Arc<Connection>) {
        self.sight.stalled();
    }

    #[cfg(unix)]
    fn awaited(&self, connection: &Arc<Connection>) {
        #[cfg(feature = "tokio")]
        if self.drivers.drive(connection) {
            return;
        }
        let _ = connection;
        self.sight.awaited();
    }

    #[cfg(all(unix, feature = "tokio"))]
    fn could_drive(&self) -> bool {
        tokio::runtime::Handle::try_current().is_ok()
    }

    #[cfg(all(unix, feature = "tokio"))]
    fn driver_stands_still(&self, is_alone: bool) -> bool {
        self.drivers.stand_still(is_alone)
    }

    #[cfg(unix)]
    fn neglected(&self, _connection: &Arc<Connection>) {
        // Beside the driver, if there is one: its runtime may not be running.
        self.sight.awaited();
    }

    #[cfg(all(unix, feature = "tokio"))]
    fn untasked(&self, _connection: &Arc<Connection>) {
        self.drivers.end();
    }

    fn look_at(&self, connection: &Arc<Connection>, when: Instant) -> bool {
        timer::look_after_tasks(connection, when)
    }

    fn unresponsive(&self) {
        tracing::warn!(plugin = &*self.plugin, "plugin gives no sign of life");
        self.events.tell(&Event::Unresponsive);
    }

    fn responsive(&self) {
        self.events.tell(&Event::Responsive);
    }

    fn request(&self, connection: &Arc<Connection>, request: Message) {
        if request.target < FIRST_OBJECT {
            return refuse(connection, &request);
        }
        self.service().request_elsewhere(connection, request);
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        if request.target < FIRST_OBJECT {
            return refuse(connection, &request);
        }
        self.service().nested(connection, request);
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        if call.target < FIRST_OBJECT {
            tracing::debug!(
                plugin = &*self.plugin,
                target = call.target,
                "a oneway call of what this host does not serve"
            );
            // The thread that reads writes what that gives to write.
            let _ = connection.oneway_finished();
            return;
        }
        self.service().oneway(connection, call);
    }

    fn cancel(&self, call: u32) {
        if let Some(service) = self.service.get() {
            service.cancel(call);
        }
    }

    fn discard(&self, exports: Vec<Arc<dyn Export>>) {
        self.service().discard(exports);
    }

    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.service().run(job);
    }

    fn peer(&self) -> Arc<str> {
        Arc::clone(&self.plugin)
    }

    fn keeper(&self, connection: &Arc<Connection>) -> Option<Arc<dyn Any + Send + Sync>> {
        let keeper = self.events.supervisor.upgrade()?.keeper(connection)?;
        Some(Arc::new(keeper))
    }

    /// Waits for the plugin to dial again, or dials, on a thread of its own. If the process has ended, whoever waits for that
    /// closes the connection.
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        #[cfg(unix)]
        self.sight.changed();
        let is_over = self.life.is_stopping() || self.life.report().is_some() || self.resume_timeout.is_zero();
        let Some(way_back) = self.way_back.clone().filter(|_| !is_over) else {
            return connection.close_if_lost(Cause::Lost(reason));
        };
        let cut = connection.cut(reason, self.resume_timeout);
        let (lost, events, plugin) = (Arc::clone(connection), Arc::clone(&self.events), Arc::clone(&self.plugin));
        let spawned = thread::Builder::new().name("plugin-core resume".into()).spawn(move || {
            tracing::debug!(plugin = &*plugin, ?cut, "connection cut");
            match way_back {
                WayBack::PluginDials(door) => wait_for_plugin(&lost, &cut, &events, &door),
                WayBack::HostDials(address) => {
                    events.lasts();
                    address.dial_again(&lost, &cut);
                }
            }
        });
        if let Err(error) = spawned {
            connection.close(Cause::Lost(format!("no thread could be started to find the plugin again: {error}")));
        }
    }

    fn unlinked(&self) {
        self.events.cut();
    }

    fn resumed(&self) {
        self.events.resumed();
    }

    fn closed(&self, _end: &End) {
        #[cfg(unix)]
        self.sight.changed();
        if let Some(service) = self.service.get() {
            service.abandon();
        }
    }
}

/// A plugin may call what this host has given it, and nothing else.
fn refuse(connection: &Arc<Connection>, request: &Message) {
    let failure =
        Failure::new(FailureKind::UnknownMethod, "this host serves nothing to plugins but objects it has sent them");
    connection.refuse(request.call, &failure);
}

/// Waits for the plugin to come back, and keeps it possible.
fn wait_for_plugin(lost: &Connection, cut: &Cut, events: &CutEvents, door: &Weak<Rendezvous>) {
    let mut pause = DEATH_LIMIT;
    loop {
        let trouble = door.upgrade().and_then(|door| door.restore().err());
        if lost.wait_resumed(cut, pause) {
            return;
        }
        events.lasts();
        if Instant::now() >= cut.deadline {
            let why = trouble.map_or_else(String::new, |error| format!(", since its socket was removed: {error}"));
            return lost.give_up(cut, &format!("the plugin did not come back within {:?}{why}", cut.limit));
        }
        pause = LOOK_INTERVAL;
    }
}

/// Tells of cuts, each as `Disconnected` and then `Resumed`, or, where the process has died, not at all.
struct CutEvents {
    supervisor: Weak<Supervisor>,
    cut: Mutex<CutState>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum CutState {
    #[default]
    No,
    /// `Disconnected` has not been told.
    Untold,
    Told,
}

impl CutEvents {
    fn cut(&self) {
        *lock(&self.cut) = CutState::Untold;
    }

    fn lasts(&self) {
        let mut cut = lock(&self.cut);
        if *cut == CutState::Untold {
            self.tell(&Event::Disconnected);
            *cut = CutState::Told;
        }
    }

    fn resumed(&self) {
        let was = std::mem::take(&mut *lock(&self.cut));
        if was == CutState::Untold {
            self.tell(&Event::Disconnected);
        }
        if was != CutState::No {
            self.tell(&Event::Resumed);
        }
    }

    fn tell(&self, event: &Event) {
        if let Some(supervisor) = self.supervisor.upgrade() {
            supervisor.events.tell(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::{Restart, launcher::Settings},
        protocol::frame::Deframer,
        transport::memory,
    };

    #[test]
    fn a_cut_is_told_also_where_the_plugin_comes_back_before_anybody_here_has_noticed() {
        let (name, settings, life) = (Arc::<str>::from("test"), Settings::default(), Arc::<Life>::default());
        let supervisor = Supervisor::new(Arc::clone(&name), settings, None, Restart::Never, None);
        let events = supervisor.events.subscribe();
        let handler = HostHandler::new(name, life, Duration::from_secs(20), Arc::downgrade(&supervisor), None);
        let ((first, _first), (second, _second)) = (memory::pair(), memory::pair());
        let connection =
            Connection::start(Box::new(first), Deframer::new(), Arc::new(handler), settings.connection()).unwrap();
        let resumption = connection.begin_resume();
        connection.resume(resumption, Box::new(second), Deframer::new(), 0).unwrap();
        let told = [(); 2].map(|()| events.next_within(Duration::from_secs(20)));
        assert!(matches!(told, [Some(Event::Disconnected), Some(Event::Resumed)]), "{told:?}");
        assert!(events.next_within(Duration::ZERO).is_none());
    }
}

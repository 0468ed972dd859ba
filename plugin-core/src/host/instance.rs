//! One run of a plugin: its connection, what it said of itself, and what is behind it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{child::Child, launcher::Settings, life::Life, rendezvous::Registration, usage::Usage};
use crate::{
    Error, ExitReport, Result,
    connection::{Cause, Connection, End},
    deadline,
    interface::Descriptor,
    protocol::message::InterfaceEntry,
    server::Service,
};

/// How long to wait for the exit status of a process whose connection has ended.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How long a killed process may take to be gone. Only one stuck inside the kernel takes longer than moments.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How long an attached or in-process plugin may take to let go.
const DETACH_LIMIT: Duration = Duration::from_millis(500);

/// One run of a plugin.
pub(crate) struct Instance {
    pub(super) name: Arc<str>,
    pub(super) settings: Settings,
    pub(crate) connection: Arc<Connection>,
    /// What it serves; an interface's place is its target number.
    pub(super) interfaces: Vec<InterfaceEntry>,
    pub(super) life: Arc<Life>,
    pub(super) usage: Usage,
    pub(super) body: Body,
    pub(super) began: Instant,
}

/// What is behind the connection.
pub(super) enum Body {
    /// A child process. It keeps the place open where it dials in.
    Child { child: Arc<Child>, _registration: Registration },
    /// A process that somebody else started, and that is nobody's to kill.
    Attached,
    /// A value in this process.
    InProcess(Arc<Service>),
}

impl Instance {
    /// Where in the greeting the interface is, and what it was said to have.
    pub(crate) fn find(&self, descriptor: &Descriptor) -> Result<(u32, &InterfaceEntry)> {
        let found = (0..).zip(&self.interfaces).find(|(_, interface)| interface.name == descriptor.name);
        found.ok_or_else(|| Error::MissingInterface {
            plugin: self.name.to_string(),
            interface: descriptor.name.into(),
            offered: self.interfaces.iter().map(|interface| interface.name.clone()).collect(),
        })
    }

    /// Whether this host is stopping it.
    pub(crate) fn is_stopping(&self) -> bool {
        self.life.is_stopping()
    }

    /// Whether it is gone although this host neither stopped it nor had to hang up.
    pub(crate) fn is_lost(&self) -> bool {
        let is_lost = matches!(self.connection.end(), Some(End { cause: Cause::Lost(_), .. }));
        is_lost && !self.life.is_stopping()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match &self.body {
            Body::Child { child, .. } => Some(child.pid()),
            Body::Attached | Body::InProcess(_) => None,
        }
    }

    /// Whether it can be called, now or once its cut connection is resumed.
    pub(super) fn is_usable(&self) -> bool {
        !self.connection.has_ended() && !self.life.is_ending()
    }

    /// Why a call failed whose connection has ended. Waits for the exit status, but not past `deadline`.
    pub(crate) fn lost(&self, method: &str, may_have_run: bool, deadline: Option<Instant>) -> Error {
        let (plugin, method) = (self.name.to_string(), method.to_owned());
        if self.life.is_stopping() {
            return Error::Stopped { plugin, method, may_have_run };
        }
        let end = self.connection.end();
        if let Some(End { cause: Cause::Violation(violation), .. }) = end {
            return Error::Protocol { plugin, method, may_have_run, violation: violation.to_string() };
        }
        if let Body::Child { .. } = self.body {
            if let Some(report) = self.life.wait_end(self.exit_limit(deadline)) {
                return Error::Died { plugin, method, may_have_run, report };
            }
        }
        let reason = end.map_or_else(String::new, |end| end.cause.to_string());
        Error::Disconnected { plugin, method, may_have_run, reason }
    }

    /// Until when to wait for the exit status, which mostly comes moments after the connection's end. A process that lives on
    /// is not waited for again.
    pub(super) fn exit_limit(&self, deadline: Option<Instant>) -> Instant {
        let limit = match self.connection.end() {
            Some(End { cause: Cause::Violation(_), .. }) | None => Instant::now(),
            Some(end) => end.at + EXIT_LIMIT,
        };
        deadline.map_or(limit, |deadline| deadline.min(limit))
    }

    /// Stops it gracefully, and waits for its end.
    pub(super) fn stop(&self) -> Result<ExitReport> {
        let is_first = self.life.begin_stop();
        let Body::Child { child, .. } = &self.body else { return Ok(self.detach()) };
        if is_first {
            self.connection.say_goodbye();
        }
        let began = Instant::now();
        for (limit, next) in [
            (self.settings.stop_timeout / 2, Child::terminate as fn(&Child)),
            (self.settings.stop_timeout, Child::kill),
        ] {
            if let Some(report) = self.life.wait_end(deadline::after(began, limit)) {
                return Ok((*report).clone());
            }
            next(child);
        }
        self.wait_killed(child)
    }

    /// Ends it at once, and waits for its end.
    pub(super) fn kill(&self) -> Result<ExitReport> {
        self.life.begin_stop();
        self.end()
    }

    /// Ends it at once, not because this host wants it stopped, but because it is of no use any more.
    pub(super) fn end(&self) -> Result<ExitReport> {
        let Body::Child { child, .. } = &self.body else { return Ok(self.detach()) };
        child.kill();
        self.wait_killed(child)
    }

    fn wait_killed(&self, child: &Child) -> Result<ExitReport> {
        let report = self.life.wait_end(Instant::now() + KILL_LIMIT);
        let unkillable = || Error::Unkillable { plugin: self.name.to_string(), pid: child.pid(), after: KILL_LIMIT };
        report.map(|report| (*report).clone()).ok_or_else(unkillable)
    }

    fn detach(&self) -> ExitReport {
        self.connection.say_goodbye();
        if let Body::InProcess(service) = &self.body {
            service.wait_goodbye(DETACH_LIMIT); // All that was sent before it has arrived then.
            service.finish(DETACH_LIMIT);
        }
        self.connection.flush(DETACH_LIMIT);
        self.connection.close(Cause::Local("this host has let go of the plugin"));
        self.life.end(Arc::default());
        ExitReport::default()
    }
}

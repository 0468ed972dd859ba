//! Starting a plugin: spawn it, wait for it to dial in while watching it, greet it.

use std::{
    io,
    path::Path,
    process::Command,
    sync::{
        Arc, OnceLock, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use super::{
    Output, OutputStream, Wait,
    child::{self, Child, Started},
    diagnose,
    drain::Drains,
    ends,
    guests::{Arrival, Introduced},
    handler::{HostHandler, WayBack},
    instance::{Body, Instance, KILL_LIMIT},
    launcher::Settings,
    life::Life,
    rendezvous::{self, Rendezvous, Ticket},
    supervisor::Supervisor,
    usage::Usage,
};
use crate::{
    Error, ExitReport, Result, StartStage,
    connection::{Cause, Connection, greeting},
    deadline, environment,
    protocol::{
        VERSIONS,
        frame::Kind,
        handshake,
        message::{Hello, Welcome},
    },
    transport::local::LocalLink,
};

/// How long after a process's end its last output and its last answers may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What is needed to start a plugin, as often as that may be.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) command: Command,
    pub(super) output: Output,
}

impl Launch {
    /// Starts the plugin once.
    pub(super) fn start(&mut self, supervisor: &Arc<Supervisor>) -> Result<Arc<Instance>> {
        let (name, command) = (&supervisor.name, &mut self.command);
        let rendezvous = Rendezvous::get()?;
        let (sender, arrivals) = channel();
        let ticket = rendezvous.expect(sender.clone())?;
        command
            .env(environment::SOCKET, rendezvous.address())
            .env(environment::TOKEN, ticket.token())
            .env_remove(environment::LISTEN);
        if deadline::is_suspended() {
            // Also where the plugin is given an environment of its own: one side's patience is of no use.
            command.env(environment::DEBUG, "1");
        }

        let started = child::start(command).map_err(|error| diagnose::spawn_error(command, error))?;
        let drains = Drains::new(Arc::clone(name), &self.output);
        let watched = watch(started, drains, sender, Arc::downgrade(supervisor))
            .map_err(|error| Error::Spawn { program: name.to_string(), source: Arc::new(error) })?;
        let starting = Starting { name: Arc::clone(name), settings: supervisor.settings, watched, is_done: false };

        let introduced = starting.wait_for_greeting(&arrivals, &ticket, command)?;
        starting.welcome(*introduced, &ticket, command, Arc::downgrade(supervisor))
    }
}

/// The program's file name without extension.
pub(super) fn program_name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_stem().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// A process whose end is waited for.
struct Watched {
    child: Arc<Child>,
    life: Arc<Life>,
    /// Set once there is one, so that whoever waits can close it.
    connection: Arc<OnceLock<Arc<Connection>>>,
}

/// Has the process's output read and its end waited for.
fn watch(
    started: Started,
    drains: Drains,
    arrivals: Sender<Arrival>,
    supervisor: Weak<Supervisor>,
) -> io::Result<Watched> {
    let Started { child, stdout, stderr } = started;
    let child = Arc::new(child);
    let watched = Watched { child: Arc::clone(&child), life: Arc::default(), connection: Arc::default() };
    let (life, connection) = (Arc::clone(&watched.life), Arc::clone(&watched.connection));
    let reading = stdout
        .map_or(Ok(()), |pipe| drains.drain(OutputStream::Stdout, pipe))
        .and_then(|()| stderr.map_or(Ok(()), |pipe| drains.drain(OutputStream::Stderr, pipe)));
    let waiting = reading.and_then(|()| {
        ends::when_ended(child.pid(), move || {
            let status = child.wait().inspect_err(|error| tracing::warn!(%error, "could not wait for a plugin")).ok();
            drains.finish(LAST_WORDS);
            let report = Arc::new(ExitReport::new(status, drains.tail()));
            if let Some(connection) = connection.get() {
                // Its last answers may still lie in the socket: the link ends by itself when they have been read.
                connection.wait_lost(Instant::now() + LAST_WORDS);
                connection.close(Cause::Lost("its process ended".into()));
            }
            life.end(Arc::clone(&report));
            // Again, for one that was set meanwhile: whoever set it looks at the report after that.
            if let Some(connection) = connection.get() {
                connection.close(Cause::Lost("its process ended".into()));
            }
            if let Some(supervisor) = supervisor.upgrade() {
                supervisor.process_ended(child.pid(), &report);
            }
            // Whoever started it may be long content.
            let _ = arrivals.send(Arrival::Exited(report));
        })
    });
    if let Err(error) = waiting {
        // Nobody will wait for it, so it is ended and reaped here.
        watched.child.kill();
        let _ = watched.child.wait();
        return Err(error);
    }
    Ok(watched)
}

/// A process that has not become a plugin yet. Dropped before it has, it is killed and reaped.
struct Starting {
    name: Arc<str>,
    settings: Settings,
    watched: Watched,
    is_done: bool,
}

impl Starting {
    fn wait_for_greeting(
        &self,
        arrivals: &Receiver<Arrival>,
        ticket: &Ticket,
        command: &Command,
    ) -> Result<Box<Introduced>> {
        let now = Instant::now();
        match arrivals.recv_timeout(deadline::after(now, self.settings.start_timeout) - now) {
            Ok(Arrival::Introduced(introduced)) => Ok(introduced),
            Ok(Arrival::Incompatible(theirs)) => {
                Err(Error::IncompatibleProtocol { plugin: self.name.to_string(), ours: VERSIONS.to_vec(), theirs })
            }
            Ok(Arrival::Exited(report)) => Err(self.exited(command, report)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(self.timed_out(ticket.stage(self.watched.child.pid())))
            }
        }
    }

    fn exited(&self, command: &Command, report: Arc<ExitReport>) -> Error {
        let plugin = self.name.to_string();
        match report.status() {
            Some(status) if status.success() => Error::NotAPlugin { plugin, report },
            // A shell that was given it to run fails over it in its own words, with one of these.
            Some(status) if matches!(status.code(), Some(2 | 126 | 127)) => {
                diagnose::machine_error(command).unwrap_or(Error::ExitedAtStart { plugin, report })
            }
            _ => Error::ExitedAtStart { plugin, report },
        }
    }

    fn timed_out(&self, stage: StartStage) -> Error {
        let report = self.kill();
        Error::StartTimeout { plugin: self.name.to_string(), after: self.settings.start_timeout, stage, report }
    }

    /// Kills the process and waits until it is reaped.
    fn kill(&self) -> Arc<ExitReport> {
        self.watched.life.begin_stop();
        self.watched.child.kill();
        self.watched.life.wait_end(Instant::now() + KILL_LIMIT).unwrap_or_default()
    }

    /// Lets the plugin in.
    fn welcome(
        mut self,
        introduced: Introduced,
        ticket: &Ticket,
        command: &Command,
        supervisor: Weak<Supervisor>,
    ) -> Result<Arc<Instance>> {
        let Introduced { link, deframer, hello } = introduced;
        let deadline = deadline::after(Instant::now(), self.settings.start_timeout);
        let welcome = welcome(&hello, &self.name, &self.settings)?;
        let connection = self.open_connection(ticket, supervisor);
        // Before the plugin hears its session's name, so that it can resume as soon as it knows how.
        let registration = ticket.register(&connection, welcome.clone());
        let first = connection.begin_resume();
        if let Err(error) = greet(&link, &welcome, deadline) {
            connection.close(Cause::Local("the plugin could not be greeted"));
            // Mostly since it has just died: that tells more.
            let report = self.watched.life.wait_end(Instant::now() + LAST_WORDS);
            return Err(report.map_or(error, |report| self.exited(command, report)));
        }
        if let Err(error) = connection.resume(first, Box::new(link), deframer, 0) {
            connection.close(Cause::Local("no thread could be started"));
            return Err(Error::Spawn { program: self.name.to_string(), source: Arc::new(io::Error::other(error)) });
        }
        if self.watched.life.report().is_some() {
            connection.close(Cause::Lost("its process ended".into()));
        }
        self.is_done = true;
        let body = Body::Child { child: Arc::clone(&self.watched.child), _registration: registration };
        Ok(Arc::new(Instance {
            name: Arc::clone(&self.name),
            settings: self.settings,
            connection,
            interfaces: hello.interfaces,
            life: Arc::clone(&self.watched.life),
            usage: Usage::default(),
            body,
            began: Instant::now(),
        }))
    }

    /// The host's end of the session, which has no link yet.
    fn open_connection(&self, ticket: &Ticket, supervisor: Weak<Supervisor>) -> Arc<Connection> {
        let (name, life) = (Arc::clone(&self.name), Arc::clone(&self.watched.life));
        let way_back = Some(WayBack::PluginDials(ticket.door()));
        let handler = HostHandler::new(name, life, self.settings.resume_timeout, supervisor, way_back);
        let connection = Connection::open(Arc::new(handler), self.settings.connection());
        // Set once, here; whoever waits for the end may have looked already.
        let _ = self.watched.connection.set(Arc::clone(&connection));
        connection
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.is_done {
            self.kill();
        }
    }
}

/// What to answer a plugin's introduction with.
pub(super) fn welcome(hello: &Hello, name: &str, settings: &Settings) -> Result<Welcome> {
    let Some(protocol) = handshake::choose_version(&hello.protocols) else {
        let (ours, theirs) = (VERSIONS.to_vec(), hello.protocols.clone());
        return Err(Error::IncompatibleProtocol { plugin: name.into(), ours, theirs });
    };
    Ok(Welcome {
        protocol,
        session: rendezvous::token()?,
        resume_timeout: u64::try_from(settings.resume_timeout.as_millis()).unwrap_or(u64::MAX),
        name: name.into(),
        features: handshake::common_features(&hello.features),
        max_message: settings.max_message as u64,
        blocks: settings.wait == Wait::Block,
        ..Welcome::default()
    })
}

/// Answers a plugin's introduction.
pub(super) fn greet(link: &LocalLink, welcome: &Welcome, deadline: Instant) -> Result<()> {
    greeting::send(link, Kind::Welcome, welcome, deadline).map_err(|error| Error::Disconnected {
        plugin: welcome.name.clone(),
        method: "the greeting".into(),
        may_have_run: false,
        reason: error.to_string(),
    })
}

//! A running plugin.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Plugin, child::Child, launcher::Settings, life::Life, rendezvous::Registration};
use crate::{
    Error, ExitReport, Interface, Result,
    client::Client,
    connection::{CallFailure, Cause, Connection, End},
    deadline,
    interface::{Descriptor, Method, Timeout},
    protocol::{
        frame::Kind,
        message::{InterfaceEntry, Message},
    },
    server::Service,
};

/// How long to wait for the exit status of a process whose connection has ended.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// A running plugin: its process, and the connection with it.
///
/// Cheap to clone. Dropping the last handle, [`Plugin`]s included, stops the plugin gracefully in the background; to wait
/// for that, call [`shutdown`](Self::shutdown). After `shutdown` or [`kill`](Self::kill), calls fail with
/// [`Error::Stopped`].
///
/// ```
/// # #[plugin_core::plugin_interface]
/// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
/// # struct Exact;
/// # impl Adder for Exact {
/// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
/// # }
/// use plugin_core::{Plugin, State};
///
/// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
/// let process = Plugin::process(&adder);
/// assert_eq!(process.state(), State::Running);
/// process.shutdown()?;
/// assert_eq!(process.state(), State::Ended);
/// assert!(matches!(adder.add(1, 2), Err(plugin_core::Error::Stopped { .. })));
/// # Ok::<(), plugin_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Process {
    handle: Arc<Handle>,
}

/// What all handles to one plugin share; its drop stops the plugin.
pub(crate) struct Handle {
    shared: Arc<Shared>,
}

/// A plugin as this host knows it.
pub(super) struct Shared {
    name: Arc<str>,
    settings: Settings,
    connection: Arc<Connection>,
    /// What it serves; an interface's place is its target number.
    interfaces: Vec<InterfaceEntry>,
    life: Arc<Life>,
    body: Body,
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

/// Whether a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It can be called.
    Running,
    /// This host is stopping it.
    Stopping,
    /// It has ended, by itself or not; an attached one has been detached or lost.
    Ended,
}

/// What a plugin said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The plugin's name, as this host calls it.
    pub name: String,
    /// The interfaces it serves.
    pub interfaces: Vec<InterfaceInfo>,
}

/// An interface that a plugin serves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceInfo {
    /// Its name, by default the trait's.
    pub name: String,
    /// Its semantic version, if the trait gave it one.
    pub version: Option<String>,
    /// The names of the methods that the plugin has.
    pub methods: Vec<String>,
}

impl Process {
    pub(super) fn new(shared: Shared) -> Self {
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    /// A typed handle to interface `I` of this plugin.
    ///
    /// One process can serve several interfaces. No message is exchanged: the plugin said what it has when it started.
    ///
    /// ```no_run
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// let process = plugin_core::Launcher::new("target/debug/calculator").spawn()?;
    /// let adder = process.interface::<dyn Adder>()?;
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingInterface`] if it does not serve `I`, [`Error::IncompatibleInterface`] if both sides give the
    /// interface a version and the two are not semver-compatible, [`Error::MissingMethods`] if it lacks a method that has
    /// no default body.
    pub fn interface<I: Interface + ?Sized + 'static>(&self) -> Result<Plugin<I>> {
        let client = Client::new(Arc::clone(&self.handle), I::DESCRIPTOR)?;
        Ok(Plugin::new(I::proxy(client), self.clone()))
    }

    /// The plugin's name, as errors and logs have it.
    ///
    /// ```no_run
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn()?;
    /// assert_eq!(process.name(), "english");
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.handle.shared.name
    }

    /// The process id; `None` for an attached or in-process plugin.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// assert_eq!(plugin_core::Plugin::process(&adder).pid(), None);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn pid(&self) -> Option<u32> {
        match &self.handle.shared.body {
            Body::Child { child, .. } => Some(child.pid()),
            Body::Attached | Body::InProcess(_) => None,
        }
    }

    /// Whether the plugin runs, as far as is known without asking it. See [`Process`] for an example.
    pub fn state(&self) -> State {
        let shared = &self.handle.shared;
        if shared.life.report().is_some() {
            State::Ended
        } else if shared.life.is_stopping() {
            State::Stopping
        } else if shared.connection.end().is_some() {
            State::Ended
        } else {
            State::Running
        }
    }

    /// What the plugin said of itself when it started.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface(version = "1.2")]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// let info = plugin_core::Plugin::process(&adder).info();
    /// assert_eq!(info.interfaces[0].name, "Adder");
    /// assert_eq!(info.interfaces[0].version.as_deref(), Some("1.2.0"));
    /// assert_eq!(info.interfaces[0].methods, AdderMethods::NAMES);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn info(&self) -> Info {
        let interfaces = self.handle.shared.interfaces.iter().cloned();
        let interfaces = interfaces
            .map(|InterfaceEntry { name, version, methods }| InterfaceInfo { name, version, methods })
            .collect();
        Info { name: self.name().into(), interfaces }
    }

    /// Whether the plugin has a method of that name, in any of its interfaces. No message is exchanged.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// let process = plugin_core::Plugin::process(&adder);
    /// assert!(process.supports(AdderMethods::ADD) && !process.supports("subtract"));
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn supports(&self, method: &str) -> bool {
        let interfaces = &self.handle.shared.interfaces;
        interfaces.iter().any(|interface| interface.methods.iter().any(|name| name == method))
    }

    /// Asks the plugin for a sign of life; gives how long it took. No method runs.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// assert!(plugin_core::Plugin::process(&adder).ping()? < std::time::Duration::from_secs(10));
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As a call: [`Error::Timeout`] within the launcher's `call_timeout` or [`within`](crate::within),
    /// [`Error::Died`], [`Error::Disconnected`], [`Error::Stopped`].
    pub fn ping(&self) -> Result<Duration> {
        let began = Instant::now();
        self.handle.call(&PING, Message::control(Kind::Ping, 0))?;
        Ok(began.elapsed())
    }

    /// Stops the plugin and waits until it has ended, at most the launcher's `stop_timeout` (and the moment that being
    /// killed takes).
    ///
    /// It is said goodbye to: running methods have 500 ms, then its values are dropped and its `main` returns. After half of
    /// the `stop_timeout` it is asked to terminate (SIGTERM), at its end killed, along with all processes that it started
    /// in its process group. Calling it again gives the same report. An attached plugin is only detached.
    ///
    /// ```no_run
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn()?;
    /// let report = process.shutdown()?;
    /// assert!(report.status().is_some_and(|status| status.success()));
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unkillable`] if the process is still there 5 s after it was killed.
    pub fn shutdown(&self) -> Result<ExitReport> {
        self.handle.shared.stop()
    }

    /// Kills the plugin, and all processes that it started in its process group, and waits until it has ended.
    ///
    /// An attached plugin is only detached.
    ///
    /// ```no_run
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn()?;
    /// assert!(!process.kill()?.status().unwrap().success());
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unkillable`] if the process is still there after 5 s.
    pub fn kill(&self) -> Result<ExitReport> {
        self.handle.shared.kill()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut process = f.debug_struct("Process");
        process.field("name", &self.name()).field("pid", &self.pid()).field("state", &self.state()).finish()
    }
}

/// A ping, described as if it were a method.
static PING: Method = Method { name: "ping", timeout: Timeout::Inherit, optional: false };

impl Handle {
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn max_message(&self) -> usize {
        self.shared.connection.max_message()
    }

    /// Where in the greeting the interface is, and what it was said to have.
    pub(crate) fn find(&self, descriptor: &Descriptor) -> Result<(u32, &InterfaceEntry)> {
        let interfaces = &self.shared.interfaces;
        let found = (0..).zip(interfaces).find(|(_, interface)| interface.name == descriptor.name);
        found.ok_or_else(|| Error::MissingInterface {
            plugin: self.name().into(),
            interface: descriptor.name.into(),
            offered: interfaces.iter().map(|interface| interface.name.clone()).collect(),
        })
    }

    /// Sends `request` and waits for its answer, as long as `method` may take.
    pub(crate) fn call(&self, method: &Method, request: Message) -> Result<Message> {
        let began = Instant::now();
        let deadline = deadline::for_call(began, method.timeout, self.shared.settings.call_timeout);
        self.shared.connection.call(request, deadline).map_err(|failure| match failure {
            CallFailure::Late { may_have_run } => Error::Timeout {
                plugin: self.name().into(),
                method: method.name.into(),
                after: deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(began)),
                may_have_run,
            },
            CallFailure::Closed { may_have_run } => self.shared.lost(method.name, may_have_run),
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.life.report().is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let stopping = thread::Builder::new().name("plugin-core stop".into()).spawn(move || {
            if let Err(error) = shared.stop() {
                tracing::warn!(%error, "a plugin could not be stopped");
            }
        });
        if let (Err(_), Body::Child { child, .. }) = (stopping, &self.shared.body) {
            child.kill(); // No thread to be gentle on.
        }
    }
}

impl Shared {
    pub(super) fn new(
        name: Arc<str>,
        settings: Settings,
        connection: Arc<Connection>,
        interfaces: Vec<InterfaceEntry>,
        life: Arc<Life>,
        body: Body,
    ) -> Self {
        Self { name, settings, connection, interfaces, life, body }
    }

    /// Why a call failed whose connection has ended.
    fn lost(&self, method: &str, may_have_run: bool) -> Error {
        let (plugin, method) = (self.name.to_string(), method.to_owned());
        if self.life.is_stopping() {
            return Error::Stopped { plugin, method, may_have_run };
        }
        let end = self.connection.end();
        if let Some(End { cause: Cause::Violation(violation), .. }) = end {
            return Error::Protocol { plugin, method, may_have_run, violation: violation.to_string() };
        }
        if let Body::Child { .. } = self.body {
            // The exit is mostly known moments after the connection's end. A process that lives on is not waited for again.
            let limit = end.as_ref().map_or_else(Instant::now, |end| end.at + EXIT_LIMIT);
            if let Some(report) = self.life.wait_end(limit) {
                return Error::Died { plugin, method, may_have_run, report };
            }
        }
        let reason = end.map_or_else(String::new, |end| end.cause.to_string());
        Error::Disconnected { plugin, method, may_have_run, reason }
    }

    fn stop(&self) -> Result<ExitReport> {
        let is_first = self.life.begin_stop();
        match &self.body {
            Body::Child { child, .. } => {
                if is_first {
                    self.connection.say_goodbye();
                }
                self.wait_for_end(child)
            }
            Body::Attached | Body::InProcess(_) => Ok(self.detach()),
        }
    }

    fn wait_for_end(&self, child: &Child) -> Result<ExitReport> {
        let began = Instant::now();
        if let Some(report) = self.life.wait_end(began + self.settings.stop_timeout / 2) {
            return Ok((*report).clone());
        }
        child.terminate();
        if let Some(report) = self.life.wait_end(began + self.settings.stop_timeout) {
            return Ok((*report).clone());
        }
        self.kill_child(child)
    }

    fn kill(&self) -> Result<ExitReport> {
        self.life.begin_stop();
        match &self.body {
            Body::Child { child, .. } => self.kill_child(child),
            Body::Attached | Body::InProcess(_) => Ok(self.detach()),
        }
    }

    fn kill_child(&self, child: &Child) -> Result<ExitReport> {
        child.kill();
        let report = self.life.wait_end(Instant::now() + KILL_LIMIT);
        let unkillable = || Error::Unkillable { plugin: self.name.to_string(), pid: child.pid(), after: KILL_LIMIT };
        report.map(|report| (*report).clone()).ok_or_else(unkillable)
    }

    fn detach(&self) -> ExitReport {
        const LIMIT: Duration = Duration::from_millis(500);
        self.connection.say_goodbye();
        if let Body::InProcess(service) = &self.body {
            service.finish(LIMIT);
        }
        self.connection.flush(LIMIT);
        self.connection.close(Cause::Local("this host has let go of the plugin"));
        self.life.end(Arc::default());
        ExitReport::default()
    }
}

//! A running plugin.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Events, Plugin,
    handle::{Handle, explain},
    instance::Instance,
    launcher::Launcher,
    start::{Launch, program_name},
    supervisor::Supervisor,
};
#[cfg(doc)]
use crate::Error;
use crate::{
    ExitReport, Interface, Result,
    client::Client,
    connection::Connection,
    deadline,
    interface::Timeout,
    objects,
    protocol::{
        frame::Kind,
        message::{InterfaceEntry, Message},
    },
};

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
    pub(super) handle: Arc<Handle>,
}

/// Whether a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It can be called.
    Running,
    /// It is being started, for the first time or again.
    Restarting,
    /// This host is stopping it.
    Stopping,
    /// It has been stopped since nobody called it; the next call starts it again.
    Idle,
    /// Its process has ended, by itself or not; the next call may start it again. An attached one has been detached or lost.
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
    /// How many objects and streams of this host the plugin holds at the moment, as far as this host has heard: a number that only grows
    /// is a leak.
    pub objects_given: usize,
    /// How many objects and streams of the plugin this host holds.
    pub objects_held: usize,
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
    /// Starts what `launcher` says.
    pub(super) fn launch(launcher: Launcher) -> Result<Self> {
        let Launcher { command, name, settings, output, restart, on_start } = launcher;
        let name: Arc<str> = name.unwrap_or_else(|| program_name(&command)).into();
        let launch = Launch { command, output };
        let handle = Handle::new(Supervisor::new(name, settings, Some(launch), restart, on_start.0));
        handle.supervisor.start(&handle)?;
        Ok(Self { handle })
    }

    /// What this host did not start, and cannot start again.
    pub(super) fn found(supervisor: Arc<Supervisor>, instance: Instance) -> Result<Self> {
        let handle = Handle::new(supervisor);
        handle.supervisor.let_through(&Arc::new(instance))?;
        Ok(Self { handle })
    }

    pub(super) fn of(handle: Arc<Handle>) -> Self {
        Self { handle }
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
        Ok(Plugin::new(I::proxy(objects::Client::of_plugin(client)), self.clone()))
    }

    /// The plugin's name, as errors and logs have it.
    ///
    /// ```no_run
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn()?;
    /// assert_eq!(process.name(), "english");
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.handle.supervisor.name
    }

    /// The process id of the present run or the last; `None` for an attached or in-process plugin.
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
        self.handle.supervisor.last()?.pid()
    }

    /// Whether the plugin runs, as far as is known without asking it. See [`Process`] for an example.
    pub fn state(&self) -> State {
        self.handle.supervisor.state()
    }

    /// What the plugin said of itself when it started, and how many objects the two hold of each other
    /// ([`Remote`](crate::Remote)).
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
        let interface = |InterfaceEntry { name, version, methods }| InterfaceInfo { name, version, methods };
        let last = self.handle.supervisor.last();
        let entries = last.iter().flat_map(|instance| instance.interfaces.iter().cloned());
        let count = |of: fn(&Connection) -> usize| last.as_ref().map_or(0, |instance| of(&instance.connection));
        Info {
            name: self.name().into(),
            interfaces: entries.map(interface).collect(),
            objects_given: count(Connection::given),
            objects_held: count(Connection::held),
        }
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
        let has_it = |interface: &InterfaceEntry| interface.methods.iter().any(|name| name == method);
        self.handle.supervisor.last().is_some_and(|instance| instance.interfaces.iter().any(has_it))
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
        let limit = deadline::for_call(began, Timeout::Inherit, self.handle.supervisor.settings.call_timeout);
        let instance = self.handle.acquire("ping", began, limit)?;
        let pong = instance.connection.call(Message::control(Kind::Ping, 0), limit);
        pong.map_err(|failure| explain(&instance, "ping", began, limit, &failure))?;
        Ok(began.elapsed())
    }

    /// What happens to the plugin, from its first start on.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// use plugin_core::{Event, Plugin};
    ///
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// let process = Plugin::process(&adder);
    /// let mut events = process.events();
    /// process.shutdown()?;
    /// assert!(matches!(events.next(), Some(Event::Started { pid: None })));
    /// assert!(matches!(events.next(), Some(Event::Stopped(_))));
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn events(&self) -> Events {
        self.handle.supervisor.events.subscribe()
    }

    /// Stops the plugin and waits until it has ended, at most the launcher's `stop_timeout` (and the moment that being
    /// killed takes).
    ///
    /// It is said goodbye to: running methods have 500 ms, and so have the oneway calls made before; then its values are
    /// dropped and its `main` returns. After half of
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
        self.handle.stop(Instance::stop)
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
        self.handle.stop(Instance::kill)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut process = f.debug_struct("Process");
        process.field("name", &self.name()).field("pid", &self.pid()).field("state", &self.state()).finish()
    }
}

//! What to start, and how.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use super::{Output, Plugin, Process, Restart, start::program_name};
use crate::{Interface, Result, connection, deadline};

/// Starts the plugin program `what` and connects to its interface `I`, with all defaults.
///
/// Short for [`Launcher::new(what)`](Launcher::new)`.spawn()?.interface::<I>()`. `what` is a path, a string, a
/// [`Command`] or a [`Launcher`] with options of its own. A bare name without a directory is looked up in `PATH`.
///
/// The plugin is stopped, in the background, when the last handle to it is dropped. A program that is about to end and needs
/// the plugin to have ended before it calls [`Process::shutdown`], which waits.
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// let greeter = plugin_core::connect::<dyn Greeter>("target/debug/english")?;
/// println!("{}", greeter.greet("Ada")?);
///
/// let launcher = plugin_core::Launcher::new("target/debug/english").call_timeout(std::time::Duration::from_secs(5));
/// let greeter = plugin_core::connect::<dyn Greeter>(launcher)?;
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// # Errors
/// As [`Launcher::spawn`] and [`Process::interface`].
pub fn connect<I: Interface + ?Sized + 'static>(what: impl Into<Launcher>) -> Result<Plugin<I>> {
    what.into().spawn()?.interface()
}

/// A plugin program to start, with its options.
///
/// All timeouts are suspended if `PLUGIN_CORE_DEBUG=1` is in the environment of this host: see the crate's documentation on
/// [debugging](crate#debugging).
///
/// ```
/// use std::time::Duration;
/// use plugin_core::Launcher;
///
/// let launcher = Launcher::new("target/debug/english")
///     .start_timeout(Duration::from_secs(3))
///     .call_timeout(Duration::from_secs(60))
///     .env("LANG", "en_GB.UTF-8");
/// ```
#[derive(Debug)]
#[must_use = "a launcher starts nothing until `spawn` is called"]
pub struct Launcher {
    pub(super) command: Command,
    pub(super) name: Option<String>,
    pub(super) settings: Settings,
    pub(super) output: Output,
    pub(super) restart: Restart,
    pub(super) on_start: OnStarted,
}

/// What is run after every start.
pub(super) type OnStart = Arc<dyn Fn(&Process) -> Result<()> + Send + Sync>;

/// An [`OnStart`] that can be printed.
#[derive(Default)]
pub(super) struct OnStarted(pub(super) Option<OnStart>);

impl fmt::Debug for OnStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

/// How threads wait for what another process answers.
///
/// ```
/// use plugin_core::{Launcher, Wait};
///
/// let launcher = Launcher::new("target/debug/english").wait(Wait::Block);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Yield the processor for up to 50 microseconds while answers come that quickly, and sleep otherwise. On a machine with
    /// a processor to spare an answer then comes several times sooner, since nobody has to be woken for it.
    #[default]
    Adaptive,
    /// Sleep at once: the least processor time.
    Block,
}

/// The limits of one plugin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) start_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) resume_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_message: usize,
    pub(super) wait: Wait,
}

impl Settings {
    /// What a connection with the plugin is set to.
    pub(super) fn connection(&self) -> connection::Options {
        connection::Options { max_message: self.max_message, yields: self.wait == Wait::Adaptive, ticks: true }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(10),
            call_timeout: deadline::CALL_TIMEOUT,
            stop_timeout: Duration::from_secs(2),
            resume_timeout: Duration::from_secs(10),
            idle_timeout: None,
            max_message: 64 << 20,
            wait: Wait::default(),
        }
    }
}

impl Launcher {
    /// A launcher of `what` with all defaults.
    ///
    /// ```
    /// let mut command = std::process::Command::new("target/debug/english");
    /// command.arg("--formal").current_dir("/");
    /// let launcher = plugin_core::Launcher::new(command);
    /// ```
    pub fn new(what: impl Into<Self>) -> Self {
        what.into()
    }

    /// What the plugin is called in errors, logs and forwarded output. Default: the program's file name without extension.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").name("greeter-1");
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long the plugin may take from its start to its greeting. Default: 10 s.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("slow-starter").start_timeout(std::time::Duration::from_secs(60));
    /// ```
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.settings.start_timeout = limit;
        self
    }

    /// How long a call may take, where neither [`within`](crate::within) nor the method's own `#[method(timeout)]` says
    /// otherwise. Default: 30 s.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").call_timeout(std::time::Duration::from_secs(5));
    /// ```
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.settings.call_timeout = limit;
        self
    }

    /// How long the plugin may take to stop: it is said goodbye to, after half of the time asked to terminate (SIGTERM), and
    /// at its end killed, with all that it started. Default: 2 s.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("database").stop_timeout(std::time::Duration::from_secs(30));
    /// ```
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.settings.stop_timeout = limit;
        self
    }

    /// Whether the plugin is started again when its process has died. Default: by the next call, at most 5 times a minute.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").restart(plugin_core::Restart::Never);
    /// ```
    pub fn restart(mut self, policy: Restart) -> Self {
        self.restart = policy;
        self
    }

    /// Runs `body` after every start and restart, before other calls are let through: the place to tell the plugin what it
    /// must know. If it fails, the start has failed.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Greeter { fn set_language(&self, name: &str) -> plugin_core::Result<()>; }
    /// let launcher = plugin_core::Launcher::new("target/debug/english")
    ///     .on_start(|process| process.interface::<dyn Greeter>()?.set_language("en_GB"));
    /// ```
    pub fn on_start(mut self, body: impl Fn(&Process) -> Result<()> + Send + Sync + 'static) -> Self {
        self.on_start = OnStarted(Some(Arc::new(body)));
        self
    }

    /// How long a session outlives its connection: if host and plugin, both alive, lose it and meet again within this time,
    /// every call in flight completes, exactly once. After it, they fail with
    /// [`Error::Disconnected`](crate::Error::Disconnected). Zero gives up at once. Default: 10 s.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").resume_timeout(std::time::Duration::from_secs(60));
    /// ```
    pub fn resume_timeout(mut self, limit: Duration) -> Self {
        self.settings.resume_timeout = limit;
        self
    }

    /// Stops the plugin, gracefully, when nobody has called it for this long; the next call starts it again, and waits for
    /// that within its deadline. Default: never.
    ///
    /// A call that comes while it is being stopped goes to the next process, so none fails or is lost for it. What the plugin
    /// only has in its memory is gone with its process; [`on_start`](Self::on_start) runs again. Such a start is no restart:
    /// it waits for nothing, costs no [`Budget`](crate::Budget), and is the same under every [`Restart`]. Meanwhile the plugin is
    /// in [`State::Idle`](crate::State::Idle), as [`Event::Idle`](crate::Event::Idle) tells.
    ///
    /// [`Process::ping`] and [`Process::interface`] count as calls, and a oneway call lasts until the plugin has run it. As long as either holds an object
    /// of the other, or a stream, the plugin is in use.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("spell-checker").idle_timeout(std::time::Duration::from_secs(300));
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// The most bytes that the arguments or the answer of one call may have, encoded. Default: 64 MiB.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("renderer").max_message(512 << 20);
    /// ```
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.settings.max_message = bytes;
        self
    }

    /// How host and plugin wait for each other. Default: [`Wait::Adaptive`]. See [`Wait`] for an example.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Adds an argument for the program.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/kv-redb").arg("store.redb");
    /// ```
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds several arguments for the program.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").args(["--formal", "--loud"]);
    /// ```
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable for the plugin, in place of the host's own of that name.
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("target/debug/english").env("LANG", "en_GB.UTF-8");
    /// ```
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives the plugin none of the host's environment variables, and none of those set so far. By default it gets all. (What
    /// plugin and host need to find each other it gets in any case, and `PLUGIN_CORE_DEBUG`.)
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("untrusted").env_clear().env("PATH", "/usr/bin");
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Where the plugin's printing goes. Default: [`Output::Forward`].
    ///
    /// ```
    /// let launcher = plugin_core::Launcher::new("chatterbox").output(plugin_core::Output::Discard);
    /// ```
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Starts the plugin and waits for its greeting.
    ///
    /// ```no_run
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn()?;
    /// let greeter = process.interface::<dyn Greeter>()?;
    /// let adder = process.interface::<dyn Adder>()?;
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such program ([`NotFound`](crate::Error::NotFound)), it may not be executed
    /// ([`NotExecutable`](crate::Error::NotExecutable)) or is for another machine
    /// ([`WrongMachine`](crate::Error::WrongMachine)); if it ends before its greeting
    /// ([`ExitedAtStart`](crate::Error::ExitedAtStart), [`NotAPlugin`](crate::Error::NotAPlugin)) or does not greet in time
    /// ([`StartTimeout`](crate::Error::StartTimeout)) or in a version that this host speaks
    /// ([`IncompatibleProtocol`](crate::Error::IncompatibleProtocol)). Nothing is left behind: the process is dead and
    /// reaped when this returns.
    pub fn spawn(self) -> Result<Process> {
        Process::launch(self)
    }

    /// What errors call the plugin.
    pub(super) fn program(&self) -> String {
        self.name.clone().unwrap_or_else(|| program_name(&self.command))
    }
}

impl From<Command> for Launcher {
    fn from(command: Command) -> Self {
        Self {
            command,
            name: None,
            settings: Settings::default(),
            output: Output::default(),
            restart: Restart::default(),
            on_start: OnStarted::default(),
        }
    }
}

macro_rules! from_program {
    ($($type:ty),*) => {$(
        impl From<$type> for Launcher {
            fn from(program: $type) -> Self {
                Command::new(program).into()
            }
        }
    )*};
}

from_program!(&str, String, &String, &Path, PathBuf, &PathBuf, &OsStr, OsString);

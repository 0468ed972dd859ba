//! What can go wrong, one variant per thing a caller can act on.

mod ran;
mod stage;
mod text;
mod wire;

use std::{fmt, io, sync::Arc, time::Duration};

use crate::report::ExitReport;
use ran::{again, died, ran, stopped};
pub(crate) use text::{HERE, HOST, READ, whose};
use text::{at, caused, late, list, not_done};

pub use stage::StartStage;

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a plugin could not be started, a call had no answer, or a method failed.
///
/// Every message says what happened, to which plugin and method, and what to do next. Causes are in
/// [`source()`](std::error::Error::source); `{error:?}` prints the message with its causes, which is also what a `main` that
/// returns this error shows. Cloning is cheap enough: one lost plugin fails many calls.
///
/// An error can be sent: it is a valid `E` for an interface method. What arrives is always [`Error::Remote`], so that the
/// timeout that a plugin met is never taken for a timeout of this call.
///
/// ```
/// use plugin_core::{Error, Launcher};
///
/// match Launcher::new("no/such/plugin").spawn() {
///     Err(Error::NotFound { program, .. }) => println!("install {program} first"),
///     Err(error) => println!("{error}"),
///     Ok(_) => unreachable!(),
/// }
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ----- starting a plugin -----
    /// There is no such program.
    #[error("plugin program `{program}` not found{looked}; check the path, or build the plugin first")]
    NotFound {
        /// The program as given to the launcher.
        program: String,
        /// Where it was looked for.
        looked: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The program exists but may not be executed.
    #[error(
        "plugin program `{program}` may not be executed; is it a directory, or does it lack the permission (chmod +x)?"
    )]
    NotExecutable {
        /// The program as given to the launcher.
        program: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The program is no executable for this machine.
    #[error("plugin program `{program}` is {found}, this host runs {expected}; build the plugin for this machine")]
    WrongMachine {
        /// The program as given to the launcher.
        program: String,
        /// What the file is, such as "an ELF executable for aarch64".
        found: String,
        /// What would have run, such as "ELF executables for x86-64".
        expected: String,
    },
    /// The operating system could not start the program for another reason.
    #[error(
        "could not start plugin program `{program}`: {source}; do its working directory and its interpreter exist?"
    )]
    Spawn {
        /// The program as given to the launcher.
        program: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The program ended successfully without ever connecting, so it does not call [`serve`](crate::serve).
    #[error("`{plugin}` is not a plugin: it ended without connecting (a plugin's `main` calls `plugin_core::serve`){}", report.quoted())]
    NotAPlugin {
        /// The plugin's name.
        plugin: String,
        /// How it ended and what it printed last.
        report: Arc<ExitReport>,
    },
    /// The program failed before it was ready.
    #[error("plugin `{plugin}` ended before it was ready: {report}")]
    ExitedAtStart {
        /// The plugin's name.
        plugin: String,
        /// How it ended and what it printed last.
        report: Arc<ExitReport>,
    },
    /// The program was not ready in time; it has been killed.
    #[error("plugin `{plugin}` was not ready within {after:?}: {stage}; if it needs longer, raise `Launcher::start_timeout`{}", report.quoted())]
    StartTimeout {
        /// The plugin's name.
        plugin: String,
        /// The limit, [`Launcher::start_timeout`](crate::Launcher::start_timeout).
        after: Duration,
        /// How far it came.
        stage: StartStage,
        /// What it printed last.
        report: Arc<ExitReport>,
    },
    /// The plugin speaks no protocol version that this host speaks.
    #[error(
        "plugin `{plugin}` speaks protocol {theirs:?}, this host {ours:?}; rebuild the older of the two with the newer plugin-core"
    )]
    IncompatibleProtocol {
        /// The plugin's name.
        plugin: String,
        /// The versions this side speaks.
        ours: Vec<u16>,
        /// The versions the other side speaks.
        theirs: Vec<u16>,
    },
    /// The plugin does not serve the interface asked for.
    #[error(
        "plugin `{plugin}` does not serve interface `{interface}`, it serves {}; check that both sides name the same trait",
        list(offered)
    )]
    MissingInterface {
        /// The plugin's name.
        plugin: String,
        /// The interface asked for.
        interface: String,
        /// The interfaces it serves.
        offered: Vec<String>,
    },
    /// The plugin serves an incompatible version of the interface.
    #[error(
        "plugin `{plugin}` serves `{interface}` {offered}, this host needs {wanted}; build both against one version of the trait"
    )]
    IncompatibleInterface {
        /// The plugin's name.
        plugin: String,
        /// The interface asked for.
        interface: String,
        /// The version this host was built against.
        wanted: String,
        /// The version the plugin serves.
        offered: String,
    },
    /// The plugin lacks methods that the trait has no default body for.
    #[error(
        "plugin `{plugin}` lacks {} of interface `{interface}`: it was built from another version of the trait; rebuild it, or give the methods default bodies",
        list(methods)
    )]
    MissingMethods {
        /// The plugin's name.
        plugin: String,
        /// The interface asked for.
        interface: String,
        /// The methods it lacks.
        methods: Vec<String>,
    },
    /// The host could not open the place where plugins dial in.
    #[error("could not open a socket for plugins to connect to: {message}")]
    Listen {
        /// What was tried.
        message: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// There was no plugin to attach to, or no host to connect to, at an address.
    #[error("could not connect to `{address}`: {message}")]
    Attach {
        /// The address dialled.
        address: String,
        /// What went wrong and what to do.
        message: String,
        /// What the operating system said.
        source: Option<Arc<io::Error>>,
    },
    /// The other side refused this one.
    #[error("`{peer}` refused the connection: {reason}")]
    Refused {
        /// Who refused.
        peer: String,
        /// Why, in its own words.
        reason: String,
    },

    // ----- calling -----
    /// The call took longer than its deadline. A oneway call: there was no room for it until then, and it did not run.
    #[error("`{method}` of {} {}{}; {}", whose(plugin), not_done(*after), ran(method, *may_have_run), late(method, *silent_for))]
    Timeout {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// The time that the call had.
        after: Duration,
        /// Whether the plugin may have begun to run the method.
        may_have_run: bool,
        /// For how long the plugin had given no sign of life, if it was found to be
        /// [unresponsive](crate::Event::Unresponsive).
        silent_for: Option<Duration>,
    },
    /// The plugin's process ended before it answered.
    #[error("plugin `{plugin}` {}: {report}", died(method, *may_have_run))]
    Died {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Whether the plugin may have begun to run the method.
        may_have_run: bool,
        /// How it ended and what it printed last.
        report: Arc<ExitReport>,
    },
    /// The connection was lost, but the process was not seen to end.
    #[error("lost the connection to {} during `{method}`{}: {reason}", whose(plugin), ran(method, *may_have_run))]
    Disconnected {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Whether the plugin may have begun to run the method.
        may_have_run: bool,
        /// What ended the connection.
        reason: String,
    },
    /// The plugin sent what no plugin may send, so the host hung up.
    #[error("plugin `{plugin}` broke the protocol during `{method}`{}: {violation}; was it built with another implementation of the protocol?", ran(method, *may_have_run))]
    Protocol {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Whether the plugin may have begun to run the method.
        may_have_run: bool,
        /// What it did.
        violation: String,
    },
    /// The plugin was stopped on purpose, before the call or during it.
    #[error("plugin `{plugin}` was stopped by this host {}; connect again to start a new one", stopped(method, *may_have_run))]
    Stopped {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Whether the plugin may have begun to run the method.
        may_have_run: bool,
    },
    /// The plugin keeps dying, and the restart budget is spent.
    #[error(
        "plugin `{plugin}` died too often, `{method}` was not called{}; mend it, or allow more with `Launcher::restart`; the last time: {last}",
        again(*may_have_run)
    )]
    GaveUp {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Whether the plugin may have begun to run the method before it died: only if that is idempotent.
        may_have_run: bool,
        /// How it ended last.
        last: Arc<Error>,
    },
    /// The plugin was started for the call, but the launcher's `on_start` failed, so no call was let through to it.
    #[error(
        "`{method}` of plugin `{plugin}` was not called: the plugin was started for it, but the launcher's `on_start` failed: {why}"
    )]
    OnStart {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// What `on_start` gave.
        why: Arc<Error>,
    },
    /// The method panicked. The plugin goes on serving.
    #[error("`{method}` of {} panicked{}: {message}", whose(plugin), at(location.as_deref()))]
    Panicked {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// The panic's message.
        message: String,
        /// File, line and column in the plugin's source, where known.
        location: Option<String>,
    },
    /// The plugin has no such method, and the trait no default body.
    #[error(
        "{} has no method `{method}`: it was built from another version of the trait; rebuild it, or give the method a default body",
        whose(plugin)
    )]
    UnknownMethod {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
    },
    /// The arguments could not be encoded here or decoded there.
    #[error("the arguments of `{method}` cannot be passed to {}: {message}", whose(plugin))]
    BadArguments {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// What the codec said.
        message: String,
    },
    /// What the method returned could not be encoded there or decoded here.
    #[error("the answer of `{method}` of {} is of no use: {message}", whose(plugin))]
    BadAnswer {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// What the codec said.
        message: String,
    },
    /// Arguments or answer are larger than a message may be. Nothing was sent.
    #[error(
        "the {what} of `{method}` of {} would be larger than {limit} bytes; raise `Launcher::max_message`, or send it in parts",
        whose(plugin)
    )]
    TooLarge {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// "arguments" or "answer".
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The plugin has too much to do already. Nothing was run.
    #[error("{} is overloaded and did not run `{method}`: {message}; call it less often at once", whose(plugin))]
    Overloaded {
        /// The plugin's name.
        plugin: String,
        /// The method called.
        method: String,
        /// Which limit was met.
        message: String,
    },
    /// What was to be called had been lent for the time of a call, and that has ended. Nothing was run.
    #[error(
        "`{method}` was lent to this plugin for the time of a call, and that call has ended: its caller has its answer, or has given up; it did not run"
    )]
    CallEnded {
        /// Who had lent it.
        plugin: String,
        /// The method called.
        method: String,
    },
    /// Too many calls wait for each other, back and forth. Nothing was run.
    #[error(
        "`{method}` of {} was not called: {limit} calls wait for each other already; do the calls back and forth ever end?",
        whose(plugin)
    )]
    TooDeep {
        /// Who was to be called.
        plugin: String,
        /// The method called.
        method: String,
        /// How many may.
        limit: u32,
    },

    // ----- streams -----
    /// Nobody reads the stream any more to which something was to be added.
    #[error(
        "nobody reads the stream any more: its reader was dropped, or its process or connection has ended; produce nothing more for it"
    )]
    Unread,

    // ----- stopping -----
    /// The process is still there although it was killed; it is probably stuck inside the operating system.
    #[error(
        "plugin `{plugin}` (process {pid}) is still there {after:?} after it was killed; it may be stuck in a device or a network file system"
    )]
    Unkillable {
        /// The plugin's name.
        plugin: String,
        /// Its process id.
        pid: u32,
        /// How long was waited.
        after: Duration,
    },

    // ----- from the other side's code -----
    /// An error that the plugin's own code returned as a `plugin_core::Error`.
    #[error("{message}{}", caused(chain))]
    Remote {
        /// The kind of the original, such as `custom` or `timeout`.
        kind: String,
        /// Its message.
        message: String,
        /// The messages of its causes, the nearest first.
        chain: Vec<String>,
    },
    /// An error made by [`Error::custom`].
    #[error("{0}")]
    Custom(String),
}

impl Error {
    /// An implementation's own error, where it has no type for one.
    ///
    /// ```
    /// fn half(n: i64) -> plugin_core::Result<i64> {
    ///     if n % 2 == 0 { Ok(n / 2) } else { Err(plugin_core::Error::custom(format!("{n} is odd"))) }
    /// }
    /// assert_eq!(half(3).unwrap_err().to_string(), "3 is odd");
    /// ```
    pub fn custom(message: impl fmt::Display) -> Self {
        Self::Custom(message.to_string())
    }
}

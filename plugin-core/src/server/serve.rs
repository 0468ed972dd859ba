//! What a plugin's `main` calls.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Executor, Service, by_hand,
    discarded::Discarded,
    lifeline, listen,
    recovery::{Recovering, Recovery},
    session::Redial,
    stop::{Stop, StopReason},
};
use crate::{
    Error, Implements, Interface, Result,
    blocking::unblock,
    connection::{
        Cause, Connection, Options,
        greeting::{self, GreetingError},
    },
    deadline, environment,
    interface::Dispatch,
    objects::interfaces,
    protocol::{
        VERSIONS,
        frame::{Deframer, Kind},
        handshake,
        message::{Hello, InterfaceEntry, Refused, Welcome},
    },
    transport::local::LocalLink,
};

/// How long running handlers have once the host said goodbye or is gone.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// How long the greeting may take.
pub(super) const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long the first calls have a session for themselves.
const SETTLING: Duration = Duration::from_millis(4);

/// Serves `value` as interface `I` to the host that started this process: what a plugin's `main` calls.
///
/// Short for [`Server::new()`](Server::new)`.with::<I>(value).serve()`; see [`Server::serve`] for what it does, when it
/// returns, and its errors.
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// struct English;
///
/// impl Greeter for English {
///     fn greet(&self, name: &str) -> plugin_core::Result<String> {
///         Ok(format!("Hello, {name}!"))
///     }
/// }
///
/// fn main() -> plugin_core::Result<()> {
///     plugin_core::serve::<dyn Greeter>(English)
/// }
/// ```
///
/// # Errors
/// As [`Server::serve`].
pub fn serve<I: Interface + ?Sized>(value: impl Implements<I>) -> Result<()> {
    Server::new().with::<I>(value).serve()
}

/// As [`serve`], for an async `main`. Short for
/// [`Server::new()`](Server::new)`.with::<I>(value).serve_async()`; see [`Server::serve_async`].
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { async fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// # struct English;
/// # #[plugin_core::plugin_interface]
/// # impl Greeter for English {
/// #     async fn greet(&self, name: &str) -> plugin_core::Result<String> { Ok(format!("Hello, {name}!")) }
/// # }
/// // `#[tokio::main] async fn main`, or whatever your executor has:
/// async fn serve() -> plugin_core::Result<()> {
///     plugin_core::serve_async::<dyn Greeter>(English).await
/// }
/// ```
///
/// # Errors
/// As [`Server::serve`].
pub async fn serve_async<I: Interface + ?Sized>(value: impl Implements<I>) -> Result<()> {
    Server::new().with::<I>(value).serve_async().await
}

/// A plugin that serves one or several interfaces.
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// # #[plugin_core::plugin_interface]
/// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
/// # struct English;
/// # impl Greeter for English {
/// #     fn greet(&self, name: &str) -> plugin_core::Result<String> { Ok(format!("Hello, {name}!")) }
/// # }
/// # struct Exact;
/// # impl Adder for Exact {
/// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
/// # }
/// fn main() -> plugin_core::Result<()> {
///     plugin_core::Server::new().with::<dyn Greeter>(English).with::<dyn Adder>(Exact).serve()
/// }
/// ```
#[must_use = "a server does nothing until `serve` is called"]
#[derive(Default)]
pub struct Server {
    dispatchers: Vec<Arc<dyn Dispatch>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.dispatchers.iter().map(|dispatcher| dispatcher.descriptor().name);
        f.debug_struct("Server").field("interfaces", &names.collect::<Vec<_>>()).finish()
    }
}

impl Server {
    /// A server of nothing yet.
    ///
    /// ```
    /// assert_eq!(format!("{:?}", plugin_core::Server::new()), "Server { interfaces: [] }");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `value` as the implementation of interface `I`.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// let server = plugin_core::Server::new().with::<dyn Adder>(Exact);
    /// assert_eq!(format!("{server:?}"), r#"Server { interfaces: ["Adder"] }"#);
    /// ```
    ///
    /// # Panics
    /// If an interface of that name was added before: hosts could reach only one of them.
    pub fn with<I: Interface + ?Sized>(mut self, value: impl Implements<I>) -> Self {
        let name = I::DESCRIPTOR.name;
        let is_new = self.dispatchers.iter().all(|dispatcher| dispatcher.descriptor().name != name);
        assert!(is_new, "interface `{name}` is served twice; give one of the traits another `name = \"..\"`");
        self.dispatchers.push(value.into_dispatcher());
        self
    }

    /// Connects to the host that started this process and serves it until it says goodbye or is gone.
    ///
    /// Handlers run concurrently, up to 512 at once (further requests wait), on threads that are this crate's; none on the
    /// thread that called this. They may block. A handler that panics fails its own call; the plugin goes on. (Not with
    /// `panic = "abort"` in the plugin's profile: there a panic ends the plugin.)
    ///
    /// Oneway calls run one at a time, in the order in which they were made, beside the others.
    ///
    /// When the host says goodbye, or its process is gone however it ended, running handlers have 500 ms, and so have the
    /// oneway calls that wait for their turn; then the values are dropped as soon as no handler uses them, and this returns,
    /// so that `main` can clean up. Returning from `main` ends the process even if a handler still runs. If the host is gone
    /// and the process has not ended 300 ms later, it is killed, along with its process group where it leads one (a host
    /// started it so).
    ///
    /// The standard input belongs to the connection with the host: do not read it. Standard output and standard error are
    /// free; the host forwards them.
    ///
    /// Call it early: from here on the end of the host is noticed. If the host was killed before, this fails or returns at
    /// once; what `main` does until then it does to its end.
    ///
    /// Started without a host, it prints what it serves and exits the process with status 1; with `PLUGIN_CORE_LISTEN=path`
    /// it waits at that path for hosts to [`attach`](crate::attach), and never returns.
    ///
    /// # Errors
    /// [`Error::Attach`] if the host cannot be reached, [`Error::Refused`] if it does not let this plugin in.
    pub fn serve(self) -> Result<()> {
        let executor = Executor::of(&self.dispatchers);
        self.serve_on(executor)
    }

    /// As [`serve`](Self::serve), for an async `main`: async methods run on the runtime in which this is awaited, where that is
    /// tokio's and this crate's feature `tokio` is on.
    ///
    /// If the future is dropped, serving goes on until the process ends.
    ///
    /// ```no_run
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Greeter { async fn greet(&self, name: &str) -> plugin_core::Result<String>; }
    /// # struct English;
    /// # #[plugin_core::plugin_interface]
    /// # impl Greeter for English {
    /// #     async fn greet(&self, name: &str) -> plugin_core::Result<String> { Ok(format!("Hello, {name}!")) }
    /// # }
    /// // `#[tokio::main] async fn main`, or whatever your executor has:
    /// async fn serve() -> plugin_core::Result<()> {
    ///     plugin_core::Server::new().with::<dyn Greeter>(English).serve_async().await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_async(self) -> Result<()> {
        let executor = Executor::of(&self.dispatchers);
        let serving = unblock("plugin-core serve", move || self.serve_on(executor)).await;
        serving.map_err(|error| Error::custom(format!("no thread could be started: {error}")))?
    }

    fn serve_on(self, executor: Executor) -> Result<()> {
        if let (Some(socket), Some(token)) = (env::var_os(environment::SOCKET), env::var_os(environment::TOKEN)) {
            return self.serve_host(&PathBuf::from(socket), &token, executor);
        }
        match env::var_os(environment::LISTEN) {
            Some(address) => listen::serve(&self.dispatchers, &PathBuf::from(address), &executor),
            None => by_hand::explain_and_exit(&self.interfaces()),
        }
    }

    fn serve_host(self, socket: &Path, token: &OsString, executor: Executor) -> Result<()> {
        // Before anything else: from here on, wherever `main` ends, what the plugin started does not outlive its host.
        lifeline::end_group_at_exit();
        let stop = Arc::<Stop>::default();
        let link = dial_host(socket)?;
        let hello = hello(self.interfaces(), token.to_string_lossy().into_owned());
        let service = Service::new(self.dispatchers, Arc::clone(&stop), executor);
        let host = greet(link, &hello, &socket.display().to_string(), || {
            // While the host reads, and should it end by now, so does the greeting.
            service.prepare();
        });
        let host = host.inspect_err(|_| service.finish(Duration::ZERO))?;
        let hello = Hello { session: host.welcome.session.clone(), ..hello };
        let redial = Redial { stop: Arc::clone(&stop), socket: socket.into(), hello };
        let connection = begin_session(host, &service, &stop, redial)?;
        serve_session(&connection, &service, &stop, || lifeline::watch(&stop))
    }

    fn interfaces(&self) -> Vec<InterfaceEntry> {
        self.dispatchers.iter().map(|dispatcher| interfaces::entry(dispatcher.descriptor())).collect()
    }
}

/// What the plugin says of itself.
pub(super) fn hello(interfaces: Vec<InterfaceEntry>, token: String) -> Hello {
    let features = handshake::FEATURES.iter().map(ToString::to_string).collect();
    Hello { protocols: VERSIONS.to_vec(), token, features, interfaces, ..Hello::default() }
}

/// A host whose greeting is done.
pub(super) struct Host {
    pub(super) link: LocalLink,
    pub(super) deframer: Deframer,
    pub(super) welcome: Welcome,
}

impl Host {
    /// How long the session outlives a cut.
    fn resume_timeout(&self) -> Duration {
        Duration::from_millis(self.welcome.resume_timeout)
    }
}

fn dial_host(socket: &Path) -> Result<LocalLink> {
    let address = || socket.display().to_string();
    let failed = |message: &str, source| Error::Attach { address: address(), message: message.into(), source };
    let link = LocalLink::dial(socket).map_err(|error| failed("is the host still running?", Some(Arc::new(error))))?;
    if !link.is_same_user() {
        return Err(failed("it belongs to another user", None));
    }
    Ok(link)
}

/// Introduces the plugin and waits to be let in; does what is to be done `meanwhile`.
pub(super) fn greet(link: LocalLink, hello: &Hello, address: &str, meanwhile: impl FnOnce()) -> Result<Host> {
    match introduce(link, hello, deadline::after(Instant::now(), GREETING_LIMIT), meanwhile) {
        Ok(Ok(host)) => Ok(host),
        Ok(Err(refused)) => Err(Error::Refused { peer: address.into(), reason: refused.reason }),
        Err(error) => {
            let message = format!("the host did not greet this plugin: {error}");
            let source = if let GreetingError::Io(error) = error { Some(Arc::new(error)) } else { None };
            Err(Error::Attach { address: address.into(), message, source })
        }
    }
}

/// Introduces the plugin and waits for the host's answer until `deadline`, in which time something else may be done.
pub(super) fn introduce(
    link: LocalLink,
    hello: &Hello,
    deadline: Instant,
    meanwhile: impl FnOnce(),
) -> Result<Result<Host, Refused>, GreetingError> {
    let mut deframer = Deframer::new();
    greeting::send(&link, Kind::Hello, hello, deadline)?;
    meanwhile();
    let answer = greeting::receive(&link, &mut deframer, deadline, handshake::read_welcome)?;
    Ok(answer.map(|welcome| Host { link, deframer, welcome }))
}

/// Takes over a connection whose greeting is done.
pub(super) fn begin_session<R: Recovery>(
    host: Host,
    service: &Arc<Service>,
    stop: &Arc<Stop>,
    recovery: R,
) -> Result<Arc<Connection>> {
    let (service, stop, resume_timeout) = (Arc::clone(service), Arc::clone(stop), host.resume_timeout());
    let handler = Arc::new(Recovering { service, stop, resume_timeout, recovery: Arc::new(recovery) });
    let max_message = usize::try_from(host.welcome.max_message).unwrap_or(usize::MAX);
    let options = Options { max_message, yields: !host.welcome.blocks, ticks: false };
    Connection::start(Box::new(host.link), host.deframer, handler, options)
        .map_err(|error| Error::custom(format!("no thread could be started: {error}")))
}

/// Serves one host until it is time to stop; does what is to be done `soon` when the first calls have been answered.
pub(super) fn serve_session(
    connection: &Connection,
    service: &Service,
    stop: &Stop,
    soon: impl FnOnce(),
) -> Result<()> {
    // To start a thread takes longer than to answer a call. What the lifeline and the watchdog are for is there a moment later
    // just as well: the end of the input, and a method that holds up the others.
    let is_stopping = stop.wait_requested(SETTLING);
    // Also where the host has said goodbye by now: it may be gone before `main` has ended, which then has a limit.
    soon();
    if !is_stopping {
        if let Err(error) = service.watch() {
            tracing::error!(%error, "no thread could be started");
            connection.close(Cause::Local("no thread could be started"));
        }
    }
    let reason = stop.wait();
    tracing::debug!(?reason, "serving ends");
    service.finish(GRACE);
    if reason == StopReason::Goodbye {
        connection.flush(GRACE); // The answers of handlers that finished in time.
    }
    // Here, since `main` ends the process when it goes on.
    drop(Discarded(connection.take_exports()));
    connection.close(Cause::Local("this plugin is stopping"));
    match reason {
        // Said aloud, so that it comes with the exit status to whoever started this plugin.
        StopReason::Violation(violation) => Err(Error::custom(format!("the host broke the protocol: {violation}"))),
        StopReason::Goodbye | StopReason::Disconnected(_) | StopReason::HostGone => Ok(()),
    }
}

//! Joining a plugin that somebody else started.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Plugin, Process, Restart,
    handler::{HostHandler, WayBack},
    instance::{Body, Instance},
    launcher::Settings,
    life::Life,
    start::{greet, welcome},
    supervisor::Supervisor,
    usage::Usage,
};
use crate::{
    Error, Interface, Result,
    connection::{
        Cause, Connection, Cut, Failed,
        greeting::{self, GreetingError},
    },
    deadline,
    protocol::{
        frame::{Deframer, Kind},
        handshake,
        message::Welcome,
    },
    transport::{self, local::LocalLink},
};

/// How long the plugin may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

const FOREIGN: &str = "the plugin there belongs to another user";

/// Joins a plugin that was started by hand with `PLUGIN_CORE_LISTEN=address`, mostly under a debugger.
///
/// `address` is the path given there, on Windows the name of the pipe. On Unix its directory must belong to this user and must
/// not be writable by others, and both sides check that the other belongs to the same user; on Windows the pipe's default
/// access rules are all there is, so attach only where nobody else can log in.
///
/// The plugin is nobody's to stop: dropping the handle or [`Process::shutdown`] only detaches, and it goes on waiting for
/// others. Several hosts may be attached at once.
///
/// If the connection is cut, this host dials again and the calls in flight go on, as with a plugin that it started; after
/// 10 s, or once nobody listens at `address` any more, they fail with [`Error::Disconnected`].
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// // in a terminal: mkdir -m 700 run && PLUGIN_CORE_LISTEN=run/english.sock gdb --args target/debug/english
/// let greeter = plugin_core::attach::<dyn Greeter>("run/english.sock")?;
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Attach`] if nobody listens there or it is not safe, [`Error::IncompatibleProtocol`], and those of
/// [`Process::interface`].
pub fn attach<I: Interface + ?Sized + 'static>(address: impl AsRef<Path>) -> Result<Plugin<I>> {
    join(address.as_ref())?.interface()
}

pub(super) fn join(address: &Path) -> Result<Process> {
    let failed = |message: String, source| Error::Attach { address: address.display().to_string(), message, source };
    transport::private_directory(address).map_err(|message| failed(message, None))?;
    let link = LocalLink::dial(address).map_err(|error| {
        let message = "no plugin listens there; start one with PLUGIN_CORE_LISTEN set to this path";
        failed(message.into(), Some(Arc::new(error)))
    })?;
    if !link.is_same_user() {
        return Err(failed(FOREIGN.into(), None));
    }
    let deadline = deadline::after(Instant::now(), HELLO_LIMIT);
    let mut deframer = Deframer::new();
    let hello = greeting::receive(&link, &mut deframer, deadline, handshake::read_hello).map_err(|error| {
        let message = format!("what listens there did not introduce itself: {error}");
        failed(message, if let GreetingError::Io(error) = error { Some(Arc::new(error)) } else { None })
    })?;

    let settings = Settings::default();
    let name: Arc<str> = address.file_stem().unwrap_or(address.as_os_str()).to_string_lossy().into();
    let welcome = welcome(&hello, &name, &settings)?;
    greet(&link, &welcome, deadline)?;
    let life = Arc::<Life>::default();
    let supervisor = Supervisor::new(Arc::clone(&name), settings, None, Restart::Never, None);
    let way_back = Some(WayBack::HostDials(Arc::new(Address { path: address.into(), welcome })));
    let watching = Arc::downgrade(&supervisor);
    let handler = HostHandler::new(Arc::clone(&name), Arc::clone(&life), settings.resume_timeout, watching, way_back);
    let connection = Connection::start(Box::new(link), deframer, Arc::new(handler), settings.connection())
        .map_err(|error| failed("no thread could be started".into(), Some(Arc::new(error))))?;
    let (interfaces, body) = (hello.interfaces, Body::Attached);
    let (usage, began) = (Usage::default(), Instant::now());
    Process::found(supervisor, Instance { name, settings, connection, interfaces, life, usage, body, began })
}

/// Where an attached plugin is found again, and by what session.
pub(super) struct Address {
    path: PathBuf,
    /// What the plugin was told when the session began.
    welcome: Welcome,
}

impl Address {
    /// Dials until the session goes on or is given up.
    pub(super) fn dial_again(&self, connection: &Arc<Connection>, cut: &Cut) {
        connection.redial(cut, |delay| connection.wait_resumed(cut, delay), || self.dial(connection, cut.deadline));
    }

    fn dial(&self, connection: &Arc<Connection>, deadline: Instant) -> std::result::Result<(), Failed> {
        transport::private_directory(&self.path).map_err(Failed::ForNow)?;
        let link = LocalLink::dial(&self.path).map_err(|error| {
            let why = format!("nobody listens at {} any more: its process has ended", self.path.display());
            if is_gone(&error) { Failed::ForGood(Cause::Lost(why)) } else { Failed::ForNow(error.to_string()) }
        })?;
        if !link.is_same_user() {
            return Err(Failed::ForNow(FOREIGN.into()));
        }
        let (mut deframer, deadline) = (Deframer::new(), deadline.min(Instant::now() + HELLO_LIMIT));
        greeting::receive(&link, &mut deframer, deadline, handshake::read_hello)?;
        let resumption = connection.begin_resume();
        let welcome = Welcome { received: resumption.received(), resume: true, ..self.welcome.clone() };
        greeting::send(&link, Kind::Welcome, &welcome, deadline)?;
        match greeting::receive(&link, &mut deframer, deadline, handshake::read_resumed)? {
            Ok(plugin) => Ok(connection.resume(resumption, Box::new(link), deframer, plugin.received)?),
            // What listens there has given the session up, or is another process.
            Err(refused) => Err(Failed::ForGood(Cause::Lost(refused.reason))),
        }
    }
}

/// Whether an error of dialling says that nobody listens: whoever lives does so until its end.
fn is_gone(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => true,
        // Elsewhere somebody may have removed the socket of a plugin that lives. Pipes cannot be removed.
        io::ErrorKind::NotFound => cfg!(windows),
        _ => false,
    }
}

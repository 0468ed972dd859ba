//! Joining a plugin that somebody else started.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Plugin, Process, Restart,
    handler::HostHandler,
    instance::{Body, Instance},
    launcher::Settings,
    life::Life,
    start::{greet, welcome},
    supervisor::Supervisor,
};
use crate::{
    Error, Interface, Result,
    connection::{
        Connection,
        greeting::{self, GreetingError},
    },
    protocol::{frame::Deframer, handshake},
    transport::{self, local::LocalLink},
};

/// How long the plugin may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// Joins a plugin that was started by hand with `PLUGIN_CORE_LISTEN=address`, mostly under a debugger.
///
/// `address` is the path given there, on Windows the name of the pipe. On Unix its directory must belong to this user and must
/// not be writable by others, and both sides check that the other belongs to the same user; on Windows the pipe's default
/// access rules are all there is, so attach only where nobody else can log in.
///
/// The plugin is nobody's to stop: dropping the handle or [`Process::shutdown`] only detaches, and it goes on waiting for
/// others. Several hosts may be attached at once.
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

fn join(address: &Path) -> Result<Process> {
    let failed = |message: String, source| Error::Attach { address: address.display().to_string(), message, source };
    transport::private_directory(address).map_err(|message| failed(message, None))?;
    let link = LocalLink::dial(address).map_err(|error| {
        let message = "no plugin listens there; start one with PLUGIN_CORE_LISTEN set to this path";
        failed(message.into(), Some(Arc::new(error)))
    })?;
    if !link.is_same_user() {
        return Err(failed("the plugin there belongs to another user".into(), None));
    }
    let deadline = Instant::now() + HELLO_LIMIT;
    let mut deframer = Deframer::new();
    let hello = greeting::receive(&link, &mut deframer, deadline, handshake::read_hello).map_err(|error| {
        let message = format!("what listens there did not introduce itself: {error}");
        failed(message, if let GreetingError::Io(error) = error { Some(Arc::new(error)) } else { None })
    })?;

    let settings = Settings::default();
    let name: Arc<str> = address.file_stem().unwrap_or(address.as_os_str()).to_string_lossy().into();
    greet(&link, &welcome(&hello, &name, &settings)?, deadline)?;
    let life = Arc::<Life>::default();
    let supervisor = Supervisor::new(Arc::clone(&name), settings, None, Restart::Never, None);
    let handler = HostHandler::new(Arc::clone(&name), Arc::clone(&life), Duration::ZERO, Arc::downgrade(&supervisor));
    let connection = Connection::start(Box::new(link), deframer, Arc::new(handler), settings.max_message)
        .map_err(|error| failed("no thread could be started".into(), Some(Arc::new(error))))?;
    let (interfaces, body) = (hello.interfaces, Body::Attached);
    Process::found(supervisor, Instance { name, settings, connection, interfaces, life, body, began: Instant::now() })
}

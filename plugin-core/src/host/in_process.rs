//! A plugin without a process: the same proxy, codec and dispatcher over a pair of streams in memory.

use std::{sync::Arc, time::Instant};

use super::{
    Plugin, Process, Restart,
    handler::HostHandler,
    instance::{Body, Instance},
    launcher::Settings,
    life::Life,
    supervisor::Supervisor,
    usage::Usage,
};
use crate::{
    Error, Implements, Interface, Result,
    connection::{Connection, Handler},
    protocol::frame::Deframer,
    server::{Executor, Service},
    transport::{Link, memory},
};

/// Serves `value` as interface `I` within this process: for tests of a host or of an implementation, without a child.
///
/// Everything but the process is as with [`connect`](crate::connect): arguments and results are encoded and decoded,
/// handlers run on threads of their own, panics fail one call, deadlines hold. The value is dropped when the last handle is
/// (in the background), or by [`Process::shutdown`].
///
/// ```
/// # #[plugin_core::plugin_interface]
/// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
/// struct Exact;
///
/// impl Adder for Exact {
///     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> {
///         a.checked_add(b).ok_or_else(|| plugin_core::Error::custom("the sum is too large"))
///     }
/// }
///
/// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
/// assert_eq!(adder.add(2, 3)?, 5);
/// assert_eq!(adder.add(i64::MAX, 1).unwrap_err().to_string(), "the sum is too large");
/// # Ok::<(), plugin_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Spawn`] if no thread can be started.
pub fn in_process<I: Interface + ?Sized + 'static>(value: impl Implements<I>) -> Result<Plugin<I>> {
    let settings = Settings::default();
    let name: Arc<str> = I::DESCRIPTOR.name.into();
    let dispatchers = vec![value.into_dispatcher()];
    let executor = Executor::of(&dispatchers);
    let service = Service::new(dispatchers, Arc::default(), executor);
    let (host, plugin) = memory::pair();
    let connect = |link, handler: Arc<dyn Handler>| {
        Connection::start(Box::new(link) as Box<dyn Link>, Deframer::new(), handler, settings.connection())
            .map_err(|error| Error::Spawn { program: name.to_string(), source: Arc::new(error) })
    };
    let interfaces = service.interfaces();
    connect(plugin, Arc::clone(&service) as Arc<dyn Handler>)?;
    let life = Arc::<Life>::default();
    let supervisor = Supervisor::new(Arc::clone(&name), settings, None, Restart::Never, None);
    let watching = Arc::downgrade(&supervisor);
    let handler = HostHandler::new(Arc::clone(&name), Arc::clone(&life), settings.resume_timeout, watching, None);
    let connection = connect(host, Arc::new(handler))?;
    let body = Body::InProcess(service);
    let (usage, began) = (Usage::default(), Instant::now());
    let instance = Instance { name, settings, connection, interfaces, life, usage, body, began };
    Process::found(supervisor, instance)?.interface()
}

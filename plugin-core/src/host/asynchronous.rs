//! The host's side for async programs: what takes time, as futures for any executor.
//!
//! Starting and stopping are rare, so each is done on a thread of its own; calls are not.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Launcher, Plugin, Process, attach, handle::explain, instance::Instance};
use crate::{
    Error, ExitReport, Interface, Result,
    blocking::unblock,
    client::Client,
    deadline,
    interface::Timeout,
    protocol::{frame::Kind, message::Message},
};

/// As [`connect`](crate::connect), for an async program: starts the plugin program `what` and connects to its interface `I`.
///
/// The future runs on any executor. If it is dropped, the plugin is stopped once it has been started.
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { async fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// # async fn greet() -> plugin_core::Result<()> {
/// let greeter = plugin_core::connect_async::<dyn Greeter>("target/debug/english").await?;
/// println!("{}", greeter.greet("Ada").await?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`connect`](crate::connect).
pub async fn connect_async<I: Interface + ?Sized + 'static>(what: impl Into<Launcher>) -> Result<Plugin<I>> {
    let launcher = what.into();
    launcher.spawn_async().await?.interface_async().await
}

/// As [`attach`](crate::attach), for an async program: joins a plugin that was started by hand.
///
/// ```no_run
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { async fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// # async fn greet() -> plugin_core::Result<()> {
/// let greeter = plugin_core::attach_async::<dyn Greeter>("run/english.sock").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`attach`](crate::attach).
pub async fn attach_async<I: Interface + ?Sized + 'static>(address: impl AsRef<Path>) -> Result<Plugin<I>> {
    let address = address.as_ref().to_owned();
    let name = address.display().to_string();
    let process = started(&name, unblock("plugin-core attach", move || attach::join(&address)).await)?;
    process.interface_async().await
}

impl Launcher {
    /// As [`spawn`](Self::spawn), for an async program. If the future is dropped, the plugin is stopped once it has been
    /// started. What [`on_start`](Self::on_start) was given runs on a thread of its own, and may block.
    ///
    /// ```no_run
    /// # async fn start() -> plugin_core::Result<()> {
    /// let process = plugin_core::Launcher::new("target/debug/english").spawn_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_async(self) -> Result<Process> {
        let program = self.program();
        started(&program, unblock("plugin-core start", move || self.spawn()).await)
    }
}

impl Process {
    /// As [`interface`](Self::interface), for an async program: where the plugin is being started again, it is waited for
    /// without blocking.
    ///
    /// ```no_run
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { async fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # async fn add() -> plugin_core::Result<()> {
    /// let process = plugin_core::Launcher::new("target/debug/calculator").spawn_async().await?;
    /// let adder = process.interface_async::<dyn Adder>().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`interface`](Self::interface).
    pub async fn interface_async<I: Interface + ?Sized + 'static>(&self) -> Result<Plugin<I>> {
        let client = Client::new_async(Arc::clone(&self.handle), I::DESCRIPTOR).await?;
        Ok(Plugin::new(I::proxy(crate::objects::Client::of_plugin(client)), self.clone()))
    }

    /// As [`ping`](Self::ping), for an async program.
    ///
    /// ```no_run
    /// # async fn ping(process: &plugin_core::Process) -> plugin_core::Result<()> {
    /// println!("{:?}", process.ping_async().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub async fn ping_async(&self) -> Result<Duration> {
        let began = Instant::now();
        let limit = deadline::for_call(began, Timeout::Inherit, self.handle.call_timeout());
        let lease = self.handle.acquire_async("ping", began, limit).await?;
        let pong = lease.connection.call_async(Message::control(Kind::Ping, 0), limit).await;
        if let Err(failure) = pong {
            lease.settle(limit).await;
            return Err(explain(&lease, "ping", began, limit, &failure));
        }
        Ok(began.elapsed())
    }

    /// As [`shutdown`](Self::shutdown), for an async program. If the future is dropped, the plugin is stopped all the same.
    ///
    /// ```no_run
    /// # async fn stop(process: &plugin_core::Process) -> plugin_core::Result<()> {
    /// let report = process.shutdown_async().await?;
    /// assert!(report.status().is_some_and(|status| status.success()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub async fn shutdown_async(&self) -> Result<ExitReport> {
        self.stop_async(Instance::stop).await
    }

    /// As [`kill`](Self::kill), for an async program. If the future is dropped, the plugin is killed all the same.
    ///
    /// ```no_run
    /// # async fn kill(process: &plugin_core::Process) -> plugin_core::Result<()> {
    /// process.kill_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub async fn kill_async(&self) -> Result<ExitReport> {
        self.stop_async(Instance::kill).await
    }

    async fn stop_async(&self, how: fn(&Instance) -> Result<ExitReport>) -> Result<ExitReport> {
        let process = self.clone();
        let stopped = unblock("plugin-core stop", move || process.handle.stop(how)).await;
        stopped.map_err(|error| Error::custom(format!("no thread could be started to stop it: {error}")))?
    }
}

/// What came of starting the plugin `program` on another thread.
fn started(program: &str, outcome: io::Result<Result<Process>>) -> Result<Process> {
    outcome.map_err(|error| Error::Spawn { program: program.into(), source: Arc::new(error) })?
}

//! Plugins as child processes behind an ordinary Rust trait.
//!
//! Annotate a trait, and it is a plugin interface. A *plugin* is an ordinary executable that implements the trait and calls
//! [`serve`]. A *host* calls [`connect`] and has a value that it uses as `&dyn Trait`. Between them are a child process, a
//! local socket and MessagePack; nobody writes a shim, an IDL or a build script.
//!
//! ```no_run
//! // the crate that host and plugin share
//! #[plugin_core::plugin_interface]
//! pub trait Greeter {
//!     /// Greets `name`.
//!     fn greet(&self, name: &str) -> plugin_core::Result<String>;
//! }
//!
//! // the plugin's main.rs
//! # mod plugin {
//! # use super::Greeter;
//! struct English;
//!
//! impl Greeter for English {
//!     fn greet(&self, name: &str) -> plugin_core::Result<String> {
//!         Ok(format!("Hello, {name}!"))
//!     }
//! }
//!
//! fn main() -> plugin_core::Result<()> {
//!     plugin_core::serve::<dyn Greeter>(English)
//! }
//! # }
//!
//! // the host's main.rs
//! # mod host {
//! # use super::Greeter;
//! fn main() -> plugin_core::Result<()> {
//!     let greeter = plugin_core::connect::<dyn Greeter>("target/debug/english")?;
//!     println!("{}", greeter.greet("Ada")?);
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # Where to read on
//!
//! - The trait: [`#[plugin_interface]`](macro@plugin_interface) says what a method may take and return, what is generated, and
//!   every option.
//! - The host: [`connect`] with all defaults; [`Launcher`] with options; [`Plugin`] is the handle to an interface, [`Process`]
//!   to the process behind it; [`within`] sets a deadline; [`Output`] says where the plugin's printing goes. Without a child
//!   process: [`in_process`] for tests, [`attach`] for a plugin that runs under a debugger.
//! - The plugin: [`serve`], and [`Server`] for several interfaces; [`Call`] tells a method whether anybody still waits.
//! - Async programs: [`connect_async`], [`Launcher::spawn_async`], [`Process::shutdown_async`] and their like;
//!   [`within_async`]; [`serve_async`]. See [below](#async).
//! - Both: [`Error`], one variant for each thing one can do something about.
//!
//! # What to rely on
//!
//! - **No wait is unbounded** unless a method says `timeout = "none"`: starting ends after 10 s, a call after 30 s, stopping
//!   after 2 s, all adjustable. Every error says what happened, to which plugin and method, and what to do.
//! - **No orphans, no zombies.** A plugin ends with its host, even if that is killed, and takes the processes it started
//!   along; the host reaps every child.
//! - **A lost connection loses nothing**: while both processes live and meet again within 10 s, every call in flight completes
//!   exactly once.
//! - **A lost process is reported honestly**: calls in flight fail with its exit status and the last lines it printed, and say
//!   whether they may have run ([`Error::may_have_run`]). Nothing is repeated behind your back but methods marked
//!   `#[method(idempotent)]`; the next call finds a new process, within a budget ([`Restart`]).
//! - **A panic fails one call**, with its message and place; the plugin goes on serving. (Not where the plugin is built with
//!   `panic = "abort"`.)
//! - **Calls run side by side**: any number of threads and tasks may call through one handle, and a slow method or a large
//!   message delays nobody else.
//! - **Nothing a plugin prints breaks anything**: what it writes to standard output and standard error is forwarded line by
//!   line and never blocks it.
//! - **Nobody else gets in**: the socket is in a directory of mode 0700, every plugin proves itself with a 256-bit token that is
//!   good for one session, and the peer's user is checked where the system tells it.
//! - **No input crashes a side**: messages are capped (64 MiB, adjustable), nesting is capped (128 levels) before anything
//!   is decoded, lengths are not believed.
//! - **Versions may differ**: methods are matched by name, those with default bodies may be missing, structs may grow fields
//!   with `#[serde(default)]`, and interfaces may carry a semantic version.
//!
//! # Async
//!
//! Methods may be `async fn`, beside others that are not; the attribute says [how](macro@plugin_interface#async-methods). Their
//! futures run on any executor, and block no thread: not while they wait, nor while they send. One that is dropped cancels its
//! call. Threads and tasks may call through one handle at the same time. A sync method blocks whoever calls it, tasks too.
//!
//! In the plugin an async method begins where its request was read, and goes on elsewhere if it is not done at once; it takes no
//! thread while it waits. If its caller gives up, it is dropped where it awaits.
//!
//! The feature `tokio` says where that is. With it, async methods run on tokio: in the runtime in which [`serve_async`] is
//! awaited or [`serve`] is called, or else one that is started for them. Tasks of a host that run on tokio then have their
//! answers read by its event loop. Without it, async methods run on the threads of sync ones, which suits futures
//! that bring their own clock and sockets along, and one thread of the host reads for all tasks. No signature depends on it.
//!
//! # Callbacks
//!
//! A method may be lent functions and objects for the time of the call. The plugin calls them, and they run on the thread that
//! called the method, borrowing from its stack; or, if the method is async, inside of its caller's future, where async methods of
//! one object run beside each other.
//!
//! ```
//! #[plugin_core::plugin_interface]
//! pub trait Counter {
//!     fn count(&self, text: &str, each: &mut dyn FnMut(&str) -> plugin_core::Result<bool>) -> plugin_core::Result<usize>;
//! }
//! # struct Words;
//! # impl Counter for Words {
//! #     fn count(&self, text: &str, each: &mut dyn FnMut(&str) -> plugin_core::Result<bool>) -> plugin_core::Result<usize> {
//! #         text.split(' ').map(|word| each(word).map(usize::from)).sum()
//! #     }
//! # }
//!
//! let counter = plugin_core::in_process::<dyn Counter>(Words)?;
//! let mut seen = Vec::new();
//! let short = counter.count("to be or not", &mut |word| {
//!     seen.push(word.to_owned());
//!     Ok(word.len() < 3)
//! })?;
//! assert_eq!((short, seen.len()), (3, 4));
//! # Ok::<(), plugin_core::Error>(())
//! ```
//!
//! # Objects
//!
//! A [`Remote<dyn Trait>`](Remote) is an object that outlives the call it is passed in: a session that a plugin opens, a listener that a
//! host registers. It goes either way, anywhere in arguments and results, and calls on it go to where it lives.
//!
//! # Streams
//!
//! A [`Stream<T>`](Stream) is any number of values, produced as they are read: the matches of a search, rows of a table, events. A
//! [`ByteStream`] is the same for bytes. They are arguments or results, or parts of them, and go either way.
//!
//! ```
//! # use plugin_core::{Result, Stream};
//! #[plugin_core::plugin_interface]
//! pub trait Primes {
//!     fn from(&self, first: u64) -> Result<Stream<u64>>;
//! }
//! # struct Sieve;
//!
//! impl Primes for Sieve {
//!     fn from(&self, first: u64) -> Result<Stream<u64>> {
//!         let is_prime = |number: &u64| (2..*number).all(|factor| number % factor != 0);
//!         Ok(Stream::iter((first..).filter(is_prime).map(Ok)))
//!     }
//! }
//!
//! let primes = plugin_core::in_process::<dyn Primes>(Sieve)?;
//! for prime in primes.from(90)?.into_iter().take(3) {
//!     println!("{}", prime?);
//! }
//! # Ok::<(), plugin_core::Error>(())
//! ```
//!
//! # Debugging
//!
//! With `PLUGIN_CORE_DEBUG=1` in the environment of the host, all timeouts are suspended, in the host and in the plugins that it
//! starts, so that either can sit in a debugger: starting, calls (whatever [`within`] and `#[method(timeout)]` say), stopping,
//! resuming, being idle. What hangs then hangs until you end it: [`Process::kill`] kills at once as ever, and a plugin still
//! ends when its host is gone. The variable is read once, and plugins get it even after [`Launcher::env_clear`].
//!
//! # Limits
//!
//! Arguments and results are serialised: no borrowed results, no generics, no `&mut` arguments. 65,535 methods an interface;
//! a greeting (all names of interfaces and methods) of at most 64 KiB. 512 methods run at once in a plugin, 65,536 wait;
//! 1,024 oneway calls wait, or 1 MiB of them and one more. Async methods that await are not among those 512, but 65,536
//! at most, or 256 MiB of their arguments. An async method that blocks holds up its runtime. 256 calls back and forth wait for
//! each other. 4,096 streams are open at once in each direction, and none is more than 1 MiB ahead of its reader.
//! `Option<Option<T>>` and `Option<()>` lose their inner level in MessagePack; in signatures the attribute refuses them, in
//! your own types it cannot see them.
//!
//! Unix (tested on Linux) and Windows. How it works inside is in the repository's `ARCHITECTURE.md`, the wire in
//! `docs/protocol.md`.

mod blocking;
mod buffer;
mod client;
mod codec;
mod connection;
mod deadline;
mod environment;
mod error;
mod host;
mod interface;
mod objects;
#[doc(hidden)]
pub mod private;
mod protocol;
mod reply;
mod report;
mod server;
mod signal;
pub mod stream;
mod sync;
mod timer;
mod transport;

pub use deadline::{within, within_async};
pub use error::{Error, Result, StartStage};
pub use host::{
    Budget, Event, Events, Info, InterfaceInfo, Launcher, Output, OutputLine, OutputStream, Plugin, Process, Restart,
    State, Wait, attach, attach_async, connect, connect_async, in_process,
};
pub use interface::{Implements, Interface};
pub use objects::Remote;
pub use plugin_macros::plugin_interface;
pub use report::ExitReport;
pub use server::{Call, Server, serve, serve_async};
pub use stream::{ByteSender, ByteStream, Stream, StreamSender};

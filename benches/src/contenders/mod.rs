//! The systems that are measured. Each is a plugin program, `benches child NAME`, and a host that starts and calls it.

mod child;
mod interprocess;
mod plugin_core;
mod plugin_core_async;
#[cfg(all(feature = "peers", unix))]
mod remoc;
mod socket;
#[cfg(feature = "peers")]
mod stdio;
#[cfg(all(feature = "peers", unix))]
mod tarpc;
#[cfg(all(feature = "peers", unix))]
pub(crate) mod tonic;
#[cfg(unix)]
mod unix;

pub(crate) use child::Child;

use crate::{
    Result,
    order::{Flow, Load, Sample},
};

/// A plugin that runs, as a host sees it. It ends when this is dropped.
pub(crate) trait Running {
    /// One call, so that the plugin surely serves.
    fn greet(&self) -> Result<()>;

    /// Calls it, and says how long that took.
    fn load(&self, load: &Load) -> Result<Sample>;
}

/// A plugin that threads call, and wait for.
pub(crate) trait Blocking: Sync {
    /// Has `payload` sent back; gives its size.
    fn echo(&self, payload: &[u8]) -> Result<usize>;

    /// Has the plugin sleep.
    fn sleep(&self, millis: u64) -> Result<()>;

    /// Has the plugin call back with `payload`, so many times.
    fn call_back(&self, _payload: &[u8], _count: u64) -> Result<()> {
        Err("its plugins cannot call back".into())
    }

    /// Reads so many small items from the plugin.
    fn items(&self, _count: u64) -> Result<()> {
        Err("it has no streams".into())
    }

    /// Reads so many bytes from the plugin.
    fn bytes(&self, _count: u64) -> Result<()> {
        Err("it has no streams of bytes".into())
    }
}

/// A system to measure.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// What it is, for the report.
    pub(crate) about: &'static str,
    pub(crate) program: Program,
    /// Whether several callers can share its connection.
    pub(crate) shared: bool,
    /// What it can do beside answering calls.
    pub(crate) flows: &'static [Flow],
    /// How many idle ones are started to see what a thousand cost; 0 for those of which it is not asked.
    pub(crate) idle: usize,
}

/// Where its two sides are.
#[derive(Debug)]
pub(crate) enum Program {
    /// In this program: the host starts a plugin, the plugin serves at an address it is given.
    Here { start: fn() -> Result<Box<dyn Running>>, serve: fn(&str) -> Result<()> },
    /// In the program made of `benches/go`, under this name.
    #[cfg_attr(not(feature = "peers"), allow(dead_code, reason = "all of them are peers"))]
    Go(&'static str),
}

/// What all ratios are to: the blocking Unix socket.
pub(crate) const RAW: &str = "raw";
pub(crate) const PLUGIN_CORE: &str = "plugin-core";
/// plugin-core, told to block where it would yield.
pub(crate) const PLUGIN_CORE_BLOCK: &str = "plugin-core-block";

/// plugin-core, called by tasks.
pub(crate) const PLUGIN_CORE_ASYNC: &str = "plugin-core-async";

/// All that this program was built to measure, in the order of the tables.
pub(crate) const ALL: &[Contender] = &[
    #[cfg(unix)]
    Contender {
        name: RAW,
        about: "`std::os::unix::net::UnixStream`, blocking; bytes after a length, no codec: the limit",
        program: Program::Here { start: unix::start, serve: unix::serve },
        shared: false,
        flows: &[Flow::Bytes],
        idle: 0,
    },
    Contender {
        name: "interprocess",
        about: "the same over `interprocess`'s local socket",
        program: Program::Here { start: interprocess::start, serve: interprocess::serve },
        shared: false,
        flows: &[],
        idle: 0,
    },
    Contender {
        name: PLUGIN_CORE,
        about: "this project; callers are threads",
        program: Program::Here { start: plugin_core::start, serve: plugin_core::serve },
        shared: true,
        flows: &[Flow::Callbacks, Flow::Items, Flow::Bytes],
        idle: 1000,
    },
    Contender {
        name: PLUGIN_CORE_BLOCK,
        about: "the same with `Wait::Block`",
        program: Program::Here { start: plugin_core::start_blocking, serve: plugin_core::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    Contender {
        name: PLUGIN_CORE_ASYNC,
        about: "this project; async methods, on a tokio runtime of one thread in the host; callers are tasks",
        program: Program::Here { start: plugin_core_async::start, serve: plugin_core_async::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    #[cfg(all(feature = "peers", unix))]
    Contender {
        name: "tarpc",
        about: "tarpc, MessagePack over a Unix socket, a tokio runtime of one thread on each side; callers are tasks",
        program: Program::Here { start: tarpc::start, serve: tarpc::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    #[cfg(all(feature = "peers", unix))]
    Contender {
        name: "tonic",
        about: "tonic: gRPC with prost over a Unix socket, a tokio runtime of one thread on each side; callers are tasks",
        program: Program::Here { start: tonic::start, serve: tonic::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    #[cfg(all(feature = "peers", unix))]
    Contender {
        name: "remoc",
        about: "remoc's remote traits over a Unix socket, a tokio runtime of one thread on each side; callers are tasks",
        program: Program::Here { start: remoc::start, serve: remoc::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    #[cfg(feature = "peers")]
    Contender {
        name: "stdio",
        about: "MessagePack with named fields over standard input and output, as nushell's plugins: a reader thread, a \
                channel for each call, in the plugin a thread for each call",
        program: Program::Here { start: stdio::start, serve: stdio::serve },
        shared: true,
        flows: &[],
        idle: 0,
    },
    #[cfg(feature = "peers")]
    Contender {
        name: "go-plugin-netrpc",
        about: "hashicorp/go-plugin with net/rpc; callers are goroutines",
        program: Program::Go("netrpc"),
        shared: true,
        flows: &[],
        idle: 100,
    },
    #[cfg(feature = "peers")]
    Contender {
        name: "go-plugin-grpc",
        about: "hashicorp/go-plugin with gRPC; callers are goroutines",
        program: Program::Go("grpc"),
        shared: true,
        flows: &[],
        idle: 100,
    },
    #[cfg(feature = "peers")]
    Contender {
        name: "go-http",
        about: "HTTP and JSON over a Unix socket in Go, as tilotech/go-plugin; callers are goroutines",
        program: Program::Go("http"),
        shared: true,
        flows: &[],
        idle: 0,
    },
];

/// The contender of that name.
pub(crate) fn named(name: &str) -> Result<&'static Contender> {
    ALL.iter().find(|contender| contender.name == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|contender| contender.name).collect();
        format!("there is no contender `{name}`: there are {}", names.join(", ")).into()
    })
}

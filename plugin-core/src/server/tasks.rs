//! Answering by async methods: polled where the request was read, and spawned only if that does not finish it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use super::{
    call::CallState,
    outcome::fault_failure,
    panics::{self, Panic},
};
use crate::{
    codec::{
        Encoder,
        along::{self, Thing},
    },
    connection::lock,
    interface::{Descriptor, Dispatched, Fault, Request, Verdict},
    objects::context::Context as Origin,
    protocol::message::{Failure, FailureKind, Message},
};

/// What has come of a method.
pub(crate) type Outcome = Result<(Verdict, Encoder), Failure>;

/// The run of one async method.
pub(crate) struct Run<'a> {
    /// `None` once it has ended.
    future: Option<Dispatched<'a>>,
    /// `None` while it is polled.
    call: Option<Arc<CallState>>,
    /// What its arguments may refer to; `None` while it is polled, and where that is what its thread answers anyway.
    origin: Option<Origin>,
    interface: &'static Descriptor,
    method: u16,
    /// What its arguments refer to, until they are decoded: when it is polled first.
    brought: Option<Thing>,
}

impl<'a> Run<'a> {
    /// Begins to run the method of `interface` that `request` asks for, by `dispatch`; takes its payload.
    pub(crate) fn new(
        interface: &'static Descriptor,
        request: &mut Message,
        call: Arc<CallState>,
        limit: usize,
        dispatch: impl FnOnce(usize, Request, Encoder) -> Dispatched<'a>,
    ) -> Result<Self, Failure> {
        let (method, meta, brought) = (request.method, request.meta, request.cargo.take());
        let arguments = Request::new(std::mem::take(&mut request.payload), meta);
        let future = panics::catch(|| dispatch(method.into(), arguments, Encoder::new(limit)));
        let future = future.map_err(|panic| Failure::panicked(&panic.message, panic.location.as_deref()))?;
        Ok(Self { future: Some(future), call: Some(call), origin: None, interface, method, brought })
    }

    /// From here on, it may be polled on any thread.
    pub(crate) fn is_made_from(&mut self, origin: Origin) {
        self.origin = Some(origin);
    }

    /// The call that it answers. To be asked for while it is not polled.
    pub(super) fn call(&self) -> &Arc<CallState> {
        self.call.as_ref().expect("it is not being polled")
    }

    /// Ends it, whatever its method waits for: what the method holds is dropped here.
    fn end(&mut self) -> Option<Panic> {
        let future = self.future.take();
        CallState::run_in(&mut self.call, || panics::catch(|| drop(future))).err()
    }

    /// Polls the method, whatever its caller says.
    ///
    /// A method may be polled inside of another, as deep as calls may nest: so what it gives goes through no more of what is around
    /// it here than must be.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let (future, call, origin) = (&mut self.future, &mut self.call, &mut self.origin);
        let mut polled = None;
        let mut poll = || {
            let Some(running) = future.as_mut() else { return };
            if let Poll::Ready(outcome) = running.as_mut().poll(context) {
                polled = Some(outcome);
                // Dropped here, for the method's own code may do so. A panic of a value's `Drop` has no other answer to spoil
                // than this one.
                *future = None;
            }
        };
        let panic = along::coming(self.brought.take(), || {
            let mut poll = || CallState::run_in(call, || panics::catch(&mut poll).err().map(Box::new));
            if origin.is_some() { Origin::run_in(origin, poll) } else { poll() }
        });
        match (panic, polled) {
            (None, None) => Poll::Pending,
            (None, Some(outcome)) => Poll::Ready(self.concluded(outcome)),
            (Some(panic), _) => Poll::Ready(Err(self.panicked(*panic))),
        }
    }

    fn concluded(&self, outcome: Result<(Verdict, Encoder), Fault>) -> Outcome {
        outcome.map_err(|fault| fault_failure(fault, self.interface.name, self.method))
    }

    fn panicked(&mut self, panic: Panic) -> Failure {
        let panic = self.end().unwrap_or(panic);
        Failure::panicked(&panic.message, panic.location.as_deref())
    }
}

impl Future for Run<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let me = &mut *self;
        // Before it is looked at whether it is to end: who wants that says so first, and wakes then.
        me.call().wakes(context);
        let failure = if me.call().is_given_up() {
            Some(Failure::new(FailureKind::Cancelled, "its caller has given up"))
        } else {
            me.call().is_over().then(interrupted)
        };
        if let Some(failure) = failure {
            me.end();
            return Poll::Ready(Err(failure));
        }
        me.go_on(context)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.end();
        }
    }
}

/// Why a method that had begun will not end: the plugin is stopping, or what its tasks run on has ended before it.
pub(super) fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "the plugin does not run it to its end")
}

/// How many async methods may wait for something at once before further ones are refused, and how many bytes of arguments they
/// hold then.
const MAX_SPAWNED: usize = 65_536;
const MAX_SPAWNED_BYTES: usize = 256 << 20;

/// The async methods that run and were not done at once.
#[derive(Default)]
pub(super) struct Spawned {
    load: Mutex<Load>,
    /// There are some, to be looked at without a lock.
    is_any: AtomicBool,
    /// Signalled when there are none.
    none: Condvar,
}

/// How many there are, and what their requests held.
#[derive(Debug, Default)]
struct Load {
    count: usize,
    bytes: usize,
}

/// One of them.
pub(super) struct Counted {
    spawned: Arc<Spawned>,
    bytes: usize,
}

impl Spawned {
    pub(super) fn begin(self: &Arc<Self>, bytes: usize) -> Counted {
        let mut load = lock(&self.load);
        load.count += 1;
        load.bytes += bytes;
        self.is_any.store(true, Ordering::Relaxed);
        Counted { spawned: Arc::clone(self), bytes }
    }

    /// Whether there are so many that a request of so many bytes is to be refused.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        // What another thread adds at this moment, a moment later it would not have found either.
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let load = lock(&self.load);
        load.count >= MAX_SPAWNED || (load.count > 0 && load.bytes.saturating_add(bytes) > MAX_SPAWNED_BYTES)
    }

    /// Waits until all have ended, but not past `deadline`.
    pub(super) fn wait_none(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.none.wait_timeout_while(lock(&self.load), left, |load| load.count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut load = lock(&self.spawned.load);
        load.count -= 1;
        load.bytes -= self.bytes;
        if load.count == 0 {
            self.spawned.is_any.store(false, Ordering::Relaxed);
            self.spawned.none.notify_all();
        }
    }
}

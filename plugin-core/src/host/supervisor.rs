//! Keeping a plugin running: its starts, and what happens when its process dies.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, Weak, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    Keeper,
    acquire::ADMITTED,
    events::{Broadcast, Event},
    handle::Handle,
    instance::{Body, Instance},
    launcher::{OnStart, Settings},
    phase::{Failed, Phase, State},
    process::{self, Process},
    restart::{Decision, History, Restart},
    start::Launch,
};
use crate::{
    Error, ExitReport, Result,
    connection::{Connection, lock},
    deadline,
    signal::Signal,
};

/// One plugin through all its runs.
pub(super) struct Supervisor {
    pub(super) name: Arc<str>,
    pub(super) settings: Settings,
    pub(super) events: Broadcast,
    /// How to start it; `None` where this host did not.
    pub(super) launch: Option<Mutex<Launch>>,
    on_start: Option<OnStart>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Signal,
    /// What keeps the plugin wanted; set once, right after this is made.
    handle: OnceLock<Weak<Handle>>,
}

impl Supervisor {
    pub(super) fn new(
        name: Arc<str>,
        settings: Settings,
        launch: Option<Launch>,
        restart: Restart,
        on_start: Option<OnStart>,
    ) -> Arc<Self> {
        let history = History::new(if launch.is_some() { restart } else { Restart::Never });
        Arc::new(Self {
            name,
            settings,
            events: Broadcast::default(),
            launch: launch.map(Mutex::new),
            on_start,
            state: Mutex::new(State::new(history)),
            changed: Signal::default(),
            handle: OnceLock::new(),
        })
    }

    /// Says what keeps the plugin wanted.
    pub(super) fn belongs_to(&self, handle: &Arc<Handle>) {
        // Set once, by whoever made both.
        let _ = self.handle.set(Arc::downgrade(handle));
    }

    /// Starts the plugin and lets calls through, once `on_start` has run.
    pub(super) fn start(self: &Arc<Self>, handle: &Arc<Handle>) -> Result<()> {
        let started = match &self.launch {
            Some(launch) => lock(launch).start(self),
            None => Err(Error::custom("this host did not start the plugin, so it cannot start it again")),
        };
        let failed = |why: fn(Error) -> Failed| {
            move |error: Error| {
                self.enter(Phase::Failed(why(error.clone())));
                error
            }
        };
        let instance = started.map_err(failed(Failed::Start))?;
        let instance = self.greet(instance, handle).map_err(failed(Failed::OnStart))?;
        self.let_through(&instance)
    }

    /// Runs `on_start`, before others may call.
    fn greet(&self, instance: Arc<Instance>, handle: &Arc<Handle>) -> Result<Arc<Instance>> {
        let Some(on_start) = &self.on_start else { return Ok(instance) };
        {
            let mut state = lock(&self.state);
            state.last = Some(Arc::clone(&instance));
            state.greeting = Some(Arc::clone(&instance));
        }
        self.changed.notify_all(); // Whoever waits to stop the plugin can do so now.
        ADMITTED.with_borrow_mut(|admitted| admitted.push(Arc::clone(&instance)));
        let process = Process::of(Arc::clone(handle));
        let outcome = catch_unwind(AssertUnwindSafe(|| on_start(&process)));
        ADMITTED.with_borrow_mut(Vec::pop);
        lock(&self.state).greeting = None;
        let Err(error) = outcome.unwrap_or_else(|_| Err(Error::custom("the launcher's `on_start` panicked"))) else {
            return Ok(instance);
        };
        // What it says of its own end is less than why it had to end.
        let _ = instance.kill();
        Err(error)
    }

    /// Lets calls through to a run, unless the plugin was stopped meanwhile.
    pub(super) fn let_through(self: &Arc<Self>, instance: &Arc<Instance>) -> Result<()> {
        let mut state = lock(&self.state);
        state.last = Some(Arc::clone(instance));
        if state.is_stopped {
            drop(state);
            let stopped = instance.stop();
            self.enter(Phase::Down(Arc::default()));
            return stopped.map(drop);
        }
        self.events.tell(&Event::Started { pid: instance.pid() });
        state.has_given_up = false;
        state.phase = Phase::Running(Arc::clone(instance));
        instance.usage.is_let_through.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_all();
        self.watch_usage(instance);
        // Whoever waits for its end may have looked when it was not let through yet.
        if let Some(report) = instance.life.report() {
            self.ended(instance, &report);
        }
        Ok(())
    }

    fn enter(&self, phase: Phase) {
        lock(&self.state).phase = phase;
        self.changed.notify_all();
    }

    /// Sees to the end of a run that is of no use any more, so that the next can begin.
    pub(super) fn bury(
        self: &Arc<Self>,
        instance: &Arc<Instance>,
        method: &str,
        began: Instant,
        deadline: Option<Instant>,
    ) -> Result<()> {
        if self.launch.is_none() || instance.life.is_stopping() {
            return Err(instance.lost(method, false, deadline));
        }
        let report = match instance.life.wait_end(instance.exit_limit(deadline)) {
            Some(report) => report,
            None if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return Err(self.late(method, began, deadline));
            }
            // It lives on, and nobody can call it any more.
            None => Arc::new(instance.end()?),
        };
        let error = instance.lost(method, false, deadline);
        self.ended(instance, &report);
        let restarts = lock(&self.state).history.restarts();
        if restarts { Ok(()) } else { Err(error) }
    }

    /// Notes that a run has ended; the first who notices it says so.
    pub(super) fn ended(self: &Arc<Self>, ended: &Arc<Instance>, report: &Arc<ExitReport>) {
        let mut state = lock(&self.state);
        let Phase::Running(instance) = &state.phase else { return };
        if !Arc::ptr_eq(instance, ended) {
            return;
        }
        state.history.ran_for(ended.began.elapsed());
        state.phase = Phase::Down(Arc::clone(report));
        if !ended.life.is_stopping() {
            self.events.tell(&Event::Crashed(Arc::clone(report)));
            if state.history.is_always() && !state.is_stopped {
                // Where it gives up, the next call is told.
                let _ = self.decide(&mut state, "restart");
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// As [`ended`](Self::ended), for whoever knows the process only.
    pub(super) fn process_ended(self: &Arc<Self>, pid: u32, report: &Arc<ExitReport>) {
        let instance = match &lock(&self.state).phase {
            Phase::Running(instance) if instance.pid() == Some(pid) => Arc::clone(instance),
            _ => return,
        };
        self.ended(&instance, report);
    }

    /// Starts the plugin again, on a thread of its own, if that is allowed.
    pub(super) fn decide(self: &Arc<Self>, state: &mut State, method: &str) -> Result<()> {
        match state.history.decide(Instant::now()) {
            Decision::Restart { attempt, delay } => {
                self.start_soon(state, delay)?;
                // The thread waits for the state, so this is told before anything that it does.
                state.has_given_up = false;
                self.events.tell(&Event::Restarting { attempt, delay });
                Ok(())
            }
            Decision::Leave => Err(state.why_down(&self.name, method)),
            Decision::GiveUp => {
                if !std::mem::replace(&mut state.has_given_up, true) {
                    self.events.tell(&Event::GaveUp);
                }
                Err(Error::GaveUp {
                    plugin: self.name(),
                    method: method.into(),
                    may_have_run: false,
                    last: Arc::new(state.why_down(&self.name, method)),
                })
            }
        }
    }

    /// Starts the plugin after `delay`, on a thread of its own.
    pub(super) fn start_soon(self: &Arc<Self>, state: &mut State, delay: Duration) -> Result<()> {
        let supervisor = Arc::clone(self);
        let restart = move || supervisor.restart(delay);
        let spawned = thread::Builder::new().name("plugin-core restart".into()).spawn(restart);
        spawned.map_err(|error| Error::Spawn { program: self.name(), source: Arc::new(error) })?;
        state.phase = Phase::Starting;
        Ok(())
    }

    fn restart(self: Arc<Self>, delay: Duration) {
        {
            let deadline = Instant::now() + delay;
            let mut state = lock(&self.state);
            while !state.is_stopped {
                match self.wait(state, Some(deadline)) {
                    Some(guard) => state = guard,
                    None => break,
                }
            }
        }
        let handle = self.handle.get().and_then(Weak::upgrade);
        let is_wanted = !lock(&self.state).is_stopped;
        match handle.filter(|_| is_wanted) {
            Some(handle) => {
                // What went wrong is told to those who wait; who restarts always tries again.
                if self.start(&handle).is_err() {
                    let mut state = lock(&self.state);
                    if state.history.is_always() && !state.is_stopped && matches!(state.phase, Phase::Failed(_)) {
                        let _ = self.decide(&mut state, "restart");
                    }
                }
            }
            None => self.enter(Phase::Down(Arc::default())),
        }
    }

    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
    ) -> Option<MutexGuard<'a, State>> {
        let Some(deadline) = deadline else {
            return Some(self.changed.wait(state));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        Some(self.changed.wait_timeout(state, left))
    }

    pub(super) fn name(&self) -> String {
        self.name.to_string()
    }

    /// The present run, or the last.
    pub(super) fn last(&self) -> Option<Arc<Instance>> {
        lock(&self.state).last.clone()
    }

    /// What keeps the plugin running for whoever holds an object of the run that has that connection.
    pub(super) fn keeper(&self, connection: &Arc<Connection>) -> Option<Keeper> {
        let instance = self.last().filter(|run| Arc::ptr_eq(&run.connection, connection))?;
        Some(Keeper { instance, _handle: self.handle.get()?.upgrade()? })
    }

    /// Whether the plugin runs, as far as is known without asking it.
    pub(super) fn state(&self) -> process::State {
        use process::State;
        let state = lock(&self.state);
        let has_ended = state.last.as_ref().is_some_and(|last| last.life.report().is_some());
        match &state.phase {
            Phase::Starting => State::Restarting,
            Phase::Resting if !state.is_stopped => State::Stopping,
            Phase::Idle if !state.is_stopped => State::Idle,
            _ if has_ended => State::Ended,
            _ if state.is_stopped => State::Stopping,
            Phase::Running(instance) if instance.is_usable() => State::Running,
            _ => State::Ended,
        }
    }

    /// Stops the plugin for good, gracefully or at once, and waits for its end.
    pub(super) fn stop(&self, how: fn(&Instance) -> Result<ExitReport>) -> Result<ExitReport> {
        let mut state = lock(&self.state);
        state.is_stopped = true;
        self.changed.notify_all();
        let limit = self.settings.start_timeout.saturating_add(self.settings.stop_timeout);
        let deadline = Some(deadline::after(Instant::now(), limit));
        // A run in its `on_start` is stopped like any other: what that calls then fails, and it ends.
        while matches!(state.phase, Phase::Starting) && state.greeting.is_none() {
            match self.wait(state, deadline) {
                Some(guard) => state = guard,
                None => return Err(Error::custom(format!("plugin `{}` is still being started; try again", self.name))),
            }
        }
        let last = state.greeting.clone().or_else(|| state.last.clone());
        drop(state);
        let Some(instance) = last else { return Ok(ExitReport::default()) };
        let report = how(&instance)?;
        if !std::mem::replace(&mut lock(&self.state).has_told_stopped, true) {
            self.events.tell(&Event::Stopped(Arc::new(report.clone())));
        }
        Ok(report)
    }

    /// Whether there is a process to stop.
    pub(super) fn is_down(&self) -> bool {
        let state = lock(&self.state);
        match &state.phase {
            Phase::Running(instance) => instance.life.report().is_some(),
            Phase::Starting | Phase::Resting => false,
            Phase::Idle | Phase::Down(_) | Phase::Failed(_) => true,
        }
    }

    /// Ends at once whatever runs, where there is no time or thread to be gentle.
    pub(super) fn abandon(&self) {
        let instance = self.last();
        if let Some(Body::Child { child, .. }) = instance.as_deref().map(|instance| &instance.body) {
            child.kill();
        }
    }
}

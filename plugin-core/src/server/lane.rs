//! Oneway calls: one at a time, in the order in which they came.
//!
//! They have a thread of their own, there while there are any: the pool may be full of calls that wait for what a oneway
//! call does, and a job that waits in its queue is refused or dropped where these must not be. How many may wait is for the
//! protocol to say ([`oneway`](crate::protocol::oneway)).

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{call::CallState, panics};
use crate::connection::lock;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// How long there must have been nothing to run before that is told: seldom in a stream of calls, and soon behind it.
const REST: Duration = Duration::from_millis(20);

/// One call to be run.
pub(super) type Turn = Box<dyn FnOnce(&Arc<CallState>) + Send>;

/// What tells that there has been nothing to run for a moment.
pub(super) type Resting = Box<dyn Fn() + Send + Sync>;

/// A queue, and at most one thread that runs what is in it.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// Signalled when there is something to run, or nothing more will come.
    work: Condvar,
    /// Signalled when the thread has run one.
    done: Condvar,
    resting: OnceLock<Resting>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Turn>,
    /// The call that is being run.
    running: Option<Arc<CallState>>,
    has_thread: bool,
    is_stopping: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_none()
    }
}

impl Lane {
    /// Has it told whenever all that came has been run; the first who says how is the one who counts.
    pub(super) fn tell_rest(&self, resting: impl FnOnce() -> Resting) {
        self.resting.get_or_init(resting);
    }

    /// Runs `turn` after all that came before it. Never blocks. Gives it back where that cannot be.
    pub(super) fn submit(self: &Arc<Self>, turn: Turn) -> Result<(), Turn> {
        let mut state = lock(&self.state);
        if state.is_stopping {
            return Err(turn);
        }
        if !state.has_thread {
            let lane = Arc::clone(self);
            let spawned = thread::Builder::new().name("plugin-core oneway".into()).spawn(move || lane.work());
            if spawned.is_err() {
                return Err(turn);
            }
            state.has_thread = true;
        }
        state.queue.push_back(turn);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        let mut has_rested = true;
        loop {
            if let Some(turn) = state.queue.pop_front() {
                state = self.run(state, turn);
                has_rested = false;
                continue;
            }
            let has_nothing_to_do = |state: &mut State| state.queue.is_empty() && !state.is_stopping;
            let limit = if has_rested { IDLE } else { REST };
            let waited = self.work.wait_timeout_while(state, limit, has_nothing_to_do);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !state.queue.is_empty() {
                continue;
            }
            if has_rested || state.is_stopping {
                state.has_thread = false;
                return;
            }
            drop(state);
            if let Some(resting) = self.resting.get() {
                resting();
            }
            has_rested = true;
            state = lock(&self.state);
        }
    }

    fn run<'a>(&'a self, mut state: MutexGuard<'a, State>, turn: Turn) -> MutexGuard<'a, State> {
        // Nobody waits for it, so it has no deadline; only the plugin's end cancels it.
        let call = CallState::new(None);
        if state.is_stopping {
            call.stop();
        }
        state.running = Some(Arc::clone(&call));
        drop(state);
        // A panic here is one of a value's `Drop`; it must not take the thread along.
        let _ = panics::catch(|| turn(&call));
        state = lock(&self.state);
        state.running = None;
        self.done.notify_all();
        state
    }

    /// Takes no more, and cancels the one that runs; those that wait still have their turn, see [`finish`](Self::finish).
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.is_stopping = true;
        if let Some(call) = &state.running {
            call.stop();
        }
        drop(state);
        self.work.notify_one();
    }

    /// Waits until all that came before [`stop`](Self::stop) has run, but not past `deadline`; then ends the task that runs, if
    /// it is one, drops what is left, and gives how many that were.
    pub(super) fn finish(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.done.wait_timeout_while(lock(&self.state), left, |state| !state.is_idle());
        let (dropped, running) = {
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            (std::mem::take(&mut state.queue), state.running.clone())
        };
        if let Some(call) = running {
            call.end();
        }
        // Dropped without the lock: one may hold the last handle of something.
        dropped.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Call;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);

    fn submit(lane: &Arc<Lane>, turn: impl FnOnce() + Send + 'static) {
        assert!(lane.submit(Box::new(|call| call.run(turn))).is_ok());
    }

    #[test]
    fn turns_are_taken_one_at_a_time_and_in_order_and_a_panic_ends_only_its_own() {
        let lane = Arc::<Lane>::default();
        let (sender, receiver) = mpsc::channel();
        for number in 0..1000 {
            let sender = sender.clone();
            submit(&lane, move || {
                sender.send(number).unwrap();
                assert!(number % 100 != 50, "on purpose");
                sender.send(number).unwrap();
            });
        }
        drop(sender);
        let expected = (0..1000).flat_map(|number| if number % 100 == 50 { vec![number] } else { vec![number; 2] });
        assert!(expected.eq(receiver.iter()), "begun and ended in turn");
    }

    #[test]
    fn rest_is_told_once_behind_all_that_came() {
        let lane = Arc::<Lane>::default();
        let (sender, receiver) = mpsc::channel();
        let resting = sender.clone();
        lane.tell_rest(|| Box::new(move || resting.send("rest").unwrap()));
        for _ in 0..2 {
            for _ in 0..100 {
                let sender = sender.clone();
                submit(&lane, move || sender.send("turn").unwrap());
            }
            let told: Vec<_> = (0..101).map(|_| receiver.recv_timeout(LONG).unwrap()).collect();
            assert!(told[..100].iter().all(|told| *told == "turn") && told[100] == "rest");
        }
        assert!(receiver.recv_timeout(2 * REST).is_err(), "once is enough");
    }

    #[test]
    fn at_the_end_those_that_wait_have_their_turn_within_the_grace() {
        let lane = Arc::<Lane>::default();
        let (sender, receiver) = mpsc::channel();
        let (release, blocked) = mpsc::channel::<()>();
        submit(&lane, move || assert!(blocked.recv().is_err()));
        for _ in 0..10 {
            let sender = sender.clone();
            submit(&lane, move || sender.send(Call::current().is_cancelled()).unwrap());
        }
        lane.stop();
        assert!(lane.submit(Box::new(|_| ())).is_err());
        drop(release);
        assert_eq!(lane.finish(Instant::now() + LONG), 0);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [true; 10]);
    }

    #[test]
    fn the_end_does_not_wait_past_its_grace_and_drops_the_rest() {
        let lane = Arc::<Lane>::default();
        let (begun, begins) = mpsc::channel();
        let (release, blocked) = mpsc::channel::<()>();
        submit(&lane, move || {
            begun.send(Call::current()).unwrap();
            let _ = blocked.recv();
        });
        let running = begins.recv_timeout(LONG).unwrap();
        assert!(!running.is_cancelled() && running.remaining().is_none());
        for _ in 0..3 {
            submit(&lane, || unreachable!("it was dropped"));
        }
        lane.stop();
        assert!(running.is_cancelled());
        assert_eq!(lane.finish(Instant::now() + Duration::from_millis(20)), 3);
        drop(release);
        assert_eq!(lane.finish(Instant::now() + LONG), 0);
    }
}

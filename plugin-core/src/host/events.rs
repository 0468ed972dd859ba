//! What happens to a plugin, told to whoever wants to know.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, Weak},
    task::Poll,
    time::{Duration, Instant},
};

use super::life::Waiting;
use crate::{
    ExitReport,
    connection::lock,
    signal::{Place, Signal},
};

/// How many past events a new subscriber is told, and how many a slow one may be behind.
const REMEMBERED: usize = 256;

/// Something that happened to a plugin.
///
/// ```no_run
/// use plugin_core::{Event, Launcher};
///
/// let process = Launcher::new("target/debug/english").spawn()?;
/// for event in process.events() {
///     match event {
///         Event::Crashed(report) => println!("it crashed: {report}"),
///         Event::Restarting { attempt, delay } => println!("restart {attempt} in {delay:?}"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok::<(), plugin_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// It was started and can be called.
    Started {
        /// Its process id; `None` for an attached or in-process plugin.
        pid: Option<u32>,
    },
    /// The connection was cut. Calls wait for it to be resumed. That of an attached plugin may also be lost for good.
    ///
    /// A cut that the plugin has made good before this host noticed it is not told.
    Disconnected,
    /// The connection was resumed; no call was lost.
    Resumed,
    /// Calls wait for it, and it has given no sign of life for 2 s although it was asked for one: it was stopped (`SIGSTOP`,
    /// a debugger), or its machine sleeps. Nothing is done about it; calls go on when it wakes.
    Unresponsive,
    /// It has given a sign of life again.
    Responsive,
    /// Its process ended although nobody had stopped it.
    Crashed(Arc<ExitReport>),
    /// It will be started again.
    Restarting {
        /// Which restart this is, within the time that the budget looks back, from 1.
        attempt: usize,
        /// How long that will wait.
        delay: Duration,
    },
    /// The restart budget is spent.
    GaveUp,
    /// It was stopped since nobody had called it for the launcher's
    /// [`idle_timeout`](crate::Launcher::idle_timeout). The next call starts it again, which is told by `Started`.
    Idle(Arc<ExitReport>),
    /// This host has stopped it, for good.
    ///
    /// However it ended: what crashes while it is being stopped, or so shortly before that nobody had noticed yet, is told by
    /// the report alone.
    Stopped(Arc<ExitReport>),
}

/// The events of one plugin, in order: an iterator that waits for the next, and ends with the plugin's last handle.
///
/// A new subscriber is first told what has happened so far (the last 256 events). One that falls further behind than 256
/// events misses what is too much. In async programs [`next_async`](Self::next_async) waits without blocking.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

impl Events {
    /// The next event, for an async program; `None` once there will be no more.
    ///
    /// The future runs on any executor. If it is dropped, as in a `select!`, no event is lost: the next call gives it.
    ///
    /// ```no_run
    /// # async fn watch(process: &plugin_core::Process) {
    /// let mut events = process.events();
    /// while let Some(event) = events.next_async().await {
    ///     println!("{event:?}");
    /// }
    /// # }
    /// ```
    pub async fn next_async(&mut self) -> Option<Event> {
        let queue = &*self.0;
        let mut waiting = Waiting { signal: &queue.changed, place: Place::default() };
        poll_fn(|context| {
            let waker = context.waker().clone();
            let mut pending = lock(&queue.pending);
            if !pending.events.is_empty() || pending.is_over {
                return Poll::Ready(pending.events.pop_front());
            }
            // Under the lock: whoever adds one looks for those that wait behind that.
            let last = queue.changed.register(&mut waiting.place, waker);
            drop(pending);
            drop(last);
            Poll::Pending
        })
        .await
    }

    /// The next event, if one comes within `limit`.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Adder { fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>; }
    /// # struct Exact;
    /// # impl Adder for Exact {
    /// #     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> { Ok(a + b) }
    /// # }
    /// use std::time::Duration;
    /// use plugin_core::{Event, Plugin};
    ///
    /// let adder = plugin_core::in_process::<dyn Adder>(Exact)?;
    /// let events = Plugin::process(&adder).events();
    /// assert!(matches!(events.next_within(Duration::from_secs(9)), Some(Event::Started { .. })));
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn next_within(&self, limit: Duration) -> Option<Event> {
        self.0.pop(Instant::now().checked_add(limit))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.pop(None)
    }
}

/// What one subscriber has not taken yet.
#[derive(Debug, Default)]
struct Queue {
    pending: Mutex<Pending>,
    /// Notified of an event, and of the end.
    changed: Signal,
}

#[derive(Debug, Default)]
struct Pending {
    events: VecDeque<Event>,
    /// Nothing will be added.
    is_over: bool,
}

impl Queue {
    /// Takes the next event; waits for it, but not past `deadline`.
    fn pop(&self, deadline: Option<Instant>) -> Option<Event> {
        let mut pending = lock(&self.pending);
        loop {
            if !pending.events.is_empty() || pending.is_over {
                return pending.events.pop_front();
            }
            pending = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(left) => self.changed.wait_timeout(pending, left),
                None => self.changed.wait(pending),
            };
        }
    }

    fn push(&self, event: Event) {
        let mut pending = lock(&self.pending);
        if pending.events.len() < 2 * REMEMBERED {
            pending.events.push_back(event);
        }
    }

    fn end(&self) {
        lock(&self.pending).is_over = true;
        self.changed.notify_all();
    }
}

/// Where events are told.
#[derive(Debug, Default)]
pub(super) struct Broadcast(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    past: VecDeque<Event>,
    queues: Vec<Weak<Queue>>,
}

impl Broadcast {
    pub(super) fn tell(&self, event: &Event) {
        for queue in lock(&self.0).add(event) {
            // Without the lock: what is woken may be code of somebody else's.
            queue.changed.notify_all();
        }
    }

    pub(super) fn subscribe(&self) -> Events {
        let mut listeners = lock(&self.0);
        let queue = Arc::<Queue>::default();
        // There is room for all of them.
        lock(&queue.pending).events.extend(listeners.past.iter().cloned());
        listeners.queues.push(Arc::downgrade(&queue));
        Events(queue)
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        for queue in lock(&self.0).queues.drain(..).filter_map(|queue| queue.upgrade()) {
            queue.end();
        }
    }
}

impl Listeners {
    /// Gives the event to all; a listener that is gone is forgotten, one that is full misses it. Gives whom to notify.
    fn add(&mut self, event: &Event) -> Vec<Arc<Queue>> {
        self.queues.retain(|queue| queue.strong_count() > 0);
        let queues: Vec<Arc<Queue>> = self.queues.iter().filter_map(Weak::upgrade).collect();
        for queue in &queues {
            queue.push(event.clone());
        }
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(event.clone());
        queues
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Wake},
        thread,
    };

    use super::*;

    #[test]
    fn every_subscriber_is_told_everything_once_and_in_order() {
        let broadcast = Broadcast::default();
        let early = broadcast.subscribe();
        broadcast.tell(&Event::Disconnected);
        let late = broadcast.subscribe();
        broadcast.tell(&Event::Resumed);
        drop(broadcast);
        for events in [early, late] {
            let names: Vec<String> = events.map(|event| format!("{event:?}")).collect();
            assert_eq!(names, ["Disconnected", "Resumed"]);
        }
    }

    #[test]
    fn a_subscriber_that_does_not_listen_costs_bounded_memory() {
        let broadcast = Broadcast::default();
        let deaf = broadcast.subscribe();
        for _ in 0..10 * REMEMBERED {
            broadcast.tell(&Event::Disconnected);
        }
        assert_eq!(lock(&broadcast.0).past.len(), REMEMBERED);
        drop(broadcast);
        assert_eq!(deaf.count(), 2 * REMEMBERED);
    }

    #[test]
    fn a_subscriber_that_has_gone_is_forgotten() {
        let broadcast = Broadcast::default();
        for _ in 0..3 {
            drop(broadcast.subscribe());
            broadcast.tell(&Event::Disconnected);
        }
        assert!(lock(&broadcast.0).queues.is_empty());
    }

    #[test]
    fn a_thread_that_waits_has_the_next_event_or_none_in_time() {
        let broadcast = Broadcast::default();
        let events = broadcast.subscribe();
        assert!(events.next_within(Duration::from_millis(1)).is_none());
        thread::scope(|scope| {
            let long = Duration::from_secs(60);
            let waits = scope.spawn(move || (events.next_within(long), Instant::now(), events.next_within(long)));
            broadcast.tell(&Event::Disconnected);
            drop(broadcast);
            let (told, when, end) = waits.join().unwrap();
            assert!(matches!((told, end), (Some(Event::Disconnected), None)));
            assert!(when.elapsed() < long / 2, "the end was noticed");
        });
    }

    #[test]
    fn a_task_that_waits_is_woken_and_one_that_gives_up_loses_nothing() {
        let woken = Arc::<Woken>::default();
        let waker = Arc::clone(&woken).into();
        let mut context = Context::from_waker(&waker);
        let broadcast = Broadcast::default();
        let mut events = broadcast.subscribe();
        {
            let mut gives_up = pin!(events.next_async());
            assert!(gives_up.as_mut().poll(&mut context).is_pending());
            broadcast.tell(&Event::Disconnected);
            assert_eq!(woken.count(), 1);
        }
        assert!(matches!(pin!(events.next_async()).poll(&mut context), Poll::Ready(Some(Event::Disconnected))));
        drop(Box::pin(events.next_async()).as_mut().poll(&mut context));
        broadcast.tell(&Event::Resumed);
        assert_eq!(woken.count(), 1, "nobody waits any more");
        assert!(matches!(pin!(events.next_async()).poll(&mut context), Poll::Ready(Some(Event::Resumed))));
        let mut last = pin!(events.next_async());
        assert!(last.as_mut().poll(&mut context).is_pending());
        drop(broadcast);
        assert_eq!(woken.count(), 2);
        assert!(matches!(last.poll(&mut context), Poll::Ready(None)));
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Woken {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

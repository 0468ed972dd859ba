//! What happens to a plugin, told to whoever wants to know.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use crate::{ExitReport, connection::lock};

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
/// events misses what is too much.
#[derive(Debug)]
pub struct Events(Receiver<Event>);

impl Events {
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
        self.0.recv_timeout(limit).ok()
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.recv().ok()
    }
}

/// Where events are told.
#[derive(Debug, Default)]
pub(super) struct Broadcast(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    past: VecDeque<Event>,
    senders: Vec<SyncSender<Event>>,
}

impl Broadcast {
    pub(super) fn tell(&self, event: &Event) {
        let mut listeners = lock(&self.0);
        // A listener that is gone is forgotten, one that is full misses this; nobody is waited for.
        listeners.senders.retain(|sender| {
            !matches!(sender.try_send(event.clone()), Err(std::sync::mpsc::TrySendError::Disconnected(_)))
        });
        if listeners.past.len() == REMEMBERED {
            listeners.past.pop_front();
        }
        listeners.past.push_back(event.clone());
    }

    pub(super) fn subscribe(&self) -> Events {
        let mut listeners = lock(&self.0);
        let (sender, receiver) = sync_channel(2 * REMEMBERED);
        for event in &listeners.past {
            // There is room for all of them.
            let _ = sender.try_send(event.clone());
        }
        listeners.senders.push(sender);
        Events(receiver)
    }
}

#[cfg(test)]
mod tests {
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
}

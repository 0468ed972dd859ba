//! The two sides of a session: one that calls as a host does, and one whose only reader answers.

use std::{collections::HashSet, io, time::Duration};

use crate::{
    codec::{Encoder, scan},
    connection::{Attendance, Connection, End, Handler, Lender, Presence, Sent, Turn, lock},
    objects,
    protocol::{frame::Kind, message::Message, metadata::Metadata},
    server::QUICK,
    sync::{Arc, Condvar, Instant, Mutex, PoisonError, thread},
};

/// What a scenario is told.
#[derive(Default)]
pub(crate) struct Told {
    state: Mutex<Tales>,
    changed: Condvar,
}

#[derive(Default)]
struct Tales {
    /// What the messages that have arrived say.
    arrived: HashSet<Vec<u8>>,
    losses: usize,
    is_over: bool,
}

impl Told {
    /// A message has come to the one that it is for.
    pub(crate) fn arrived(&self, message: &Message) {
        let is_first = lock(&self.state).arrived.insert(message.payload.to_vec());
        assert!(is_first, "{:?} came twice", message.payload);
        self.changed.notify_all();
    }

    /// A oneway call has come and is done.
    pub(crate) fn ran_oneway(&self, connection: &Connection, call: &Message) {
        self.arrived(call);
        let _ = connection.oneway_finished();
    }

    /// Waits until all of `messages` have come.
    pub(crate) fn wait_arrived(&self, messages: &[Vec<u8>]) {
        let mut state = lock(&self.state);
        while !messages.iter().all(|message| state.arrived.contains(message)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What one side holds of the other's has become less.
    pub(crate) fn note_change(&self) {
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    /// Waits until neither side holds anything of the other's.
    pub(crate) fn wait_released(&self, sides: [&Connection; 2]) {
        let mut state = lock(&self.state);
        while sides.iter().any(|side| side.given() > 0) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A link is gone.
    pub(crate) fn lost(&self) {
        lock(&self.state).losses += 1;
        self.changed.notify_all();
    }

    /// Waits for another loss; `false` at the end.
    pub(crate) fn wait_lost(&self) -> bool {
        let mut state = lock(&self.state);
        while state.losses == 0 && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.losses = 0;
        !state.is_over
    }

    pub(crate) fn end(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }
}

/// The handler of the side that calls. Two threads do what a host's watcher does in one: they read what nobody reads, and
/// write what nobody writes, but only after they were told.
pub(crate) struct Calling {
    told: Arc<Told>,
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

#[derive(Default)]
struct Tasks {
    is_unread: bool,
    is_stalled: bool,
    /// When to look after the tasks that wait.
    alarms: Vec<Instant>,
    is_over: bool,
}

impl Calling {
    pub(crate) fn new(told: &Arc<Told>) -> Arc<Self> {
        Arc::new(Self { told: Arc::clone(told), tasks: Mutex::default(), changed: Condvar::new() })
    }

    fn note(&self, change: impl FnOnce(&mut Tasks)) {
        change(&mut lock(&self.tasks));
        self.changed.notify_all();
    }

    pub(crate) fn end(&self) {
        self.note(|tasks| tasks.is_over = true);
    }

    /// Waits for a task; `false` at the end.
    fn wait(&self, task: impl Fn(&mut Tasks) -> &mut bool) -> bool {
        let mut tasks = lock(&self.tasks);
        while !std::mem::take(task(&mut tasks)) {
            if tasks.is_over {
                return false;
            }
            tasks = self.changed.wait(tasks).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Watches a connection until the end.
    pub(crate) fn watch(self: &Arc<Self>, watched: &Arc<Connection>) {
        let (me, connection) = (Arc::clone(self), Arc::clone(watched));
        drop(thread::spawn(move || {
            while me.wait(|tasks| &mut tasks.is_unread) {
                read_while_unread(&connection);
            }
        }));
        let (me, connection) = (Arc::clone(self), Arc::clone(watched));
        drop(thread::spawn(move || {
            while me.wait(|tasks| &mut tasks.is_stalled) {
                connection.write_rest();
            }
        }));
        let (me, connection) = (Arc::clone(self), Arc::clone(watched));
        drop(thread::spawn(move || {
            while let Some(due) = me.wait_due() {
                if let Some(again) = connection.look_after_tasks(due) {
                    me.look_at(&connection, again);
                }
            }
        }));
    }

    /// Waits for the time of an alarm, as the host's timer does; `None` at the end.
    fn wait_due(&self) -> Option<Instant> {
        let mut tasks = lock(&self.tasks);
        loop {
            if tasks.is_over {
                return None;
            }
            let now = Instant::now();
            let Some(next) = tasks.alarms.iter().copied().min() else {
                tasks = self.changed.wait(tasks).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if next <= now {
                tasks.alarms.retain(|alarm| *alarm != next);
                return Some(next);
            }
            let left = next.saturating_duration_since(now);
            tasks = self.changed.wait_timeout(tasks, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn read_while_unread(connection: &Arc<Connection>) {
    while let Some((link, generation)) = connection.present_link() {
        let Presence::Unread { .. } = connection.presence(generation) else { return };
        if let Some(link) = link.pollable() {
            // Fails for no link in memory.
            let _ = link.wait(true, false, Duration::MAX);
        }
        connection.read_what_is_there(generation, Attendance::Watched);
    }
}

impl Handler for Calling {
    fn reads(&self) -> bool {
        true
    }

    fn linked(&self, _connection: &Arc<Connection>) -> io::Result<()> {
        self.note(|tasks| tasks.is_unread = true);
        Ok(())
    }

    fn unread(&self, _connection: &Arc<Connection>) {
        self.note(|tasks| tasks.is_unread = true);
    }

    fn awaited(&self, _connection: &Arc<Connection>) {
        self.note(|tasks| tasks.is_unread = true);
    }

    fn neglected(&self, _connection: &Arc<Connection>) {
        self.note(|tasks| tasks.is_unread = true);
    }

    fn look_at(&self, _connection: &Arc<Connection>, when: Instant) -> bool {
        self.note(|tasks| tasks.alarms.push(when.will_come()));
        true
    }

    fn stalled(&self, _connection: &Arc<Connection>) {
        self.note(|tasks| tasks.is_stalled = true);
    }

    fn request(&self, _connection: &Arc<Connection>, _request: Message) {
        unreachable!("nobody asks a host");
    }

    fn lost(&self, _connection: &Arc<Connection>, _reason: String) {
        self.told.lost();
    }

    fn closed(&self, _end: &End) {}
}

/// Answers a request with what came with it, and what it asks for.
pub(crate) fn answer(connection: &Arc<Connection>, request: Message, told: &Arc<Told>) -> Sent {
    let answer = objects::answer(connection, request, told);
    // Fails only where the connection has ended.
    connection.send(answer, None).unwrap_or_default()
}

/// The handler of a side that one thread reads and answers.
pub(crate) struct Answering {
    pub(crate) told: Arc<Told>,
}

impl Handler for Answering {
    fn request(&self, connection: &Arc<Connection>, request: Message) {
        self.told.arrived(&request);
        assert_eq!(answer(connection, request, &self.told), Sent::Cared, "there is a writer");
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        self.told.ran_oneway(connection, &call);
    }

    fn lost(&self, _connection: &Arc<Connection>, _reason: String) {
        self.told.lost();
    }

    fn closed(&self, _end: &End) {}
}

/// A request for `target` that says from which call it is made.
pub(crate) fn from_call(parent: u32, target: u32, payload: &[u8]) -> Message {
    let mut encoder = Encoder::new(usize::MAX);
    Metadata::from_call(parent).write(&mut encoder).expect("there is room");
    let mut request = Message { target, meta: true, ..Message::control(Kind::Request, 0) };
    request.payload = encoder.into_buffer();
    request.payload.extend_from_slice(payload);
    request
}

/// What comes behind the metadata that [`from_call`] has written.
pub(crate) fn without_metadata(request: &Message) -> Vec<u8> {
    request.payload[scan::value_length(&request.payload).expect("there is metadata")..].to_vec()
}

/// Answers what the plugin asks of a call, and asks the plugin meanwhile.
#[derive(Default)]
pub(crate) struct Lends {
    pub(crate) notices: usize,
    pub(crate) questions: usize,
}

impl Lender for Lends {
    fn run(&mut self, connection: &Arc<Connection>, message: Message, _: &Turn<'_>) -> Option<Message> {
        if message.kind == Kind::Notice {
            assert_eq!(self.questions, self.notices, "one was sent before the question, one behind it");
            self.notices += 1;
            return None;
        }
        self.questions += 1;
        let payload = without_metadata(&message);
        let nested = from_call(message.call, QUICK, &[&payload[..], b"!"].concat());
        // Fails only where the connection has ended.
        if let Ok(answer) = connection.call(nested, None) {
            assert_eq!(answer.kind, Kind::Value);
        }
        Some(Message::answer(Kind::Value, message.call, payload))
    }
}

//! What the watcher's thread does about each link: wait for it, look at it now and then, or leave it to who reads it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use polling::{Event, Events, PollMode, Poller};

use super::{Note, Sight, Watcher};
use crate::{
    buffer,
    connection::{Attendance, Connection, Presence, lock},
    transport::Link,
};

/// How long a connection must have been left alone before its bytes are waited for.
const IDLE: Duration = Duration::from_millis(10);

/// After how many looks at one and the same caller it is trusted to say when it leaves.
const LONG: u32 = 8;

/// One link.
pub(super) struct Entry {
    pub(super) connection: Weak<Connection>,
    pub(super) sight: Arc<Sight>,
    pub(super) link: Arc<dyn Link>,
    pub(super) generation: u64,
    /// How often the reading had been taken when it was looked at last.
    pub(super) turns: u64,
    /// How often it has been looked at since somebody took the reading.
    pub(super) looks: u32,
    pub(super) is_looked_at: bool,
    /// There is something to write when that is possible.
    pub(super) is_stalled: bool,
    pub(super) is_registered: bool,
}

/// What is to be done about a link next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Look again soon.
    Look,
    /// Wait for its bytes, and for room if it is stalled.
    Wait,
    /// Wait for room alone: somebody else reads.
    WaitToWrite,
    /// Leave it to whoever reads it.
    Trust,
    Forget,
}

/// What the watcher's thread knows.
pub(super) struct Watched {
    watcher: Arc<Watcher>,
    entries: HashMap<usize, Entry>,
    /// Those to look at again.
    looked_at: Vec<usize>,
}

impl Watched {
    pub(super) fn new(watcher: Arc<Watcher>) -> Self {
        Self { watcher, entries: HashMap::new(), looked_at: Vec::new() }
    }

    pub(super) fn watch(mut self) {
        let mut events = Events::new();
        let (mut next_look, mut is_unsettled) = (None, false);
        loop {
            events.clear();
            let limit = next_look.map(|next: Instant| next.saturating_duration_since(Instant::now()));
            if let Err(error) = self.watcher.poller.wait(&mut events, limit) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "waiting for plugins failed");
                    thread::sleep(IDLE);
                }
            }
            for event in events.iter() {
                self.ready(event);
            }
            let notes = std::mem::take(&mut *lock(&self.watcher.notes));
            for note in notes {
                self.take(note);
            }
            if next_look.is_some_and(|next| next <= Instant::now()) {
                next_look = None;
                for key in std::mem::take(&mut self.looked_at) {
                    self.look(key);
                }
                is_unsettled = buffer::settle();
            }
            if next_look.is_none() && (is_unsettled || !self.looked_at.is_empty()) {
                next_look = Some(Instant::now() + IDLE);
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Link(key, entry) => {
                self.entries.insert(key, entry);
                self.follow(key, Next::Look);
            }
            Note::Look(key) => self.follow(key, Next::Look),
            Note::Await(key) => {
                // Whoever reads says so when it leaves.
                if self.entries.get(&key).is_some_and(|entry| !entry.is_read()) {
                    self.follow(key, Next::Wait);
                }
            }
            Note::Write(key) => {
                let Some(entry) = self.entries.get_mut(&key) else { return };
                entry.is_stalled = true;
                let next = if entry.is_read() { Next::WaitToWrite } else { Next::Wait };
                self.follow(key, next);
            }
        }
    }

    /// Something has come, or can be written.
    fn ready(&mut self, event: Event) {
        let Some(entry) = self.entries.get_mut(&event.key) else { return };
        let Some(connection) = entry.connection.upgrade() else { return self.follow(event.key, Next::Forget) };
        if event.writable {
            entry.is_stalled = connection.write_now();
        }
        if event.readable && !entry.is_read() {
            connection.read_what_is_there(entry.generation, Attendance::Watched);
        }
        let next = match connection.presence(entry.generation) {
            Presence::Gone => Next::Forget,
            Presence::Read { .. } if entry.is_stalled => Next::WaitToWrite,
            Presence::Read { .. } => Next::Look,
            Presence::Unread { turns } => {
                entry.turns = turns;
                Next::Wait
            }
        };
        self.follow(event.key, next);
    }

    /// Looks whether a connection is still in use.
    fn look(&mut self, key: usize) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.is_looked_at = false;
        let presence = entry.connection.upgrade().map(|connection| connection.presence(entry.generation));
        let next = match presence {
            None | Some(Presence::Gone) => Next::Forget,
            Some(Presence::Unread { turns }) if turns == entry.turns => Next::Wait,
            Some(Presence::Unread { turns }) => {
                entry.turns = turns;
                Next::Look
            }
            Some(Presence::Read { turns }) if turns == entry.turns => {
                entry.looks += 1;
                if entry.looks < LONG { Next::Look } else { Next::Trust }
            }
            Some(Presence::Read { turns }) => {
                (entry.turns, entry.looks) = (turns, 0);
                Next::Look
            }
        };
        self.follow(key, next);
    }

    fn look_soon(&mut self, key: usize) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if !std::mem::replace(&mut entry.is_looked_at, true) {
            self.looked_at.push(key);
        }
    }

    fn follow(&mut self, key: usize, next: Next) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        match next {
            Next::Look => self.look_soon(key),
            Next::Wait | Next::WaitToWrite => {
                let is_readable = matches!(next, Next::Wait);
                if is_readable {
                    // Before it waits: what comes between the two is there when it does.
                    entry.attend();
                }
                if let Err(error) = entry.wait(&self.watcher.poller, Event::new(key, is_readable, entry.is_stalled)) {
                    tracing::error!(%error, "a plugin's connection cannot be watched");
                    self.look_soon(key);
                }
                if !is_readable {
                    self.look_soon(key); // Whoever reads may leave before there is room.
                }
            }
            Next::Trust => {
                entry.looks = 0;
                entry.sight.is_unseen.store(true, Ordering::SeqCst);
                // It may have left before it could know.
                let presence = entry.connection.upgrade().map(|connection| connection.presence(entry.generation));
                if !matches!(presence, Some(Presence::Read { .. }))
                    && entry.sight.is_unseen.swap(false, Ordering::SeqCst)
                {
                    self.follow(key, Next::Look);
                }
            }
            Next::Forget => {
                if let Some(entry) = self.entries.remove(&key) {
                    entry.forget(&self.watcher.poller);
                }
            }
        }
    }
}

impl Entry {
    /// Whether somebody else reads the link.
    fn is_read(&self) -> bool {
        let presence = self.connection.upgrade().map(|connection| connection.presence(self.generation));
        matches!(presence, Some(Presence::Read { .. }))
    }

    /// Says that the watcher waits for the link's bytes.
    fn attend(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.attend(self.generation, Attendance::Watched);
        }
    }

    /// Waits for the link, once.
    #[expect(unsafe_code, reason = "`polling` cannot know how long the link stays open")]
    fn wait(&mut self, poller: &Poller, event: Event) -> io::Result<()> {
        let Some(link) = self.link.pollable() else { return Ok(()) };
        if self.is_registered {
            return poller.modify_with_mode(link.as_fd(), event, PollMode::Oneshot);
        }
        // SAFETY: the entry holds the link, and is taken out of the poller by `forget` before it lets go of it.
        unsafe { poller.add_with_mode(&link.as_fd(), event, PollMode::Oneshot)? };
        self.is_registered = true;
        Ok(())
    }

    fn forget(self, poller: &Poller) {
        if let Some(link) = self.link.pollable().filter(|_| self.is_registered) {
            // Fails only where it is not there any more.
            let _ = poller.delete(link.as_fd());
        }
    }
}

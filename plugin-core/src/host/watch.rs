//! One thread for all plugins of this host: it reads the connections that no caller reads.
//!
//! While calls are made, callers read their answers themselves, and the watcher keeps out of their way: it looks every 10 ms
//! whether a connection is still in use, and does not wait for its bytes, so it is not woken by answers that are not for it.
//! Once a connection has been left alone, the watcher waits for its bytes: the end of a plugin, a cut, what is sent unasked.
//! A caller that comes then just reads; the watcher, woken once by the first answer, goes back to looking now and then. A
//! connection whose caller waits for long is not even looked at: the caller says when it leaves.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use polling::{Event, Events, PollMode, Poller};

use crate::{
    buffer,
    connection::{Attendance, Connection, Presence, lock},
    transport::Link,
};

/// How long a connection must have been left alone before its bytes are waited for.
const IDLE: Duration = Duration::from_millis(10);

/// After how many looks at one and the same caller it is trusted to say when it leaves.
const LONG: u32 = 8;

/// A connection's place in the watcher's sight.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Of its present link; 0 where it has none.
    key: AtomicUsize,
    /// Which link that is. Locked while that changes: two links may come at once.
    generation: Mutex<u64>,
    /// The watcher does not look at it until it is told to.
    is_unseen: AtomicBool,
}

impl Sight {
    /// Watches the connection's new link.
    pub(super) fn watch(self: &Arc<Self>, connection: &Arc<Connection>) -> io::Result<()> {
        let watcher = Watcher::get()?;
        let mut latest = lock(&self.generation);
        let Some((link, generation)) = connection.present_link() else { return Ok(()) };
        if generation == *latest {
            return Ok(()); // Whoever brought it came before whoever brought an older one.
        }
        *latest = generation;
        let key = watcher.last_key.fetch_add(1, Ordering::Relaxed) + 1;
        let last = self.key.swap(key, Ordering::Relaxed);
        let entry = Entry {
            connection: Arc::downgrade(connection),
            sight: Arc::clone(self),
            link,
            generation,
            turns: 0,
            looks: 0,
            is_looked_at: false,
            is_stalled: false,
            is_registered: false,
        };
        watcher.tell(Note::Link(key, entry));
        if last > 0 {
            watcher.tell(Note::Look(last));
        }
        Ok(())
    }

    /// A caller has left.
    pub(super) fn unread(&self) {
        if self.is_unseen.swap(false, Ordering::SeqCst) {
            self.note(Note::Look);
        }
    }

    /// There is something that nobody writes.
    pub(super) fn stalled(&self) {
        self.note(Note::Write);
    }

    /// Tasks wait, and nobody reads.
    pub(super) fn awaited(&self) {
        self.note(Note::Await);
    }

    /// Something about the connection has changed for good.
    pub(super) fn changed(&self) {
        self.note(Note::Look);
    }

    fn note(&self, note: fn(usize) -> Note) {
        if let Ok(watcher) = Watcher::get() {
            watcher.tell(note(self.key.load(Ordering::Relaxed)));
        }
    }
}

enum Note {
    /// A new link, and the key it goes by.
    Link(usize, Entry),
    Look(usize),
    /// Tasks wait for its bytes.
    Await(usize),
    Write(usize),
}

struct Watcher {
    poller: Poller,
    notes: Mutex<Vec<Note>>,
    last_key: AtomicUsize,
}

impl Watcher {
    /// The watcher of this process, started by the first who needs it.
    fn get() -> io::Result<Arc<Self>> {
        static CURRENT: Mutex<Option<Arc<Watcher>>> = Mutex::new(None);
        let mut current = lock(&CURRENT);
        if let Some(watcher) = &*current {
            return Ok(Arc::clone(watcher));
        }
        buffer::look_after();
        let watcher = Arc::new(Self { poller: Poller::new()?, notes: Mutex::default(), last_key: AtomicUsize::new(0) });
        let links = Watched::new(Arc::clone(&watcher));
        thread::Builder::new().name("plugin-core watcher".into()).spawn(move || links.watch())?;
        *current = Some(Arc::clone(&watcher));
        Ok(watcher)
    }

    fn tell(&self, note: Note) {
        lock(&self.notes).push(note);
        // Fails only where the poller is broken, and then the watcher has ended.
        let _ = self.poller.notify();
    }
}

/// One link.
struct Entry {
    connection: Weak<Connection>,
    sight: Arc<Sight>,
    link: Arc<dyn Link>,
    generation: u64,
    /// How often the reading had been taken when it was looked at last.
    turns: u64,
    /// How often it has been looked at since somebody took the reading.
    looks: u32,
    is_looked_at: bool,
    /// There is something to write when that is possible.
    is_stalled: bool,
    is_registered: bool,
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
struct Watched {
    watcher: Arc<Watcher>,
    entries: HashMap<usize, Entry>,
    /// Those to look at again.
    looked_at: Vec<usize>,
}

impl Watched {
    fn new(watcher: Arc<Watcher>) -> Self {
        Self { watcher, entries: HashMap::new(), looked_at: Vec::new() }
    }

    fn watch(mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::{End, Handler, Options},
        protocol::{frame::Deframer, message::Message},
        transport::local::{LocalLink, LocalListener},
    };

    struct Nobody;

    impl Handler for Nobody {
        fn reads(&self) -> bool {
            true
        }

        fn request(&self, _: &Arc<Connection>, _: Message) {}

        fn closed(&self, _: &End) {}
    }

    #[test]
    fn a_link_is_watched_once_though_two_were_brought_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = LocalListener::bind(&socket).unwrap();
        let (link, _end) = (LocalLink::dial(&socket).unwrap(), listener.accept().unwrap());
        let options = Options { max_message: usize::MAX, yields: false, ticks: true };
        let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(Nobody), options).unwrap();
        let sight = Arc::<Sight>::default();
        sight.watch(&connection).unwrap();
        let key = sight.key.load(Ordering::Relaxed);
        // As does who brought an older link, and comes here behind who brought this one.
        sight.watch(&connection).unwrap();
        assert_eq!(sight.key.load(Ordering::Relaxed), key);
        connection.close(crate::connection::Cause::Local("the test is over"));
    }
}

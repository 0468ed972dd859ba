//! One thread for all plugins of this host: it reads the connections that no caller reads.
//!
//! While calls are made, callers read their answers themselves, and the watcher keeps out of their way: it looks every 10 ms
//! whether a connection is still in use, and does not wait for its bytes, so it is not woken by answers that are not for it.
//! Once a connection has been left alone, the watcher waits for its bytes: the end of a plugin, a cut, what is sent unasked.
//! A caller that comes then just reads; the watcher, woken once by the first answer, goes back to looking now and then. A
//! connection whose caller waits for long is not even looked at: the caller says when it leaves.

mod links;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use polling::Poller;

use crate::{
    buffer,
    connection::{Connection, lock},
};
use links::{Entry, Watched};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::{Options, tests::Reads},
        protocol::frame::Deframer,
        transport::local::{LocalLink, LocalListener},
    };

    #[test]
    fn a_link_is_watched_once_though_two_were_brought_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = LocalListener::bind(&socket).unwrap();
        let (link, _end) = (LocalLink::dial(&socket).unwrap(), listener.accept().unwrap());
        let options = Options { max_message: usize::MAX, yields: false, ticks: true };
        let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(Reads), options).unwrap();
        let sight = Arc::<Sight>::default();
        sight.watch(&connection).unwrap();
        let key = sight.key.load(Ordering::Relaxed);
        // As does who brought an older link, and comes here behind who brought this one.
        sight.watch(&connection).unwrap();
        assert_eq!(sight.key.load(Ordering::Relaxed), key);
        connection.close(crate::connection::Cause::Local("the test is over"));
    }
}

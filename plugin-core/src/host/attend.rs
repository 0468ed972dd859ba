//! One thread for all plugins of this host: it hears those who dial, reads what plugins print, and notices when they end.
//!
//! It waits for files, and does what belongs to each that has something to read. None of that blocks, and none of it is users'
//! code: whatever becomes of one plugin, the others are attended to.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use polling::{Event, Events, PollMode, Poller};

use crate::connection::lock;

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// After how long what could not be done is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait at once at most.
const LONGEST: Duration = Duration::from_secs(3600);

/// A file, and what belongs to it.
pub(super) trait Source: Send {
    /// What is waited for, always the same.
    fn file(&self) -> BorrowedFd<'_>;

    /// Does what can be done at once, now that there is something to read, if only the end of the file, or that it is time. Must not
    /// block.
    fn ready(&mut self, desk: &mut Desk) -> Next;

    /// Goes on when it is over, and nobody waits for the file any more. Must not block either.
    fn finish(self: Box<Self>) {}
}

/// What there is for whoever is ready.
pub(super) struct Desk {
    /// To read into.
    pub(super) buffer: Vec<u8>,
    /// Others who are to be attended to from now on, and looked at first.
    pub(super) more: Vec<Box<dyn Source>>,
}

/// What is to be done about a file next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait until there is something to read.
    Wait,
    /// Wait, but not longer than that.
    WaitUntil(Instant),
    /// Something is missing: try again in a moment.
    Retry,
    Over,
}

/// A source that cannot be attended to.
#[derive(Debug)]
pub(super) struct Refused<S> {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only ends of processes go on without it"))]
    pub(super) source: S,
    pub(super) error: io::Error,
}

/// A source that is attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(usize);

/// Has `source` attended to whenever there is something to read in its file, until it is over.
pub(super) fn attend<S: Source + 'static>(source: S) -> Result<Key, Refused<S>> {
    match Attendant::get() {
        Ok(attendant) => attendant.add(source),
        Err(error) => Err(Refused { source, error }),
    }
}

/// Has a source dropped, in a moment if it is being attended to right now.
pub(super) fn dismiss(key: Key) {
    if let Ok(attendant) = Attendant::get() {
        let place = lock(&attendant.places).remove(key);
        place.map(|place| attendant.let_go(place));
    }
}

struct Attendant {
    poller: Poller,
    places: Mutex<Places>,
}

struct Place {
    source: Box<dyn Source>,
    /// Whether the poller has its file.
    is_waited_for: bool,
    /// When to look at it without there being anything to read.
    due: Option<Instant>,
}

#[derive(Default)]
struct Places {
    last: usize,
    /// Those that are being attended to are taken out, so that nobody who adds another waits meanwhile.
    all: HashMap<Key, Option<Place>>,
    due: BTreeSet<(Instant, Key)>,
}

impl Places {
    /// A new place, taken out.
    fn open(&mut self) -> Key {
        self.last += 1;
        self.all.insert(Key(self.last), None);
        Key(self.last)
    }

    fn take(&mut self, key: Key) -> Option<Place> {
        let place = self.all.get_mut(&key)?.take()?;
        place.due.map(|due| self.due.remove(&(due, key)));
        Some(place)
    }

    /// Gives it back if it has been dismissed meanwhile.
    fn put_back(&mut self, key: Key, place: Place) -> Option<Place> {
        let Some(open) = self.all.get_mut(&key) else { return Some(place) };
        self.due.extend(place.due.map(|due| (due, key)));
        *open = Some(place);
        None
    }

    fn remove(&mut self, key: Key) -> Option<Place> {
        let place = self.take(key);
        self.all.remove(&key);
        place
    }

    /// How long until one is due.
    fn limit(&self) -> Option<Duration> {
        // Not every system takes the decades for which a debugger may hold things up.
        self.due.first().map(|(due, _)| due.saturating_duration_since(Instant::now()).min(LONGEST))
    }

    fn overdue(&self) -> Vec<Key> {
        let now = self.due.first().map(|_| Instant::now());
        self.due.iter().take_while(|(due, _)| Some(*due) <= now).map(|(_, key)| *key).collect()
    }
}

impl Attendant {
    /// The one of this process, started by the first who needs it.
    fn get() -> io::Result<Arc<Self>> {
        static CURRENT: Mutex<Option<Arc<Attendant>>> = Mutex::new(None);
        let mut current = lock(&CURRENT);
        if let Some(attendant) = &*current {
            return Ok(Arc::clone(attendant));
        }
        let attendant = Arc::new(Self { poller: Poller::new()?, places: Mutex::default() });
        let running = Arc::clone(&attendant);
        thread::Builder::new().name("plugin-core attendant".into()).spawn(move || running.run())?;
        *current = Some(Arc::clone(&attendant));
        Ok(attendant)
    }

    fn add<S: Source + 'static>(&self, source: S) -> Result<Key, Refused<S>> {
        // Locked before it can be ready, so that it is found when it is.
        let mut places = lock(&self.places);
        let key = places.open();
        if let Err(error) = self.wait_for(source.file(), key) {
            places.remove(key);
            return Err(Refused { source, error });
        }
        places.put_back(key, Place { source: Box::new(source), is_waited_for: true, due: None });
        Ok(key)
    }

    #[expect(unsafe_code, reason = "`polling` cannot know how long the file stays open")]
    fn wait_for(&self, file: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        // SAFETY: the place holds the file, and is taken out of the poller before letting go of it.
        unsafe { self.poller.add_with_mode(&file, Event::readable(key.0), PollMode::Level) }
    }

    fn run(&self) {
        let mut desk = Desk { buffer: vec![0; CHUNK], more: Vec::new() };
        let mut events = Events::new();
        loop {
            events.clear();
            let limit = lock(&self.places).limit();
            if let Err(error) = self.poller.wait(&mut events, limit) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "waiting for plugins failed");
                    thread::sleep(PAUSE);
                }
            }
            for event in events.iter() {
                self.attend_to(Key(event.key), &mut desk);
            }
            let overdue = lock(&self.places).overdue();
            for key in overdue {
                self.attend_to(key, &mut desk);
            }
        }
    }

    /// Attends to a source, and to those that it brings.
    fn attend_to(&self, key: Key, desk: &mut Desk) {
        let Some(place) = lock(&self.places).take(key) else { return };
        self.look(key, place, desk);
        while let Some(source) = desk.more.pop() {
            let key = lock(&self.places).open();
            self.look(key, Place { source, is_waited_for: false, due: None }, desk);
        }
    }

    fn look(&self, key: Key, mut place: Place, desk: &mut Desk) {
        let mut next = place.source.ready(desk);
        if matches!(next, Next::Wait | Next::WaitUntil(_)) && !place.is_waited_for {
            match self.wait_for(place.source.file(), key) {
                Ok(()) => place.is_waited_for = true,
                Err(_) => next = Next::Retry,
            }
        }
        place.due = match next {
            Next::Wait => None,
            Next::WaitUntil(due) => Some(due),
            Next::Retry => {
                self.stop_waiting(&mut place);
                Some(Instant::now() + PAUSE)
            }
            Next::Over => {
                lock(&self.places).remove(key);
                return self.let_go(place).finish();
            }
        };
        let dismissed = lock(&self.places).put_back(key, place);
        dismissed.map(|place| self.let_go(place));
    }

    fn stop_waiting(&self, place: &mut Place) {
        if std::mem::take(&mut place.is_waited_for) {
            // Fails only where it is not there any more.
            let _ = self.poller.delete(place.source.file());
        }
    }

    fn let_go(&self, mut place: Place) -> Box<dyn Source> {
        self.stop_waiting(&mut place);
        place.source
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::{fd::AsFd, unix::net::UnixStream},
        sync::mpsc::{RecvTimeoutError, Sender, channel},
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Tells what it reads, and does what it is told at the end.
    struct Reader {
        file: UnixStream,
        told: Sender<Vec<u8>>,
        retries: usize,
    }

    impl Source for Reader {
        fn file(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }

        fn ready(&mut self, desk: &mut Desk) -> Next {
            let count = self.file.read(&mut desk.buffer).unwrap();
            let _ = self.told.send(desk.buffer[..count].to_vec()); // The test may be over.
            match self.retries {
                _ if count > 0 => Next::Wait,
                0 => Next::Over,
                _ => {
                    self.retries -= 1;
                    Next::Retry
                }
            }
        }
    }

    #[test]
    fn files_are_attended_to_until_they_are_over() {
        let (mut end, file) = UnixStream::pair().unwrap();
        let (told, heard) = channel();
        attend(Reader { file, told, retries: 0 }).map_err(|refused| refused.error).unwrap();
        for part in [b"one", b"two"] {
            end.write_all(part).unwrap();
            assert_eq!(heard.recv_timeout(LONG).unwrap(), part);
        }
        drop(end);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), b"");
        assert_eq!(heard.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected), "and then it is let go");
    }

    #[test]
    fn what_cannot_be_finished_is_tried_again_and_holds_up_nobody() {
        let (end, file) = UnixStream::pair().unwrap();
        let (told, heard) = channel();
        attend(Reader { file, told, retries: 3 }).map_err(|refused| refused.error).unwrap();
        drop(end);
        let (mut other_end, file) = UnixStream::pair().unwrap();
        let (told, other) = channel();
        attend(Reader { file, told, retries: 0 }).map_err(|refused| refused.error).unwrap();
        other_end.write_all(b"meanwhile").unwrap();
        assert_eq!(other.recv_timeout(LONG).unwrap(), b"meanwhile");
        for _ in 0..4 {
            assert_eq!(heard.recv_timeout(LONG).unwrap(), b"");
        }
        assert_eq!(heard.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected), "let go at last");
    }

    /// Brings one that is to be looked at in a moment.
    struct Bringer(UnixStream, Option<Late>);

    impl Source for Bringer {
        fn file(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        fn ready(&mut self, desk: &mut Desk) -> Next {
            let late = self.1.take().map(|late| Box::new(late) as Box<dyn Source>);
            desk.more.extend(late);
            Next::Over
        }
    }

    struct Late {
        file: UnixStream,
        due: Instant,
        told: Sender<&'static str>,
    }

    impl Source for Late {
        fn file(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }

        fn ready(&mut self, _desk: &mut Desk) -> Next {
            if Instant::now() < self.due {
                return Next::WaitUntil(self.due);
            }
            self.told.send("due").unwrap();
            Next::Over
        }

        fn finish(self: Box<Self>) {
            self.told.send("finished").unwrap();
        }
    }

    #[test]
    fn who_is_silent_is_looked_at_when_it_is_time_and_then_finishes() {
        let ((end, file), (_silent, other)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let (told, heard) = channel();
        let late = Late { file: other, due: Instant::now() + 2 * PAUSE, told };
        attend(Bringer(file, Some(late))).map_err(|refused| refused.error).unwrap();
        drop(end);
        assert_eq!([(); 2].map(|()| heard.recv_timeout(LONG).unwrap()), ["due", "finished"]);
        assert_eq!(heard.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn what_is_dismissed_is_dropped_at_once() {
        let (_end, file) = UnixStream::pair().unwrap();
        let (told, heard) = channel();
        let key = attend(Reader { file, told, retries: 0 }).map_err(|refused| refused.error).unwrap();
        dismiss(key);
        assert_eq!(heard.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}

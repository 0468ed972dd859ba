//! One thread for all plugins of this host: it reads what they print, and notices when they end.
//!
//! It waits for files, and does what belongs to each that has something to read. None of that blocks, and none of it is users'
//! code: whatever becomes of one plugin, the others are attended to.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use polling::{Event, Events, PollMode, Poller};

use crate::connection::lock;

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// After how long what could not be done is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// What belongs to a file.
pub(super) trait Source: Send {
    /// Does what can be done at once, now that there is something to read, if only the end of the file. Must not block.
    fn ready(&mut self, file: BorrowedFd<'_>, buffer: &mut [u8]) -> Next;
}

/// What is to be done about a file next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait until there is something to read.
    Wait,
    /// Something is missing for the last step: try again in a moment.
    Retry,
    Over,
}

/// A source that cannot be attended to.
#[derive(Debug)]
pub(super) struct Refused<S> {
    pub(super) source: S,
    pub(super) error: io::Error,
}

/// Has `source` attended to whenever there is something to read in `file`, until it is over.
pub(super) fn attend<S: Source + 'static>(file: OwnedFd, source: S) -> Result<(), Refused<S>> {
    match Attendant::get() {
        Ok(attendant) => attendant.add(file, source),
        Err(error) => Err(Refused { source, error }),
    }
}

struct Attendant {
    poller: Poller,
    places: Mutex<HashMap<usize, Place>>,
    last_key: AtomicUsize,
}

struct Place {
    file: OwnedFd,
    source: Box<dyn Source>,
}

impl Attendant {
    /// The one of this process, started by the first who needs it.
    fn get() -> io::Result<Arc<Self>> {
        static CURRENT: Mutex<Option<Arc<Attendant>>> = Mutex::new(None);
        let mut current = lock(&CURRENT);
        if let Some(attendant) = &*current {
            return Ok(Arc::clone(attendant));
        }
        let attendant =
            Arc::new(Self { poller: Poller::new()?, places: Mutex::default(), last_key: AtomicUsize::new(0) });
        let running = Arc::clone(&attendant);
        thread::Builder::new().name("plugin-core attendant".into()).spawn(move || running.run())?;
        *current = Some(Arc::clone(&attendant));
        Ok(attendant)
    }

    #[expect(unsafe_code, reason = "`polling` cannot know how long the file stays open")]
    fn add<S: Source + 'static>(&self, file: OwnedFd, source: S) -> Result<(), Refused<S>> {
        let key = self.last_key.fetch_add(1, Ordering::Relaxed) + 1;
        // Locked before it can be ready, so that it is found when it is.
        let mut places = lock(&self.places);
        // SAFETY: the place holds the file, and `ready` takes it out of the poller before letting go of it.
        if let Err(error) = unsafe { self.poller.add_with_mode(&file, Event::readable(key), PollMode::Level) } {
            return Err(Refused { source, error });
        }
        places.insert(key, Place { file, source: Box::new(source) });
        Ok(())
    }

    fn run(&self) {
        let mut buffer = vec![0; CHUNK];
        let mut events = Events::new();
        let mut unfinished: Vec<Place> = Vec::new();
        loop {
            events.clear();
            if let Err(error) = self.poller.wait(&mut events, (!unfinished.is_empty()).then_some(PAUSE)) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "waiting for what plugins print failed");
                    thread::sleep(PAUSE);
                }
            }
            unfinished.retain_mut(|place| place.ready(&mut buffer) != Next::Over);
            unfinished.extend(events.iter().filter_map(|event| self.ready(event.key, &mut buffer)));
        }
    }

    /// Attends to a file. Gives it back where that could not be finished.
    fn ready(&self, key: usize, buffer: &mut [u8]) -> Option<Place> {
        // Taken out, so that nobody who adds another waits meanwhile.
        let mut place = lock(&self.places).remove(&key)?;
        let next = place.ready(buffer);
        if next == Next::Wait {
            lock(&self.places).insert(key, place);
            return None;
        }
        // Fails only where it is not there any more.
        let _ = self.poller.delete(&place.file);
        (next == Next::Retry).then_some(place)
    }
}

impl Place {
    fn ready(&mut self, buffer: &mut [u8]) -> Next {
        self.source.ready(self.file.as_fd(), buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::net::UnixStream,
        sync::mpsc::{RecvTimeoutError, Sender, channel},
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Tells what it reads, and does what it is told at the end.
    struct Reader {
        told: Sender<Vec<u8>>,
        retries: usize,
    }

    impl Source for Reader {
        fn ready(&mut self, file: BorrowedFd<'_>, buffer: &mut [u8]) -> Next {
            let count = rustix::io::read(file, &mut *buffer).unwrap();
            let _ = self.told.send(buffer[..count].to_vec()); // The test may be over.
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
        attend(file.into(), Reader { told, retries: 0 }).map_err(|refused| refused.error).unwrap();
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
        attend(file.into(), Reader { told, retries: 3 }).map_err(|refused| refused.error).unwrap();
        drop(end);
        let (mut other_end, file) = UnixStream::pair().unwrap();
        let (told, other) = channel();
        attend(file.into(), Reader { told, retries: 0 }).map_err(|refused| refused.error).unwrap();
        other_end.write_all(b"meanwhile").unwrap();
        assert_eq!(other.recv_timeout(LONG).unwrap(), b"meanwhile");
        for _ in 0..4 {
            assert_eq!(heard.recv_timeout(LONG).unwrap(), b"");
        }
        assert_eq!(heard.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected), "let go at last");
    }
}

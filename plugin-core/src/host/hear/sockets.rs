//! The [attendant](crate::host::attend) hears them all: a plugin says everything at once, and before it is let in, it waits for
//! nothing else.

use std::{
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use super::{HELLO_LIMIT, admit};
use crate::{
    connection::greeting::GreetingError,
    deadline,
    host::{
        attend::{Desk, Key, Next, Source, attend, dismiss},
        directory::Directory,
        guests::{AtTheDoor, Guests, Introduced, aside},
    },
    protocol::{frame::Deframer, handshake, message::Hello},
    transport::{
        Pollable,
        local::{LocalLink, LocalListener},
    },
};

/// For how long nobody must have come before there is time for other things.
const QUIET: Duration = Duration::from_millis(20);

/// A listener that is attended to until this is dropped.
#[derive(Debug)]
pub(in crate::host) struct Listening {
    listener: Arc<LocalListener>,
    key: Key,
    sweeping: Sweeping,
}

impl Listening {
    pub(in crate::host) fn start(address: &Path, guests: &Arc<Guests>) -> io::Result<Self> {
        let listener = Arc::new(LocalListener::bind(address)?);
        // Whoever was seen to dial may be gone again when accepted, and then there is nobody to wait for.
        listener.never_wait()?;
        let sweeping = Sweeping { socket: address.into(), once: Arc::new(Once::new()) };
        let key = attend(Door {
            listener: Arc::clone(&listener),
            guests: Arc::clone(guests),
            sweeping: sweeping.clone(),
            sweep_at: None,
            is_swept: false,
            is_failing: false,
        });
        Ok(Self { listener, key: key.map_err(|refused| refused.error)?, sweeping })
    }

    pub(in crate::host) fn is_reachable(&self) -> bool {
        self.listener.is_reachable()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        dismiss(self.key);
        self.sweeping.sweep();
    }
}

/// The removal of what dead hosts have left behind, once.
#[derive(Debug, Clone)]
struct Sweeping {
    socket: PathBuf,
    once: Arc<Once>,
}

impl Sweeping {
    fn sweep(&self) {
        self.once.call_once(|| Directory::sweep(&self.socket));
    }
}

/// Where they dial.
struct Door {
    listener: Arc<LocalListener>,
    guests: Arc<Guests>,
    sweeping: Sweeping,
    /// Not before somebody has dialled: it takes a moment, in which the first plugin is started.
    sweep_at: Option<Instant>,
    is_swept: bool,
    is_failing: bool,
}

impl Source for Door {
    fn file(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn ready(&mut self, desk: &mut Desk) -> Next {
        match self.listener.accept() {
            Ok(link) => {
                self.is_failing = false;
                if let Some(dialler) = Dialler::admitted(link, &self.guests) {
                    desk.more.push(Box::new(dialler));
                }
                if !self.is_swept {
                    self.sweep_at = Some(Instant::now() + QUIET);
                }
            }
            // Whoever was seen to dial may be gone again, or nobody has for a while.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_failing = false;
                if self.sweep_at.is_some_and(|at| at <= Instant::now()) {
                    (self.sweep_at, self.is_swept) = (None, true);
                    let sweeping = self.sweeping.clone();
                    aside(move || sweeping.sweep());
                }
            }
            // Mostly there are too many open files, which others must close.
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    aside(move || tracing::warn!(%error, "could not accept a plugin"));
                }
                return Next::Retry;
            }
        }
        self.sweep_at.map_or(Next::Wait, Next::WaitUntil)
    }
}

/// Somebody who has dialled and not introduced itself yet.
struct Dialler {
    link: LocalLink,
    deframer: Deframer,
    deadline: Instant,
    hello: Option<Hello>,
    /// Until it is let go, or whoever tells that it was has done so.
    at_the_door: Option<AtTheDoor>,
}

impl Dialler {
    fn admitted(link: LocalLink, guests: &Arc<Guests>) -> Option<Self> {
        let at_the_door = Some(admit(&link, guests)?);
        let deadline = deadline::after(Instant::now(), HELLO_LIMIT);
        Some(Self { link, deframer: Deframer::new(), deadline, hello: None, at_the_door })
    }

    /// Hears what it has said so far.
    fn listen(&mut self) -> Result<Next, GreetingError> {
        loop {
            if let Some(frame) = self.deframer.next()? {
                self.hello = Some(handshake::read_hello(&frame)?);
                return Ok(Next::Over);
            }
            match self.link.try_read(self.deframer.space()) {
                Ok(0) => return Err(GreetingError::Closed),
                Ok(count) => self.deframer.filled(count),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Err(_) if self.deadline <= Instant::now() => return Err(GreetingError::Timeout),
                Err(_) => return Ok(Next::WaitUntil(self.deadline)),
            }
        }
    }
}

impl Source for Dialler {
    fn file(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    fn ready(&mut self, _desk: &mut Desk) -> Next {
        self.listen().unwrap_or_else(|error| {
            let at_the_door = self.at_the_door.take();
            aside(move || {
                tracing::debug!(%error, "a dialler did not introduce itself");
                drop(at_the_door);
            });
            Next::Over
        })
    }

    fn finish(self: Box<Self>) {
        let Self { link, deframer, hello, at_the_door, .. } = *self;
        if let (Some(hello), Some(at_the_door)) = (hello, at_the_door) {
            at_the_door.introduced(Introduced { link, deframer, hello });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use super::*;
    use crate::protocol::frame::{Header, Kind};

    #[test]
    fn bytes_now_and_then_buy_a_dialler_no_time() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = LocalListener::bind(&socket).unwrap();
        let mut slow = UnixStream::connect(&socket).unwrap();
        let guests = Arc::<Guests>::default();
        let mut dialler = Dialler::admitted(listener.accept().unwrap(), &guests).unwrap();
        let mut desk = Desk { buffer: Vec::new(), more: Vec::new() };
        assert_eq!(dialler.ready(&mut desk), Next::WaitUntil(dialler.deadline));
        slow.write_all(&Header { length: 100, kind: Kind::Hello as u8, ..Header::default() }.to_wire()).unwrap();
        assert_eq!(dialler.ready(&mut desk), Next::WaitUntil(dialler.deadline));
        dialler.deadline = Instant::now();
        slow.write_all(&[0]).unwrap();
        assert_eq!(dialler.ready(&mut desk), Next::Over);
        Box::new(dialler).finish();
        // Whoever tells of it keeps its place meanwhile.
        let began = Instant::now();
        while !guests.at_the_door.lock().unwrap().is_empty() {
            assert!(began.elapsed() < 2 * HELLO_LIMIT);
            std::thread::yield_now();
        }
    }
}

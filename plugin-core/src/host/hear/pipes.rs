//! A pipe cannot be waited for with others, so a thread accepts, and each dialler has one while it is heard.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{HELLO_LIMIT, admit};
use crate::{
    connection::greeting,
    deadline,
    host::guests::{AtTheDoor, Guests, Introduced, aside},
    protocol::{frame::Deframer, handshake},
    transport::local::{LocalLink, LocalListener},
};

/// How long to pause where nobody could be accepted: trying again at once would only burn the CPU.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener, and the thread that accepts, until this is dropped.
#[derive(Debug)]
pub(in crate::host) struct Listening {
    address: PathBuf,
    listener: Arc<LocalListener>,
    is_over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Listening {
    pub(in crate::host) fn start(address: &Path, guests: &Arc<Guests>) -> io::Result<Self> {
        let listener = Arc::new(LocalListener::bind(address)?);
        let is_over = Arc::<AtomicBool>::default();
        let accepting = thread::Builder::new().name("plugin-core accept".into()).spawn({
            let (listener, is_over, guests) = (Arc::clone(&listener), Arc::clone(&is_over), Arc::clone(guests));
            move || accept(&listener, &is_over, &guests)
        })?;
        Ok(Self { address: address.into(), listener, is_over, accepting: Some(accepting) })
    }

    pub(in crate::host) fn is_reachable(&self) -> bool {
        self.listener.is_reachable()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // An accept cannot be interrupted from outside, so somebody dials; only that matters.
        let _ = LocalLink::dial(&self.address);
        self.accepting.take().map(JoinHandle::join);
    }
}

fn accept(listener: &LocalListener, is_over: &AtomicBool, guests: &Arc<Guests>) {
    loop {
        let accepted = listener.accept();
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok(link) => {
                if let Some(at_the_door) = admit(&link, guests) {
                    aside(move || listen(link, at_the_door));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a plugin");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn listen(link: LocalLink, at_the_door: AtTheDoor) {
    let deadline = deadline::after(Instant::now(), HELLO_LIMIT);
    let mut deframer = Deframer::new();
    match greeting::receive(&link, &mut deframer, deadline, handshake::read_hello) {
        Ok(hello) => at_the_door.introduced(Introduced { link, deframer, hello }),
        Err(error) => tracing::debug!(%error, "a dialler did not introduce itself"),
    }
}

//! Where plugins dial in: one listener for all plugins of a host, made with the first and removed with the last.
//!
//! A plugin proves with its token which one it is, once it has been [heard](super::hear).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
};

use super::{
    directory::{Directory, Place},
    guests::{Arrival, Expected, Guests, Session},
    hear::Listening,
};
use crate::{
    Error, Result, StartStage,
    connection::{Connection, lock},
    protocol::message::Welcome,
};

/// The host's listener.
#[derive(Debug)]
pub(super) struct Rendezvous {
    address: PathBuf,
    guests: Arc<Guests>,
    door: Mutex<Door>,
}

/// Where diallers find the host. The listener goes before the directory that it is in.
#[derive(Debug)]
struct Door {
    listening: Listening,
    place: Directory,
}

/// The right of a session to be resumed, withdrawn when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    rendezvous: Arc<Rendezvous>,
    session: String,
}

/// The right of one plugin to dial in, withdrawn when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    rendezvous: Arc<Rendezvous>,
    id: u64,
    token: String,
}

impl Rendezvous {
    /// The host's one listener, made now if there is none.
    pub(super) fn get() -> Result<Arc<Self>> {
        static CURRENT: Mutex<Weak<Rendezvous>> = Mutex::new(Weak::new());
        let mut current = lock(&CURRENT);
        // If it cannot be reached any more, those connected by it go on, and this and later plugins need another.
        if let Some(rendezvous) = current.upgrade().filter(|rendezvous| rendezvous.restore().is_ok()) {
            return Ok(rendezvous);
        }
        let opened = Self::open().map_err(|error| Error::Listen {
            message: "no place for a socket was found; is there a temporary directory with free space?".into(),
            source: Arc::new(error),
        })?;
        let rendezvous = Arc::new(opened);
        *current = Arc::downgrade(&rendezvous);
        Ok(rendezvous)
    }

    fn open() -> io::Result<Self> {
        let place = Directory::create()?;
        let address = place.socket();
        let guests = Arc::default();
        let listening = Listening::start(&address, &guests)?;
        Ok(Self { address, guests, door: Mutex::new(Door { listening, place }) })
    }

    /// Sees to it that plugins still find the host where they were told to: somebody who tidies up may have removed the
    /// socket, or the directory that it is in.
    pub(super) fn restore(&self) -> io::Result<()> {
        let mut door = lock(&self.door);
        door.place.restore()?;
        if !door.listening.is_reachable() {
            door.listening = Listening::start(&self.address, &self.guests)?;
        }
        Ok(())
    }

    pub(super) fn address(&self) -> &Path {
        &self.address
    }

    /// Lets one more plugin in; what becomes of it is told to `arrivals`.
    pub(super) fn expect(self: &Arc<Self>, arrivals: Sender<Arrival>) -> Result<Ticket> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = token()?;
        lock(&self.guests.expected).push(Expected { id, token: token.clone(), arrivals });
        Ok(Ticket { rendezvous: Arc::clone(self), id, token })
    }
}

impl Ticket {
    /// Lets the plugin go on with its session after a cut.
    pub(super) fn register(&self, connection: &Arc<Connection>, welcome: Welcome) -> Registration {
        let (rendezvous, session) = (Arc::clone(&self.rendezvous), welcome.session.clone());
        let entry = Session { token: self.token.clone(), connection: Arc::downgrade(connection), welcome };
        lock(&rendezvous.guests.sessions).insert(session.clone(), entry);
        Registration { rendezvous, session }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Where the plugin dials in, for as long as anybody needs it.
    pub(super) fn door(&self) -> Weak<Rendezvous> {
        Arc::downgrade(&self.rendezvous)
    }

    /// How far process `pid` has come that was given the token and has not introduced itself.
    pub(super) fn stage(&self, pid: u32) -> StartStage {
        let is_at_the_door = lock(&self.rendezvous.guests.at_the_door).contains(&Some(pid));
        if is_at_the_door { StartStage::Connected } else { StartStage::Spawned }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.rendezvous.guests.expected).retain(|expected| expected.id != self.id);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.rendezvous.guests.sessions).remove(&self.session);
    }
}

/// 256 random bits in hexadecimal.
pub(super) fn token() -> Result<String> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| Error::Listen {
        message: "the operating system gave no random numbers for a token".into(),
        source: Arc::new(io::Error::other(error)),
    })?;
    let (high, low) = random.split_at(16);
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u128::from(*byte));
    Ok(format!("{:032x}{:032x}", word(high), word(low)))
}

//! Where plugins dial in: one listener for all plugins of a host, made with the first and removed with the last.
//!
//! A plugin proves with its token which one it is, once it has been [heard](super::hear).

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

use super::{
    directory::{Directory, Place},
    hear::hear,
    wake::{Waker, waker},
};
use crate::{
    Error, Result, StartStage,
    connection::{Connection, greeting, lock},
    deadline,
    protocol::{
        VERSIONS,
        frame::{Deframer, Kind},
        handshake,
        message::{Hello, Refused, Welcome},
    },
    report::ExitReport,
    transport::local::{LocalLink, LocalListener},
};

/// How long it may take to answer one that has introduced itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many diallers of one process are heard at once.
const MAX_DIALLERS_OF_ONE: usize = 8;

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

/// A listener, and the thread that accepts.
#[derive(Debug)]
struct Listening {
    listener: Arc<LocalListener>,
    waker: Option<Waker>,
    accepting: Option<JoinHandle<()>>,
}

impl Listening {
    fn start(address: &Path, guests: &Arc<Guests>) -> io::Result<Self> {
        let listener = Arc::new(LocalListener::bind(address)?);
        let (waker, wakened) = waker(address, &listener)?;
        let accepting = thread::Builder::new().name("plugin-core accept".into()).spawn({
            let (address, listener, guests) = (address.to_owned(), Arc::clone(&listener), Arc::clone(guests));
            move || {
                // Here, and not before: it takes a moment, in which the first plugin is started.
                hear(&listener, &wakened, &guests, || Directory::sweep(&address));
            }
        })?;
        Ok(Self { listener, waker: Some(waker), accepting: Some(accepting) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.waker.take());
        if let Some(accepting) = self.accepting.take() {
            // It ends at the waker's drop.
            let _ = accepting.join();
        }
    }
}

/// Who may come, and who has come to the door.
#[derive(Debug, Default)]
pub(super) struct Guests {
    expected: Mutex<Vec<Expected>>,
    /// The sessions that may be resumed, by name.
    sessions: Mutex<HashMap<String, Session>>,
    /// The processes that have connected and not introduced themselves yet, where the system tells which they are.
    at_the_door: Mutex<Vec<u32>>,
}

impl Guests {
    /// Whether a process may wait to introduce itself: not if too many connections of it wait already, so that one process
    /// cannot keep others out.
    pub(super) fn let_wait(&self, pid: Option<u32>) -> bool {
        let mut at_the_door = lock(&self.at_the_door);
        let Some(pid) = pid else { return true };
        let is_welcome = at_the_door.iter().filter(|known| **known == pid).count() < MAX_DIALLERS_OF_ONE;
        if is_welcome {
            at_the_door.push(pid);
        }
        is_welcome
    }

    /// It does not wait any more.
    pub(super) fn leave_door(&self, pid: Option<u32>) {
        let mut at_the_door = lock(&self.at_the_door);
        let place = at_the_door.iter().position(|known| Some(*known) == pid);
        place.map(|place| at_the_door.swap_remove(place));
    }

    /// Hands who has introduced itself to whoever expects it.
    pub(super) fn introduced(self: &Arc<Self>, introduced: Introduced) {
        if introduced.hello.session.is_empty() {
            return introduce(introduced, &self.expected);
        }
        // On a thread of its own: what has to be sent again may be much, and others wait to be heard.
        let guests = Arc::clone(self);
        let resuming = move || resume(introduced, &guests.sessions);
        if let Err(error) = thread::Builder::new().name("plugin-core greeting".into()).spawn(resuming) {
            tracing::debug!(%error, "a session could not be resumed, its plugin may try again");
        }
    }
}

/// A plugin that was started and has not introduced itself yet.
#[derive(Debug)]
struct Expected {
    id: u64,
    token: String,
    arrivals: Sender<Arrival>,
}

/// A session that has begun and may have to be resumed.
#[derive(Debug)]
struct Session {
    token: String,
    connection: Weak<Connection>,
    welcome: Welcome,
}

/// The right of a session to be resumed, withdrawn when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    rendezvous: Arc<Rendezvous>,
    session: String,
}

/// What happens to a plugin that is being started.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It introduced itself with the right token.
    Introduced(Box<Introduced>),
    /// It introduced itself, but speaks none of our versions.
    Incompatible(Vec<u16>),
    /// Its process ended.
    Exited(Arc<ExitReport>),
}

#[derive(Debug)]
pub(super) struct Introduced {
    pub(super) link: LocalLink,
    pub(super) deframer: Deframer,
    pub(super) hello: Hello,
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
        if !door.listening.listener.is_reachable() {
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
        let is_at_the_door = lock(&self.rendezvous.guests.at_the_door).contains(&pid);
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

/// Goes on with a session over the connection that its plugin has dialled.
fn resume(introduced: Introduced, sessions: &Mutex<HashMap<String, Session>>) {
    let deadline = deadline::after(Instant::now(), ANSWER_LIMIT);
    let Introduced { link, deframer, hello } = introduced;
    let found = lock(sessions).get(&hello.session).and_then(|session| {
        let is_right = bool::from(session.token.as_bytes().ct_eq(hello.token.as_bytes()));
        Some((session.connection.upgrade().filter(|_| is_right)?, session.welcome.clone()))
    });
    let Some((connection, welcome)) = found.filter(|(connection, _)| connection.end().is_none()) else {
        return refuse(&link, "there is no such session, or no longer".into(), deadline);
    };
    let resumed = connection.take_back(link, deframer, hello.received, |link, received| {
        greeting::send(link, Kind::Welcome, &Welcome { received, ..welcome }, deadline)
    });
    if let Err(error) = resumed {
        tracing::debug!(%error, "a session could not be resumed, its plugin may try again");
    }
}

/// Never waits: what there is to say fits a socket that nothing has been written to.
fn introduce(introduced: Introduced, expected: &Mutex<Vec<Expected>>) {
    let deadline = deadline::after(Instant::now(), ANSWER_LIMIT);
    let Some(expected) = take_expected(&introduced.hello.token, expected) else {
        let reason = "wrong token: only programs that this host started, and each only once, may connect";
        return refuse(&introduced.link, reason.into(), deadline);
    };
    let theirs = introduced.hello.protocols.clone();
    // In either case whoever waited may have given up; the link then closes with the arrival.
    if handshake::choose_version(&theirs).is_some() {
        let _ = expected.arrivals.send(Arrival::Introduced(Box::new(introduced)));
    } else {
        // Told before the plugin is refused, or its end would be known before its cause.
        let _ = expected.arrivals.send(Arrival::Incompatible(theirs.clone()));
        refuse(&introduced.link, format!("this host speaks protocol {VERSIONS:?}, the plugin {theirs:?}"), deadline);
    }
}

/// Finds who the token belongs to. A token is good once.
fn take_expected(token: &str, expected: &Mutex<Vec<Expected>>) -> Option<Expected> {
    let mut expected = lock(expected);
    // In constant time each, and all of them: how long it takes tells nothing about any token.
    let matches = expected.iter().map(|expected| bool::from(expected.token.as_bytes().ct_eq(token.as_bytes())));
    let place = matches.enumerate().fold(None, |found, (place, is_it)| if is_it { Some(place) } else { found })?;
    Some(expected.swap_remove(place))
}

fn refuse(link: &LocalLink, reason: String, deadline: Instant) {
    let refused = Refused { reason, protocols: VERSIONS.to_vec() };
    if let Err(error) = greeting::send(link, Kind::Refused, &refused, deadline) {
        tracing::debug!(%error, "a refused dialler did not wait for the reason");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_token_is_256_bits_and_good_once() {
        let token = token().unwrap();
        assert_eq!(token.len(), 64);
        let entry = |id, token: &str| Expected { id, token: token.into(), arrivals: channel().0 };
        let expected = Mutex::new(vec![entry(1, "other"), entry(2, &token)]);
        assert!(take_expected("wrong", &expected).is_none());
        assert!(take_expected("", &expected).is_none());
        assert_eq!(take_expected(&token, &expected).unwrap().id, 2);
        assert!(take_expected(&token, &expected).is_none());
        assert_eq!(take_expected("other", &expected).unwrap().id, 1);
    }

    #[test]
    fn one_process_cannot_keep_others_waiting_at_the_door() {
        let guests = Guests::default();
        for _ in 0..MAX_DIALLERS_OF_ONE {
            assert!(guests.let_wait(Some(1)));
        }
        assert!(!guests.let_wait(Some(1)));
        assert!(guests.let_wait(Some(2)) && guests.let_wait(None));
    }
}

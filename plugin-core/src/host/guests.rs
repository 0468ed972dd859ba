//! Those who dial a host: each that has been [heard](super::hear) is handed to whoever expects it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak, mpsc::Sender},
    thread,
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

use crate::{
    connection::{Connection, greeting, lock},
    deadline,
    protocol::{
        VERSIONS,
        frame::{Deframer, Kind},
        handshake,
        message::{Hello, Refused, Welcome},
    },
    report::ExitReport,
    transport::local::LocalLink,
};

/// How long it may take to answer one that has introduced itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many diallers may wait to be heard.
const MAX_DIALLERS: usize = 1024;

/// How many of them may be of one process.
const MAX_DIALLERS_OF_ONE: usize = 8;

/// Who may come, and who has come to the door.
#[derive(Debug, Default)]
pub(super) struct Guests {
    pub(super) expected: Mutex<Vec<Expected>>,
    /// The sessions that may be resumed, by name.
    pub(super) sessions: Mutex<HashMap<String, Session>>,
    /// The processes that have connected and not been let in or refused yet, where the system tells which they are.
    pub(super) at_the_door: Mutex<Vec<Option<u32>>>,
}

impl Guests {
    /// Whether a process may wait to introduce itself: not if too many connections of it wait already, so that one process
    /// cannot keep others out.
    pub(super) fn let_wait(self: &Arc<Self>, pid: Option<u32>) -> Option<AtTheDoor> {
        let mut at_the_door = lock(&self.at_the_door);
        let of_this = at_the_door.iter().filter(|known| pid.is_some() && **known == pid).count();
        if of_this >= MAX_DIALLERS_OF_ONE || at_the_door.len() >= MAX_DIALLERS {
            return None;
        }
        at_the_door.push(pid);
        Some(AtTheDoor { guests: Arc::clone(self), pid })
    }
}

/// One who waits to introduce itself, or to be answered, until this is dropped.
#[derive(Debug)]
pub(super) struct AtTheDoor {
    guests: Arc<Guests>,
    pid: Option<u32>,
}

impl AtTheDoor {
    /// Hands who has introduced itself to whoever expects it. Does not block.
    pub(super) fn introduced(self, introduced: Introduced) {
        if !introduced.hello.session.is_empty() {
            // Its place is kept meanwhile, so that the threads are bounded, too.
            return aside(move || resume(introduced, &self.guests.sessions));
        }
        let theirs = introduced.hello.protocols.clone();
        // In either case whoever waited may have given up; the link then closes with the arrival.
        let reason = match take_expected(&introduced.hello.token, &self.guests.expected) {
            Some(expected) if handshake::choose_version(&theirs).is_some() => {
                let _ = expected.arrivals.send(Arrival::Introduced(Box::new(introduced)));
                return;
            }
            Some(expected) => {
                let reason = format!("this host speaks protocol {VERSIONS:?}, the plugin {theirs:?}");
                // Told before the plugin is refused, or its end would be known before its cause.
                let _ = expected.arrivals.send(Arrival::Incompatible(theirs));
                reason
            }
            None => "wrong token: only programs that this host started, and each only once, may connect".into(),
        };
        aside(move || {
            refuse(&introduced.link, reason, deadline::after(Instant::now(), ANSWER_LIMIT));
            drop(self);
        });
    }
}

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        let mut at_the_door = lock(&self.guests.at_the_door);
        let place = at_the_door.iter().position(|known| *known == self.pid);
        place.map(|place| at_the_door.swap_remove(place));
    }
}

/// Does what may block, or runs users' code, on a thread of its own, since others wait to be heard. Only what is rare; where there is no
/// thread to be had, it is not done.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    let _ = thread::Builder::new().name("plugin-core greeting".into()).spawn(work);
}

/// A plugin that was started and has not introduced itself yet.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) id: u64,
    pub(super) token: String,
    pub(super) arrivals: Sender<Arrival>,
}

/// A session that has begun and may have to be resumed.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: String,
    pub(super) connection: Weak<Connection>,
    pub(super) welcome: Welcome,
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
    use super::{super::rendezvous, *};
    use std::sync::mpsc::channel;

    #[test]
    fn a_token_is_256_bits_and_good_once() {
        let token = rendezvous::token().unwrap();
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
        let guests = Arc::<Guests>::default();
        let of_one: Vec<_> = (0..MAX_DIALLERS_OF_ONE).map(|_| guests.let_wait(Some(1)).unwrap()).collect();
        assert!(guests.let_wait(Some(1)).is_none());
        assert!(guests.let_wait(Some(2)).is_some());
        drop(of_one);
        assert!(guests.let_wait(Some(1)).is_some());
        let unknown: Vec<_> = (0..MAX_DIALLERS).map(|_| guests.let_wait(None).unwrap()).collect();
        assert!(guests.let_wait(None).is_none() && guests.let_wait(Some(1)).is_none());
        drop(unknown);
        assert!(lock(&guests.at_the_door).is_empty());
    }
}

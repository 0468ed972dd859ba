//! The hosts that have attached to a plugin, each with a session that outlives its connection for a while.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

use super::{
    recovery::Recovery,
    serve::{GREETING_LIMIT, Host},
};
use crate::{
    connection::{
        Connection, Cut,
        greeting::{self, GreetingError},
        lock,
    },
    protocol::{
        VERSIONS,
        frame::Kind,
        message::{Hello, Refused},
    },
};

/// How long to look for a session that may only just have begun.
const BEGINNING_LIMIT: Duration = Duration::from_millis(200);

/// The sessions that may be resumed.
#[derive(Debug, Default)]
pub(super) struct Guests {
    sessions: Mutex<Vec<Session>>,
    added: Condvar,
}

#[derive(Debug)]
struct Session {
    /// 256 random bits that only the host and this plugin know. Who knows them is that host.
    name: String,
    connection: Weak<Connection>,
}

/// The right of a session to be resumed, withdrawn when dropped.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    guests: &'a Guests,
    connection: Weak<Connection>,
}

impl Guests {
    /// Lets a host go on with its session after a cut.
    pub(super) fn register(&self, name: String, connection: &Arc<Connection>) -> Registration<'_> {
        let connection = Arc::downgrade(connection);
        lock(&self.sessions).push(Session { name, connection: Weak::clone(&connection) });
        self.added.notify_all();
        Registration { guests: self, connection }
    }

    /// Whether a host may be about to come back.
    pub(super) fn are_awaited(&self) -> bool {
        let sessions = lock(&self.sessions);
        sessions.iter().filter_map(|session| session.connection.upgrade()).any(|connection| !connection.is_linked())
    }

    /// Goes on with a session over the connection that its host has dialled.
    pub(super) fn resume(&self, host: Host) -> Result<(), GreetingError> {
        let Host { link, deframer, welcome } = host;
        let deadline = Instant::now() + GREETING_LIMIT;
        let Some(connection) = self.find(&welcome.session) else {
            let reason = "the plugin has no such session, or no longer".into();
            return greeting::send(&link, Kind::Refused, &Refused { reason, protocols: VERSIONS.to_vec() }, deadline);
        };
        connection.take_back(link, deframer, welcome.received, |link, received| {
            let hello = Hello { protocols: VERSIONS.to_vec(), session: welcome.session, received, ..Hello::default() };
            greeting::send(link, Kind::Hello, &hello, deadline)
        })?;
        // Whoever reads may have begun to wait while this thread wrote.
        connection.write_rest();
        Ok(())
    }

    /// The session of that name. It may have been cut before the thread that greeted its host could register it: so one that
    /// is not known is waited for.
    fn find(&self, name: &str) -> Option<Arc<Connection>> {
        let is_unknown = |sessions: &mut Vec<Session>| find(sessions, name).is_none();
        let waited = self.added.wait_timeout_while(lock(&self.sessions), BEGINNING_LIMIT, is_unknown);
        let sessions = waited.unwrap_or_else(PoisonError::into_inner).0;
        find(&sessions, name).filter(|connection| connection.end().is_none())
    }
}

/// In constant time for each, and looking at all of them: how long it takes tells nothing about any name. A session without
/// a name is not to be resumed.
fn find(sessions: &[Session], name: &str) -> Option<Arc<Connection>> {
    let matches = |session: &Session| !name.is_empty() && bool::from(session.name.as_bytes().ct_eq(name.as_bytes()));
    let found = sessions.iter().fold(None, |found, session| if matches(session) { Some(session) } else { found });
    found?.connection.upgrade()
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        lock(&self.guests.sessions).retain(|session| !session.connection.ptr_eq(&self.connection));
    }
}

/// Waits for the host to dial again.
pub(super) struct Awaiting;

impl Recovery for Awaiting {
    const NAME: &'static str = "resume";

    fn recover(&self, connection: &Arc<Connection>, cut: &Cut) {
        if !connection.wait_resumed(cut, cut.limit) {
            connection.give_up(cut, &format!("the host did not come back within {:?}", cut.limit));
        }
    }
}

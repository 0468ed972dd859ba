//! The hosts that have attached to a plugin, each with a session that outlives its connection for a while.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

use super::{
    Service,
    serve::{GREETING_LIMIT, Host},
    stop::Stop,
};
use crate::{
    connection::{
        Cause, Connection, End, Handler, Reading,
        greeting::{self, GreetingError},
        lock,
    },
    protocol::{
        VERSIONS,
        frame::Kind,
        message::{Hello, Message, Refused},
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

/// Answers the requests of one host by way of a service, and keeps its session after a cut.
pub(super) struct Guest {
    pub(super) service: Arc<Service>,
    pub(super) stop: Arc<Stop>,
    pub(super) resume_timeout: Duration,
}

impl Handler for Guest {
    fn reads(&self) -> bool {
        self.service.reads()
    }

    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        self.service.linked(connection)
    }

    fn unread(&self, connection: &Arc<Connection>) {
        self.service.unread(connection);
    }

    fn stalled(&self, connection: &Arc<Connection>) {
        self.service.stalled(connection);
    }

    fn take_back(&self, connection: &Arc<Connection>) -> Option<Box<Reading>> {
        self.service.take_back(connection)
    }

    fn put_down(&self, connection: &Arc<Connection>, reading: Box<Reading>) {
        self.service.put_down(connection, reading);
    }

    fn read_by_caller(&self, connection: &Arc<Connection>) {
        self.service.read_by_caller(connection);
    }

    fn request(&self, connection: &Arc<Connection>, request: Message) {
        self.service.request(connection, request);
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        self.service.nested(connection, request);
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        self.service.oneway(connection, call);
    }

    fn cancel(&self, call: u32) {
        self.service.cancel(call);
    }

    fn goodbye(&self) {
        self.service.goodbye();
    }

    /// Waits for the host to dial again, on a thread of its own.
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        if self.stop.is_requested() || self.resume_timeout.is_zero() {
            return connection.close_if_lost(Cause::Lost(reason));
        }
        let lost = Arc::clone(connection);
        let cut = connection.cut(reason, self.resume_timeout);
        let spawned = thread::Builder::new().name("plugin-core resume".into()).spawn(move || {
            if !lost.wait_resumed(&cut, cut.limit) {
                lost.give_up(&cut, &format!("the host did not come back within {:?}", cut.limit));
            }
        });
        if let Err(error) = spawned {
            connection.close(Cause::Lost(format!("no thread could be started to wait for the host: {error}")));
        }
    }

    fn closed(&self, end: &End) {
        self.service.closed(end);
    }
}

//! A plugin's end of a session: its service answers, and when the link is cut, it is found again.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Service, stop::Stop};
use crate::{
    connection::{Cause, Connection, Cut, End, Export, Handler, Reading},
    protocol::message::Message,
};

/// How a session finds its host again: it depends on who dials.
pub(super) trait Recovery: Send + Sync + 'static {
    /// What is done, for the name of the thread that does it.
    const NAME: &'static str;

    /// Brings another link before the cut has lasted too long, or ends the connection.
    fn recover(&self, connection: &Arc<Connection>, cut: &Cut);
}

/// Answers the requests of one host by way of a service, and recovers its session after a cut.
pub(super) struct Recovering<R> {
    pub(super) service: Arc<Service>,
    pub(super) stop: Arc<Stop>,
    /// How long the session outlives a cut.
    pub(super) resume_timeout: Duration,
    pub(super) recovery: Arc<R>,
}

impl<R: Recovery> Handler for Recovering<R> {
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

    fn requests(&self, connection: &Arc<Connection>, requests: &mut Vec<Message>) {
        self.service.requests(connection, requests);
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        self.service.nested(connection, request);
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        self.service.oneway(connection, call);
    }

    fn discard(&self, exports: Vec<Arc<dyn Export>>) {
        self.service.discard(exports);
    }

    fn look_at(&self, connection: &Arc<Connection>, when: Instant) -> bool {
        self.service.look_at(connection, when)
    }

    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.service.run(job);
    }

    fn peer(&self) -> Arc<str> {
        self.service.peer()
    }

    fn cancel(&self, call: u32) {
        self.service.cancel(call);
    }

    fn goodbye(&self) {
        self.service.goodbye();
    }

    /// Recovers on a thread of its own.
    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        if self.stop.is_requested() || self.resume_timeout.is_zero() {
            return connection.close_if_lost(Cause::Lost(reason));
        }
        let cut = connection.cut(reason, self.resume_timeout);
        let (lost, recovery) = (Arc::clone(connection), Arc::clone(&self.recovery));
        let name = format!("plugin-core {}", R::NAME);
        if let Err(error) = thread::Builder::new().name(name).spawn(move || recovery.recover(&lost, &cut)) {
            connection.close(Cause::Lost(format!("no thread could be started to {}: {error}", R::NAME)));
        }
    }

    fn closed(&self, end: &End) {
        self.service.closed(end);
    }
}

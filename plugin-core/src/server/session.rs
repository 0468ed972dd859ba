//! The plugin's end of a session with the host that started it: if the connection is cut, the plugin dials again.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Service,
    serve::{GREETING_LIMIT, Host, introduce},
    stop::{Stop, StopReason},
};
use crate::{
    connection::{Cause, Connection, Cut, End, Failed, Handler, Reading, greeting::GreetingError},
    protocol::message::{Hello, Message},
    transport::local::LocalLink,
};

/// Answers requests by way of a service, and finds the host again after a cut.
pub(super) struct Session {
    pub(super) service: Arc<Service>,
    pub(super) stop: Arc<Stop>,
    pub(super) socket: PathBuf,
    /// What the plugin said of itself, and says again.
    pub(super) hello: Hello,
    /// What the host answered.
    pub(super) agreed: Agreed,
}

/// What a session goes by when it is resumed.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) session: String,
    pub(super) resume_timeout: Duration,
}

impl Handler for Session {
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
        self.stop.request(StopReason::Goodbye);
    }

    fn lost(&self, connection: &Arc<Connection>, reason: String) {
        if self.stop.is_requested() || self.agreed.resume_timeout.is_zero() {
            return connection.close_if_lost(Cause::Lost(reason));
        }
        let hello = Hello { session: self.agreed.session.clone(), ..self.hello.clone() };
        let cut = connection.cut(reason, self.agreed.resume_timeout);
        let (connection, stop) = (Arc::clone(connection), Arc::clone(&self.stop));
        let redial = Redial { connection: Arc::clone(&connection), stop, socket: self.socket.clone(), hello };
        let spawned = thread::Builder::new().name("plugin-core redial".into()).spawn(move || redial.run(&cut));
        if let Err(error) = spawned {
            connection.close(Cause::Lost(format!("no thread could be started to dial again: {error}")));
        }
    }

    fn closed(&self, end: &End) {
        self.service.closed(end);
    }
}

/// The search for a host that was lost.
struct Redial {
    connection: Arc<Connection>,
    stop: Arc<Stop>,
    socket: PathBuf,
    hello: Hello,
}

impl Redial {
    fn run(self, cut: &Cut) {
        tracing::debug!(?cut, "dialling again");
        let pause = |delay| self.stop.wait_requested(delay);
        self.connection.redial(cut, pause, || self.dial(cut.deadline));
        if self.stop.is_requested() {
            self.connection.close_if_lost(Cause::Local("this plugin is stopping"));
        }
    }

    fn dial(&self, deadline: Instant) -> Result<(), Failed> {
        let link = LocalLink::dial(&self.socket).map_err(GreetingError::from)?;
        if !link.is_same_user() {
            return Err(Failed::ForNow("what listens there belongs to another user".into()));
        }
        let resumption = self.connection.begin_resume();
        let hello = Hello { received: resumption.received(), ..self.hello.clone() };
        match introduce(link, &hello, deadline.min(Instant::now() + GREETING_LIMIT))? {
            Ok(host) => {
                let Host { link, deframer, welcome } = host;
                self.connection.resume(resumption, Box::new(link), deframer, welcome.received)?;
                // Whoever reads may have begun to wait while this thread wrote.
                self.connection.write_rest();
                Ok(())
            }
            // The host lives and has no such session: it has given up, or is another one.
            Err(refused) => Err(Failed::ForGood(Cause::Lost(refused.reason))),
        }
    }
}

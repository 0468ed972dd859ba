//! The plugin's end of a session with the host that started it: if the connection is cut, the plugin dials again.

use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Service,
    serve::greet,
    stop::{Stop, StopReason},
};
use crate::{
    Error, Result,
    connection::{Cause, Connection, End, Handler},
    deadline,
    protocol::{
        backoff::Backoff,
        message::{Hello, Message},
    },
    transport::local::LocalLink,
};

/// The first and the longest delay between tries; the very first try is made at once.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_millis(500);

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
    fn request(&self, connection: &Arc<Connection>, request: Message) {
        self.service.request(connection, request);
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
        let redial = Redial {
            connection: Arc::clone(connection),
            stop: Arc::clone(&self.stop),
            socket: self.socket.clone(),
            hello,
            deadline: deadline::after(Instant::now(), self.agreed.resume_timeout),
        };
        let spawned = thread::Builder::new().name("plugin-core redial".into()).spawn(move || redial.run(&reason));
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
    deadline: Instant,
}

impl Redial {
    fn run(mut self, reason: &str) {
        tracing::debug!(reason, "the connection was cut, dialling again");
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            if self.stop.wait_requested(backoff.next_delay()) {
                return self.connection.close(Cause::Local("this plugin is stopping"));
            }
            match self.dial() {
                Ok(()) => return,
                // The host lives and has no such session: it has given up, or is another one.
                Err(Error::Refused { reason, .. }) => return self.connection.close(Cause::Lost(reason)),
                Err(error) if Instant::now() > self.deadline => {
                    let cause = format!("{reason}, and the host could not be reached again: {error}");
                    return self.connection.close(Cause::Lost(cause));
                }
                Err(_) => {}
            }
        }
    }

    fn dial(&mut self) -> Result<()> {
        let address = self.socket.display().to_string();
        let failed = |message: String, source| Error::Attach { address: address.clone(), message, source };
        let link = LocalLink::dial(&self.socket)
            .map_err(|error| failed("is the host still running?".into(), Some(Arc::new(error))))?;
        if !link.is_same_user() {
            return Err(failed("it belongs to another user".into(), None));
        }
        let resumption = self.connection.begin_resume();
        self.hello.received = resumption.received();
        let host = greet(link, &self.hello, &address)?;
        self.connection
            .resume(resumption, Box::new(host.link), host.deframer, host.welcome.received)
            .map_err(|error| failed("no thread could be started".into(), Some(Arc::new(error))))
    }
}

//! The plugin's end of a session with the host that started it: if the connection is cut, the plugin dials again.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    recovery::Recovery,
    serve::{GREETING_LIMIT, Host, introduce},
    stop::Stop,
};
use crate::{
    connection::{Cause, Connection, Cut, Failed, greeting::GreetingError},
    protocol::message::Hello,
    transport::local::LocalLink,
};

/// Dials the host again.
pub(super) struct Redial {
    pub(super) stop: Arc<Stop>,
    pub(super) socket: PathBuf,
    /// What the plugin said of itself, and says again, with the session's name.
    pub(super) hello: Hello,
}

impl Recovery for Redial {
    const NAME: &'static str = "redial";

    fn recover(&self, connection: &Arc<Connection>, cut: &Cut) {
        tracing::debug!(?cut, "dialling again");
        let pause = |delay: Duration| self.stop.wait_requested(delay);
        connection.redial(cut, pause, || self.dial(connection, cut.deadline));
        if self.stop.is_requested() {
            connection.close_if_lost(Cause::Local("this plugin is stopping"));
        }
    }
}

impl Redial {
    fn dial(&self, connection: &Arc<Connection>, deadline: Instant) -> Result<(), Failed> {
        let link = LocalLink::dial(&self.socket).map_err(GreetingError::from)?;
        if !link.is_same_user() {
            return Err(Failed::ForNow("what listens there belongs to another user".into()));
        }
        let resumption = connection.begin_resume();
        let hello = Hello { received: resumption.received(), ..self.hello.clone() };
        match introduce(link, &hello, deadline.min(Instant::now() + GREETING_LIMIT), || {})? {
            Ok(host) => {
                let Host { link, deframer, welcome } = host;
                connection.resume(resumption, Box::new(link), deframer, welcome.received)?;
                // Whoever reads may have begun to wait while this thread wrote.
                connection.write_rest();
                Ok(())
            }
            // The host lives and has no such session: it has given up, or is another one.
            Err(refused) => Err(Failed::ForGood(Cause::Lost(refused.reason))),
        }
    }
}

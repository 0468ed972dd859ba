//! Asking for signs of life, on behalf of those who wait.

use std::time::Duration;

use super::{Connection, lock};
use crate::{
    protocol::{frame::Kind, message::Message, pulse::Finding},
    sync::{Arc, Instant, atomic::Ordering},
};

/// The number of no call: nobody waits for the pong, whose coming is enough.
const NO_CALL: u32 = 0;

impl Connection {
    /// Looks for a sign of life, while somebody waits.
    pub(super) fn check_pulse(self: &Arc<Self>) {
        let (finding, silence) = {
            let mut pulse = lock(&self.pulse);
            let now = Instant::now();
            (pulse.look(self.heard.load(Ordering::Relaxed), now), pulse.unresponsive_for(now))
        };
        self.is_unresponsive.store(silence.is_some(), Ordering::Relaxed);
        match finding {
            Finding::Nothing => {}
            Finding::Ask => self.send_control(Message::control(Kind::Ping, NO_CALL)),
            Finding::Unresponsive => self.handler.unresponsive(),
            Finding::Responsive => self.handler.responsive(),
        }
    }

    /// Takes note that something was received.
    pub(super) fn heard(self: &Arc<Self>) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if self.is_unresponsive.load(Ordering::Relaxed) {
            self.check_pulse();
        }
    }

    /// For how long the other side has given no sign of life although it was asked for one.
    pub(crate) fn unresponsive_for(&self) -> Option<Duration> {
        lock(&self.pulse).unresponsive_for(Instant::now())
    }
}

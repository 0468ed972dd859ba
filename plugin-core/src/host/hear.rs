//! Hearing those who dial, side by side and each under a time limit, so that a silent one holds up nobody.

#[cfg(windows)]
mod pipes;
#[cfg(unix)]
mod sockets;

use std::{sync::Arc, time::Duration};

#[cfg(windows)]
pub(super) use pipes::Listening;
#[cfg(unix)]
pub(super) use sockets::Listening;

use super::guests::{AtTheDoor, Guests, aside};
use crate::transport::local::LocalLink;

/// How long a dialler may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// Lets in to the door who has dialled, if it may wait there.
fn admit(link: &LocalLink, guests: &Arc<Guests>) -> Option<AtTheDoor> {
    if !link.is_same_user() {
        aside(|| tracing::warn!("another user's process dialled the plugin socket"));
        return None;
    }
    guests.let_wait(link.peer_pid())
}

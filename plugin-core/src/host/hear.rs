//! Hearing those who dial, side by side and each under a time limit, so that a silent one holds up nobody.

use std::{sync::Arc, time::Duration};

use super::{guests::Guests, wake::Wakened};
use crate::transport::local::LocalListener;

/// How long a dialler may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// How many diallers are heard at once.
const MAX_DIALLERS: usize = 1024;

/// How long to pause where nobody could be accepted. Mostly there are too many open files, which others must close: trying
/// again at once would only burn the CPU.
const PAUSE: Duration = Duration::from_millis(50);

/// For how long nobody must have come before there is time for other things.
#[cfg(unix)]
const QUIET: Duration = Duration::from_millis(20);

/// Accepts who dials and hears what they have to say, until woken; does what is to be done `once`, when it holds up nobody.
pub(super) fn hear(listener: &LocalListener, wakened: &Wakened, guests: &Arc<Guests>, once: impl FnOnce()) {
    platform::hear(listener, wakened, guests, once);
}

/// One thread hears them all: a plugin says everything at once, and before it is let in, it waits for nothing else.
#[cfg(unix)]
mod platform {
    use std::{
        io,
        os::fd::BorrowedFd,
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use super::{HELLO_LIMIT, MAX_DIALLERS, PAUSE, QUIET};
    use crate::{
        connection::greeting::GreetingError,
        deadline,
        host::{
            guests::{Guests, Introduced},
            wake::{Wakened, Woken},
        },
        protocol::{frame::Deframer, handshake},
        transport::{
            Pollable,
            local::{LocalLink, LocalListener},
        },
    };

    /// Somebody who has dialled and not introduced itself yet.
    struct Dialler {
        link: LocalLink,
        deframer: Deframer,
        /// Its process, where the system tells.
        pid: Option<u32>,
        deadline: Instant,
    }

    /// What a dialler that was listened to is to do next.
    enum Heard {
        /// Say more.
        Part(Dialler),
        Whole(Introduced),
        /// Go.
        Nothing,
    }

    pub(super) fn hear(listener: &LocalListener, wakened: &Wakened, guests: &Arc<Guests>, once: impl FnOnce()) {
        let mut diallers: Vec<Dialler> = Vec::new();
        let mut once = Some(once);
        loop {
            let limit = if once.is_some() { Some(QUIET) } else { next_deadline(&diallers) };
            let files: Vec<BorrowedFd<'_>> = diallers.iter().map(|dialler| dialler.link.as_fd()).collect();
            match wakened.wait(listener, &files, limit) {
                Ok(Woken { is_over: true, .. }) => break,
                Ok(Woken { is_dialled: false, ready, .. }) if ready.is_empty() => {
                    if let Some(once) = once.take() {
                        once();
                    }
                }
                Ok(Woken { is_dialled, ready, .. }) => {
                    // From the last to the first, so that the places of those before stay.
                    for place in ready.into_iter().rev() {
                        let dialler = diallers.swap_remove(place);
                        diallers.extend(listen(dialler, guests));
                    }
                    if is_dialled {
                        diallers.extend(accept(listener, guests, diallers.len()));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "waiting for plugins to dial failed");
                    thread::sleep(PAUSE);
                }
            }
            let now = Instant::now();
            let (late, in_time): (Vec<_>, _) = diallers.into_iter().partition(|dialler| dialler.deadline <= now);
            diallers = in_time;
            for Dialler { pid, .. } in late {
                guests.leave_door(pid);
            }
        }
        if let Some(once) = once {
            once();
        }
    }

    fn next_deadline(diallers: &[Dialler]) -> Option<Duration> {
        let first = diallers.iter().map(|dialler| dialler.deadline).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Lets in to the door who has dialled; gives it back if it has more to say.
    fn accept(listener: &LocalListener, guests: &Arc<Guests>, present: usize) -> Option<Dialler> {
        let link = match listener.accept() {
            Ok(link) => link,
            // Whoever was seen to dial may be gone again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => {
                tracing::warn!(%error, "could not accept a plugin");
                thread::sleep(PAUSE);
                return None;
            }
        };
        if !link.is_same_user() {
            tracing::warn!("another user's process dialled the plugin socket");
            return None;
        }
        let pid = link.peer_pid();
        if present >= MAX_DIALLERS || !guests.let_wait(pid) {
            return None;
        }
        let deadline = deadline::after(Instant::now(), HELLO_LIMIT);
        // It may have said everything by now.
        listen(Dialler { link, deframer: Deframer::new(), pid, deadline }, guests)
    }

    /// Hears what a dialler has said so far, without waiting; gives it back if it has more to say.
    fn listen(dialler: Dialler, guests: &Arc<Guests>) -> Option<Dialler> {
        let pid = dialler.pid;
        let introduced = match dialler.heard() {
            Ok(Heard::Part(dialler)) => return Some(dialler),
            Ok(Heard::Whole(introduced)) => Some(introduced),
            Ok(Heard::Nothing) => None,
            Err(error) => {
                tracing::debug!(%error, "a dialler did not introduce itself");
                None
            }
        };
        guests.leave_door(pid);
        if let Some(introduced) = introduced {
            guests.introduced(introduced);
        }
        None
    }

    impl Dialler {
        fn heard(mut self) -> Result<Heard, GreetingError> {
            loop {
                if let Some(frame) = self.deframer.next()? {
                    let hello = handshake::read_hello(&frame)?;
                    return Ok(Heard::Whole(Introduced { link: self.link, deframer: self.deframer, hello }));
                }
                match self.link.try_read(self.deframer.space()) {
                    Ok(0) => return Ok(Heard::Nothing),
                    Ok(count) => self.deframer.filled(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Part(self)),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// A pipe cannot be waited for with others, so each dialler has a thread while it is heard.
#[cfg(windows)]
mod platform {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Instant,
    };

    use super::{HELLO_LIMIT, MAX_DIALLERS, PAUSE};
    use crate::{
        connection::greeting,
        deadline,
        host::{
            guests::{Guests, Introduced},
            wake::Wakened,
        },
        protocol::{frame::Deframer, handshake},
        transport::local::{LocalLink, LocalListener},
    };

    pub(super) fn hear(listener: &LocalListener, wakened: &Wakened, guests: &Arc<Guests>, once: impl FnOnce()) {
        once();
        let diallers = Arc::new(AtomicUsize::new(0));
        loop {
            let accepted = match wakened.accept(listener) {
                Ok(Some(link)) => link,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a plugin");
                    thread::sleep(PAUSE);
                    continue;
                }
            };
            if diallers.fetch_add(1, Ordering::Relaxed) >= MAX_DIALLERS {
                diallers.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (guests, heard) = (Arc::clone(guests), Arc::clone(&diallers));
            let spawned = thread::Builder::new().name("plugin-core greeting".into()).spawn(move || {
                listen(accepted, &guests);
                heard.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                diallers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn listen(link: LocalLink, guests: &Arc<Guests>) {
        if !link.is_same_user() {
            tracing::warn!("another user's process dialled the plugin socket");
            return;
        }
        let pid = link.peer_pid();
        if !guests.let_wait(pid) {
            return;
        }
        let deadline = deadline::after(Instant::now(), HELLO_LIMIT);
        let mut deframer = Deframer::new();
        let hello = greeting::receive(&link, &mut deframer, deadline, handshake::read_hello);
        guests.leave_door(pid);
        match hello {
            Ok(hello) => guests.introduced(Introduced { link, deframer, hello }),
            Err(error) => tracing::debug!(%error, "a dialler did not introduce itself"),
        }
    }
}

//! Interrupting an accept that waits.

#[cfg(unix)]
pub(super) use unix::{Wakened, Waker, waker};
#[cfg(windows)]
pub(super) use windows::{Wakened, Waker, waker};

#[cfg(unix)]
mod unix {
    use std::{io, os::unix::net::UnixStream, path::Path};

    use rustix::event::{PollFd, PollFlags, poll};

    use crate::transport::local::{LocalLink, LocalListener};

    /// Ends the accepting when dropped.
    #[derive(Debug)]
    pub(in crate::host) struct Waker {
        _end: UnixStream,
    }

    #[derive(Debug)]
    pub(in crate::host) struct Wakened(UnixStream);

    pub(in crate::host) fn waker(_address: &Path, listener: &LocalListener) -> io::Result<(Waker, Wakened)> {
        // Whoever was seen to dial may be gone again when accepted, and then there is nobody to wait for.
        listener.never_wait()?;
        let (waker, wakened) = UnixStream::pair()?;
        Ok((Waker { _end: waker }, Wakened(wakened)))
    }

    impl Wakened {
        /// The next connection of `listener`, which is the waker's; `None` once the waker is gone.
        pub(in crate::host) fn accept(&self, listener: &LocalListener) -> io::Result<Option<LocalLink>> {
            let listener_fd = listener.as_fd();
            let mut fds = [PollFd::new(&listener_fd, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
            loop {
                match poll(&mut fds, None) {
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                    Ok(_) if !fds[1].revents().is_empty() => return Ok(None),
                    Ok(_) => match listener.accept() {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        accepted => return accepted.map(Some),
                    },
                }
            }
        }
    }
}

/// A pipe's accept cannot be interrupted from outside, so the waker dials.
#[cfg(windows)]
mod windows {
    use std::{
        io,
        path::{Path, PathBuf},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use crate::transport::local::{LocalLink, LocalListener};

    #[derive(Debug)]
    pub(in crate::host) struct Waker {
        address: PathBuf,
        is_over: Arc<AtomicBool>,
    }

    #[derive(Debug)]
    pub(in crate::host) struct Wakened(Arc<AtomicBool>);

    #[expect(clippy::unnecessary_wraps, reason = "the same on every platform")]
    pub(in crate::host) fn waker(address: &Path, _listener: &LocalListener) -> io::Result<(Waker, Wakened)> {
        let is_over = Arc::new(AtomicBool::new(false));
        Ok((Waker { address: address.into(), is_over: Arc::clone(&is_over) }, Wakened(is_over)))
    }

    impl Drop for Waker {
        fn drop(&mut self) {
            self.is_over.store(true, Ordering::SeqCst);
            // Only its arrival matters.
            let _ = LocalLink::dial(&self.address);
        }
    }

    impl Wakened {
        pub(in crate::host) fn accept(&self, listener: &LocalListener) -> io::Result<Option<LocalLink>> {
            let link = listener.accept()?;
            Ok(if self.0.load(Ordering::SeqCst) { None } else { Some(link) })
        }
    }
}

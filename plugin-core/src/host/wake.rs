//! Interrupting an accept that waits.

#[cfg(unix)]
pub(super) use unix::{Wakened, Waker, Woken, waker};
#[cfg(windows)]
pub(super) use windows::{Wakened, Waker, waker};

#[cfg(unix)]
mod unix {
    use std::{
        io,
        os::{
            fd::{AsFd, BorrowedFd},
            unix::net::UnixStream,
        },
        path::Path,
        time::Duration,
    };

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use crate::transport::local::LocalListener;

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

    /// Why a wait has ended.
    #[derive(Debug)]
    pub(in crate::host) struct Woken {
        /// The waker is gone.
        pub(in crate::host) is_over: bool,
        /// Somebody dials.
        pub(in crate::host) is_dialled: bool,
        /// The places of the files that have something to read, in their order.
        pub(in crate::host) ready: Vec<usize>,
    }

    impl Wakened {
        /// Waits until somebody dials `listener`, which is the waker's, there is something to read in one of `files`, or the
        /// waker is gone; but not longer than `limit`.
        pub(in crate::host) fn wait(
            &self,
            listener: &LocalListener,
            files: &[BorrowedFd<'_>],
            limit: Option<Duration>,
        ) -> io::Result<Woken> {
            let limit = limit.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            let ours = [listener.as_fd(), self.0.as_fd()];
            let mut fds: Vec<_> = ours.iter().chain(files).map(|file| PollFd::new(file, PollFlags::IN)).collect();
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
            let ready = fds.iter().skip(ours.len()).enumerate().filter(|(_, fd)| is_ready(fd));
            Ok(Woken {
                is_over: is_ready(&fds[1]),
                is_dialled: is_ready(&fds[0]),
                ready: ready.map(|(place, _)| place).collect(),
            })
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

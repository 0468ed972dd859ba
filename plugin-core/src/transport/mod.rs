//! Bytes in, bytes out: the two ways two sides can be joined.
//!
//! [`local`] is a local socket between processes (a Unix-domain socket, on Windows a named pipe); [`memory`] is its twin
//! within one process. Neither knows what the bytes mean.

#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod local;
pub(crate) mod memory;
#[cfg(windows)]
mod pipe;
#[cfg(unix)]
pub(crate) mod tally;

use std::{
    io::{self, IoSlice, IoSliceMut},
    time::Duration,
};

/// A two-way byte stream that several threads share: at most one reads and one writes at a time.
pub(crate) trait Link: Send + Sync {
    /// Waits for bytes; 0 is the end of the stream.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Waits until some bytes are written.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what can be written without waiting; `WouldBlock` where that is nothing, or cannot be known.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`try_write`](Self::try_write), of several pieces at once where the system can.
    fn try_write_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write(pieces.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece))
    }

    /// Ends both directions, waking a blocked read and a blocked write.
    ///
    /// What had arrived before can still be read. The other side is told at once, on Windows once nobody holds the link.
    fn close(&self);

    /// The same link, where a thread can wait for it with a time limit, so that whoever needs it next may read from it.
    /// Elsewhere one thread must do nothing but read.
    fn pollable(&self) -> Option<&dyn Pollable> {
        None
    }
}

/// What more can be done with a link whose operating system can wait for several things at once.
pub(crate) trait Pollable {
    /// As [`Link::read`], but does not wait; `WouldBlock` where nothing is there.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// As [`try_read`](Self::try_read), into several places, one after the other, where the system can.
    fn try_read_pieces(&self, pieces: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_read(pieces.iter_mut().find(|piece| !piece.is_empty()).map_or(&mut [], |piece| &mut **piece))
    }

    /// From here on no read waits longer than [`TICK`].
    fn tick(&self) -> io::Result<()>;

    /// As [`Link::read`], but waits no longer than `limit`; `WouldBlock` where nothing came in that time, or until a
    /// [`tick`](Self::tick).
    fn read_within(&self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<usize>;

    /// Waits until something can be read or written, as asked, at most `limit`.
    fn wait(&self, readable: bool, writable: bool, limit: Duration) -> io::Result<()>;

    /// What the operating system calls the link.
    #[cfg(unix)]
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_>;
}

/// How often a thread that waits for an answer looks around.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Checks that nobody else can put a socket of theirs at `address`: its directory must be this user's (or root's) own,
/// and not writable by others. A socket's own mode cannot be set on every system, so the directory is the guard.
#[cfg(unix)]
pub(crate) fn private_directory(address: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let directory = match address.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => std::path::Path::new("."),
    };
    let metadata =
        std::fs::metadata(directory).map_err(|error| format!("its directory cannot be examined: {error}"))?;
    let uid = rustix::process::geteuid().as_raw();
    if metadata.uid() != uid && metadata.uid() != 0 {
        return Err("its directory belongs to another user".into());
    }
    if metadata.mode() & 0o022 != 0 {
        return Err("its directory can be written by others; use one that only you can write (chmod 700)".into());
    }
    Ok(())
}

/// On Windows a pipe's own access rules are the guard.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the same on every platform")]
pub(crate) fn private_directory(_address: &std::path::Path) -> Result<(), String> {
    Ok(())
}

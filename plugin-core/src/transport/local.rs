//! Local sockets between processes, by the `interprocess` crate.

#[cfg(unix)]
use std::io::{IoSlice, IoSliceMut};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, path::Path, time::Duration};

#[cfg(unix)]
use interprocess::local_socket::ListenerNonblockingMode;
use interprocess::local_socket::{ConnectOptions, Listener, ListenerOptions, Name, Stream, prelude::*};
#[cfg(unix)]
use rustix::net::{RecvAncillaryBuffer, SendAncillaryBuffer};

use super::Link;
#[cfg(windows)]
use super::pipe::Pipe;
#[cfg(unix)]
use super::{Pollable, TICK, tally};

/// A connected local socket, and on Unix whether its reads end after a tick.
#[derive(Debug)]
pub(crate) struct LocalLink(#[cfg(unix)] Stream, #[cfg(windows)] Pipe, #[cfg(unix)] AtomicBool);

/// A local socket that waits for connections, removed from the file system when dropped.
#[derive(Debug)]
pub(crate) struct LocalListener {
    /// First, so that it is looked at while the socket still exists.
    #[cfg(unix)]
    file: SocketFile,
    listener: Listener,
}

/// What the operating system calls `address`: a path, on Windows the name of a pipe.
fn name(address: &Path) -> io::Result<Name<'_>> {
    #[cfg(unix)]
    return address.to_fs_name::<interprocess::local_socket::GenericFilePath>();
    #[cfg(windows)]
    return address.as_os_str().to_ns_name::<interprocess::local_socket::GenericNamespaced>();
}

impl LocalListener {
    /// Waits for connections at `address`, which must not exist yet.
    pub(crate) fn bind(address: &Path) -> io::Result<Self> {
        let listener = ListenerOptions::new().name(name(address)?).reclaim_name(false).create_sync()?;
        #[cfg(unix)]
        let file = SocketFile::at(address)?;
        Ok(Self {
            #[cfg(unix)]
            file,
            listener,
        })
    }

    pub(crate) fn accept(&self) -> io::Result<LocalLink> {
        let stream = self.listener.accept()?;
        // On some systems it is as its listener is, which may not wait.
        #[cfg(unix)]
        stream.set_nonblocking(false)?;
        Ok(LocalLink::new(stream))
    }

    /// Whether who dials its address still comes here: somebody may have removed the socket.
    #[cfg_attr(windows, expect(clippy::unused_self, reason = "the same on every platform"))]
    pub(crate) fn is_reachable(&self) -> bool {
        #[cfg(unix)]
        return self.file.is_in_place();
        #[cfg(windows)]
        return true;
    }
}

#[cfg(unix)]
impl LocalListener {
    /// Lets an accept that finds nobody say so (`WouldBlock`) rather than wait.
    pub(crate) fn never_wait(&self) -> io::Result<()> {
        self.listener.set_nonblocking(ListenerNonblockingMode::Accept)
    }

    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        let Listener::UdSocket(listener) = &self.listener;
        std::os::fd::AsFd::as_fd(listener)
    }
}

/// The file of a listening socket, removed when dropped.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile {
    path: std::path::PathBuf,
    /// Its device and its number there, which no other file has as long as the socket exists.
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), identity: identity(path)? })
    }

    fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            // If it is gone by now, or cannot be removed, there is nobody to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl LocalLink {
    /// Connects to `address`.
    pub(crate) fn dial(address: &Path) -> io::Result<Self> {
        ConnectOptions::new().name(name(address)?).connect_sync().map(Self::new)
    }

    fn new(stream: Stream) -> Self {
        #[cfg(unix)]
        {
            let Stream::UdSocket(socket) = &stream;
            // Where so much is not allowed, the system gives what it allows, or leaves it at what it was.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket.inner(), SEND_BUFFER);
            Self(stream, AtomicBool::new(false))
        }
        #[cfg(windows)]
        return Self(Pipe::new(stream));
    }

    fn stream(&self) -> &Stream {
        #[cfg(unix)]
        return &self.0;
        #[cfg(windows)]
        return self.0.stream();
    }

    /// Bounds every read from here on; `None` lifts the bound.
    #[cfg_attr(windows, expect(clippy::unnecessary_wraps, reason = "the same on every platform"))]
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        #[cfg(unix)]
        self.0.set_recv_timeout(timeout)?;
        #[cfg(windows)]
        self.0.set_read_limit(timeout);
        Ok(())
    }

    /// As [`set_read_timeout`](Self::set_read_timeout), for writes. Windows has no such bound: there a peer that does not
    /// read is dealt with by ending its process.
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self.stream().set_send_timeout(timeout) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            outcome => outcome,
        }
    }

    /// The process at the other end, where the operating system tells.
    #[cfg_attr(windows, expect(clippy::useless_conversion, reason = "only on Windows is it a u32 already"))]
    pub(crate) fn peer_pid(&self) -> Option<u32> {
        let pid = self.stream().peer_creds().ok()?.pid()?;
        u32::try_from(pid).ok()
    }

    /// Whether the other end belongs to the same user; `true` where the operating system does not tell (on Windows the
    /// pipe's own access rules decide).
    #[cfg_attr(windows, expect(clippy::unused_self, reason = "the same on every platform"))]
    pub(crate) fn is_same_user(&self) -> bool {
        #[cfg(unix)]
        return match self.stream().peer_creds() {
            Ok(credentials) => credentials.euid().is_none_or(|uid| uid == rustix::process::geteuid().as_raw()),
            Err(_) => false,
        };
        #[cfg(windows)]
        return true;
    }
}

/// How much a socket takes before a writer must wait: a message of a megabyte, whose sender then gives way once instead of at
/// every few fragments, and which a reader still gets through in well under a millisecond. It is a limit and not memory set
/// aside: only what has been written and not read counts. The system doubles it for its own needs.
#[cfg(unix)]
const SEND_BUFFER: usize = 1024 * 1024;

/// Apple's systems have no such flag; there Rust's own default, to ignore the signal, has to do.
#[cfg(all(unix, not(target_vendor = "apple")))]
const QUIET: rustix::net::SendFlags = rustix::net::SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const QUIET: rustix::net::SendFlags = rustix::net::SendFlags::empty();

#[cfg(unix)]
impl LocalLink {
    /// Sends without ever raising SIGPIPE, which ends a program whose disposition for it is the system's default.
    fn send(&self, bytes: &[u8], flags: rustix::net::SendFlags) -> io::Result<usize> {
        let flags = flags | QUIET;
        let Stream::UdSocket(socket) = &self.0;
        tally::sending();
        retry(|| Ok(rustix::net::send(socket.inner(), bytes, flags)?))
    }

    fn receive(&self, buffer: &mut [u8], flags: rustix::net::RecvFlags) -> io::Result<usize> {
        let Stream::UdSocket(socket) = &self.0;
        tally::receiving();
        retry(|| Ok(rustix::net::recv(socket.inner(), &mut *buffer, flags)?.0))
    }
}

impl Link for LocalLink {
    #[cfg(unix)]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        tally::receiving();
        retry(|| io::Read::read(&mut &self.0, buffer))
    }

    #[cfg(windows)]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| self.0.read(buffer))
    }

    #[cfg(unix)]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes, rustix::net::SendFlags::empty())
    }

    #[cfg(windows)]
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| self.0.write(bytes))
    }

    #[cfg(unix)]
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes, rustix::net::SendFlags::DONTWAIT)
    }

    #[cfg(unix)]
    fn try_write_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [piece] = pieces {
            return self.try_write(piece);
        }
        let Stream::UdSocket(socket) = &self.0;
        let flags = rustix::net::SendFlags::DONTWAIT | QUIET;
        tally::sending();
        retry(|| Ok(rustix::net::sendmsg(socket.inner(), pieces, &mut SendAncillaryBuffer::default(), flags)?))
    }

    #[cfg(windows)]
    fn try_write(&self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[cfg(unix)]
    fn close(&self) {
        let Stream::UdSocket(socket) = &self.0;
        // Fails only where the other side has already gone, which is as good.
        let _ = socket.inner().shutdown(std::net::Shutdown::Both);
    }

    #[cfg(windows)]
    fn close(&self) {
        self.0.close();
    }

    #[cfg(unix)]
    fn pollable(&self) -> Option<&dyn Pollable> {
        Some(self)
    }
}

#[cfg(unix)]
impl Pollable for LocalLink {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, rustix::net::RecvFlags::DONTWAIT)
    }

    fn try_read_pieces(&self, pieces: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let Stream::UdSocket(socket) = &self.0;
        let flags = rustix::net::RecvFlags::DONTWAIT;
        let mut no_more = RecvAncillaryBuffer::default();
        tally::receiving();
        retry(|| Ok(rustix::net::recvmsg(socket.inner(), pieces, &mut no_more, flags)?.bytes))
    }

    fn tick(&self) -> io::Result<()> {
        self.set_read_timeout(Some(TICK))?;
        self.1.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// One system call where the limit is far or there is none: the socket's own timeout ends the wait.
    fn read_within(&self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<usize> {
        match limit {
            Some(limit) if limit < TICK || !self.1.load(Ordering::Relaxed) => {
                self.wait(true, false, limit)?;
                self.try_read(buffer)
            }
            _ => self.receive(buffer, rustix::net::RecvFlags::empty()),
        }
    }

    fn wait(&self, readable: bool, writable: bool, limit: Duration) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, readable);
        flags.set(PollFlags::OUT, writable);
        tally::waiting();
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let fd = self.as_fd();
        // Interrupted or not: whoever waits looks for itself.
        match poll(&mut [PollFd::new(&fd, flags)], Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        let Stream::UdSocket(socket) = &self.0;
        std::os::fd::AsFd::as_fd(socket)
    }
}

/// Two ends of a socket without a name.
#[cfg(all(test, unix))]
pub(crate) fn pair() -> io::Result<(LocalLink, LocalLink)> {
    let link = |end: std::os::unix::net::UnixStream| LocalLink::new(Stream::UdSocket(end.into()));
    let (left, right) = std::os::unix::net::UnixStream::pair()?;
    Ok((link(left), link(right)))
}

fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_listener_knows_whether_its_socket_is_still_there_and_removes_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let first = LocalListener::bind(&socket).unwrap();
        assert!(first.is_reachable());
        fs::remove_file(&socket).unwrap();
        assert!(!first.is_reachable());
        let second = LocalListener::bind(&socket).unwrap();
        assert!(!first.is_reachable() && second.is_reachable());
        drop(first);
        assert!(second.is_reachable());
        drop(second);
        assert!(!socket.exists());
    }

    #[test]
    fn accepting_without_waiting_gives_links_that_wait() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = LocalListener::bind(&socket).unwrap();
        listener.never_wait().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _dialled = LocalLink::dial(&socket).unwrap();
        let link = listener.accept().unwrap();
        link.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let began = std::time::Instant::now();
        link.read(&mut [0]).unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(10));
    }
}

//! Local sockets between processes, by the `interprocess` crate.

use std::{io, path::Path, time::Duration};

use interprocess::local_socket::{ConnectOptions, Listener, ListenerOptions, Name, Stream, prelude::*};

use super::Link;
#[cfg(windows)]
use super::pipe::Pipe;

/// A connected local socket.
#[derive(Debug)]
pub(crate) struct LocalLink(#[cfg(unix)] Stream, #[cfg(windows)] Pipe);

/// A local socket that waits for connections, removed from the file system when dropped.
#[derive(Debug)]
pub(crate) struct LocalListener(Listener);

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
        ListenerOptions::new().name(name(address)?).create_sync().map(Self)
    }

    pub(crate) fn accept(&self) -> io::Result<LocalLink> {
        self.0.accept().map(LocalLink::new)
    }

    #[cfg(unix)]
    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        let Listener::UdSocket(listener) = &self.0;
        std::os::fd::AsFd::as_fd(listener)
    }
}

impl LocalLink {
    /// Connects to `address`.
    pub(crate) fn dial(address: &Path) -> io::Result<Self> {
        ConnectOptions::new().name(name(address)?).connect_sync().map(Self::new)
    }

    fn new(stream: Stream) -> Self {
        #[cfg(windows)]
        let stream = Pipe::new(stream);
        Self(stream)
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

#[cfg(unix)]
impl LocalLink {
    /// Sends without ever raising SIGPIPE, which ends a program whose disposition for it is the system's default.
    fn send(&self, bytes: &[u8], flags: rustix::net::SendFlags) -> io::Result<usize> {
        // Apple's systems have no such flag; there Rust's own default, to ignore the signal, has to do.
        #[cfg(not(target_vendor = "apple"))]
        let flags = flags | rustix::net::SendFlags::NOSIGNAL;
        let Stream::UdSocket(socket) = &self.0;
        retry(|| Ok(rustix::net::send(socket.inner(), bytes, flags)?))
    }
}

impl Link for LocalLink {
    #[cfg(unix)]
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
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
}

fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

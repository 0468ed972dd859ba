//! What Windows' named pipes lack to be sockets: reads with a time limit, and an end of which both sides are told.

use std::{
    io::{self, Read, Write},
    os::windows::io::{AsHandle, AsRawHandle},
    ptr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use interprocess::local_socket::Stream;
use windows_sys::Win32::System::{IO::CancelIoEx, Pipes::PeekNamedPipe};

use crate::connection::lock;

/// How often a read with a time limit looks whether there is something to read.
const INTERVAL: Duration = Duration::from_millis(1);

/// A pipe that can be closed while others read and write.
///
/// The other side sees its end once nobody holds the pipe any more: so closing it wakes those who do.
#[derive(Debug)]
pub(super) struct Pipe {
    stream: Stream,
    /// How many threads read or write, or are about to.
    busy: AtomicUsize,
    is_closed: AtomicBool,
    reading: Mutex<Reading>,
}

/// What only the one thread that reads looks at, and whoever has not begun yet.
#[derive(Debug, Default)]
struct Reading {
    limit: Option<Duration>,
    /// How much of what had arrived before the pipe was closed has not been read, once that is known.
    rest: Option<usize>,
}

impl Pipe {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, busy: AtomicUsize::new(0), is_closed: AtomicBool::new(false), reading: Mutex::default() }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn set_read_limit(&self, limit: Option<Duration>) {
        lock(&self.reading).limit = limit;
    }

    /// As a socket: once closed, it brings what had arrived before, then the end.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = lock(&self.reading).limit;
        if let Some(limit) = limit {
            self.wait_readable(limit)?;
        }
        match self.unless_closed(|| (&self.stream).read(buffer)) {
            Some(outcome) if !self.is_closed() || outcome.is_ok() => outcome,
            _ => self.read_rest(buffer),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.unless_closed(|| (&self.stream).write(bytes));
        written.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Wakes who waits, and lets nobody wait any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // Again, if need be: who has seen the pipe open may have had nothing to cancel yet.
        while self.busy.load(Ordering::SeqCst) > 0 {
            self.cancel();
            thread::yield_now();
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Runs an operation that may wait, or none if the pipe is closed.
    fn unless_closed<T>(&self, operation: impl FnOnce() -> T) -> Option<T> {
        // First, so that whoever closes the pipe after the look at `is_closed` sees it.
        self.busy.fetch_add(1, Ordering::SeqCst);
        let outcome = if self.is_closed() { None } else { Some(operation()) };
        self.busy.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// Reads what had arrived when this was first called. Only one thread reads, so it is there and need not be waited for.
    fn read_rest(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reading = lock(&self.reading);
        let rest = reading.rest.get_or_insert_with(|| self.available().unwrap_or(0));
        let length = buffer.len().min(*rest);
        if length == 0 {
            return Ok(0);
        }
        let count = (&self.stream).read(&mut buffer[..length])?;
        *rest -= count;
        Ok(count)
    }

    fn wait_readable(&self, limit: Duration) -> io::Result<()> {
        let began = Instant::now();
        // What else there is to say of the pipe, the read will.
        while !self.is_closed() && self.available().is_ok_and(|count| count == 0) {
            if began.elapsed() >= limit {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    /// How many bytes can be read without waiting.
    #[expect(unsafe_code, reason = "looking into a pipe has no safe interface in the standard library")]
    fn available(&self) -> io::Result<usize> {
        let Stream::NamedPipe(pipe) = &self.stream;
        let mut count = 0;
        // SAFETY: the handle is open as long as `pipe`; `count` may be written to, and the other pointers may be null.
        let done = unsafe {
            PeekNamedPipe(
                pipe.as_handle().as_raw_handle(),
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                &raw mut count,
                ptr::null_mut(),
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { usize::try_from(count).map_err(io::Error::other) }
    }

    /// Ends the reads and writes that wait. Fails only where none does.
    #[expect(unsafe_code, reason = "cancelling has no safe interface in the standard library")]
    fn cancel(&self) {
        let Stream::NamedPipe(pipe) = &self.stream;
        // SAFETY: the handle is open as long as `pipe`, and null stands for all operations on it: they stay with those who
        // began them, who are told that they ended.
        let _ = unsafe { CancelIoEx(pipe.as_handle().as_raw_handle(), ptr::null()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{
        Link,
        local::{LocalLink, LocalListener},
    };

    fn pair(name: &str) -> (LocalLink, LocalLink) {
        let address = format!("plugin-core-test-{}-{name}", std::process::id());
        let listener = LocalListener::bind(address.as_ref()).unwrap();
        let dialled = LocalLink::dial(address.as_ref()).unwrap();
        (listener.accept().unwrap(), dialled)
    }

    #[test]
    fn closing_wakes_who_reads_and_who_writes_and_is_seen_by_the_other_side() {
        let (left, right) = pair("closing");
        thread::scope(|scope| {
            let reading = scope.spawn(|| left.read(&mut [0; 8]));
            let writing = scope.spawn(|| while left.write(&[0; 4096]).is_ok() {});
            thread::sleep(Duration::from_millis(100));
            assert!(!reading.is_finished() && !writing.is_finished());
            left.close();
            assert_eq!(reading.join().unwrap().unwrap(), 0);
            writing.join().unwrap();
        });
        drop(left);
        let mut buffer = [0; 4096];
        while right.read(&mut buffer).unwrap() > 0 {}
        assert!(right.write(b"x").is_err());
    }

    #[test]
    fn what_arrived_before_the_closing_can_still_be_read() {
        let (left, right) = pair("rest");
        right.write(b"first and last").unwrap();
        left.close();
        let mut buffer = [0; 8];
        assert_eq!(left.read(&mut buffer).unwrap(), 8);
        right.write(b"too late").unwrap();
        assert_eq!(left.read(&mut buffer).unwrap(), 6);
        assert_eq!(&buffer[..6], b"d last");
        assert_eq!(left.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_read_has_a_time_limit() {
        let (left, right) = pair("limit");
        left.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let began = Instant::now();
        assert_eq!(left.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= Duration::from_millis(50));
        right.write(b"x").unwrap();
        assert_eq!(left.read(&mut [0; 8]).unwrap(), 1);
    }
}

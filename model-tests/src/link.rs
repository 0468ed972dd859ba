//! A pair of joined links in memory, which hold little, pass on in pieces what was written at once, and notice two readers.

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use shuttle::rand::Rng;

use crate::{
    connection::lock,
    sync::{Arc, Condvar, Instant, Mutex, MutexGuard, PoisonError},
    transport::{Link, Pollable, TICK},
};

/// How many bytes one direction holds: about two frames.
const CAPACITY: usize = 64;

/// Both directions of a pair.
#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By the end that reads them.
    bytes: [VecDeque<u8>; 2],
    is_closed: bool,
}

/// One end of a pair.
#[derive(Debug)]
pub(crate) struct ModelLink {
    wire: Arc<Wire>,
    end: usize,
    is_shared: bool,
    is_read: AtomicBool,
    is_written: AtomicBool,
}

/// Two ends, each of which reads what the other writes; whether several threads may read one in turn.
pub(crate) fn pair(are_shared: [bool; 2]) -> [ModelLink; 2] {
    let wire = Arc::<Wire>::default();
    [0, 1].map(|end| ModelLink {
        wire: Arc::clone(&wire),
        end,
        is_shared: are_shared[end],
        is_read: AtomicBool::new(false),
        is_written: AtomicBool::new(false),
    })
}

/// Nobody else may do the same meanwhile.
struct Alone<'a>(&'a AtomicBool);

impl<'a> Alone<'a> {
    fn begin(flag: &'a AtomicBool, what: &str) -> Self {
        assert!(!flag.swap(true, Ordering::Relaxed), "two threads {what} at once");
        Self(flag)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// How many of `length` bytes pass at once.
fn piece(length: usize) -> usize {
    let mut random = shuttle::rand::thread_rng();
    if random.gen_bool(0.7) { length } else { random.gen_range(1..=length) }
}

impl ModelLink {
    /// Waits until `condition` holds, but not past `until`; whether it does.
    fn wait_until(&self, until: Option<Instant>, condition: impl Fn(&State) -> bool) -> (MutexGuard<'_, State>, bool) {
        let mut state = lock(&self.wire.state);
        loop {
            if condition(&state) {
                return (state, true);
            }
            let Some(until) = until else {
                state = self.wire.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (state, false);
            }
            state = self.wire.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn is_readable(&self, state: &State) -> bool {
        state.is_closed || !state.bytes[self.end].is_empty()
    }

    fn is_writable(&self, state: &State) -> bool {
        state.is_closed || state.bytes[1 - self.end].len() < CAPACITY
    }

    fn read_until(&self, buffer: &mut [u8], until: Option<Instant>) -> io::Result<usize> {
        let _alone = Alone::begin(&self.is_read, "read");
        let (mut state, is_readable) = self.wait_until(until, |state| self.is_readable(state));
        let bytes = &mut state.bytes[self.end];
        if !is_readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = piece(buffer.len().min(bytes.len()));
        for (place, byte) in buffer.iter_mut().zip(bytes.drain(..count)) {
            *place = byte;
        }
        drop(state);
        self.wire.changed.notify_all();
        Ok(count)
    }

    fn write_until(&self, bytes: &[u8], until: Option<Instant>) -> io::Result<usize> {
        let _alone = Alone::begin(&self.is_written, "write");
        let (mut state, is_writable) = self.wait_until(until, |state| self.is_writable(state));
        if state.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !is_writable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let there = &mut state.bytes[1 - self.end];
        let count = piece(bytes.len().min(CAPACITY - there.len()));
        there.extend(&bytes[..count]);
        drop(state);
        self.wire.changed.notify_all();
        Ok(count)
    }
}

impl Link for ModelLink {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_until(buffer, None)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_until(bytes, None)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_until(bytes, Some(Instant::now()))
    }

    fn close(&self) {
        lock(&self.wire.state).is_closed = true;
        self.wire.changed.notify_all();
    }

    fn pollable(&self) -> Option<&dyn Pollable> {
        self.is_shared.then_some(self)
    }
}

impl Pollable for ModelLink {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_until(buffer, Some(Instant::now()))
    }

    /// Reads do not end by themselves: who is not woken is to be found out.
    fn tick(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_within(&self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<usize> {
        self.read_until(buffer, limit.map(|limit| Instant::now() + limit))
    }

    fn wait(&self, readable: bool, writable: bool, limit: Duration) -> io::Result<()> {
        // A wait that is repeated after a tick must not need to be.
        let until = (limit < TICK).then(|| Instant::now() + limit);
        drop(
            self.wait_until(until, |state| readable && self.is_readable(state) || writable && self.is_writable(state)),
        );
        Ok(())
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        unreachable!("no operating system knows it")
    }
}

impl Drop for ModelLink {
    fn drop(&mut self) {
        self.close();
    }
}

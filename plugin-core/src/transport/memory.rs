//! A pair of joined byte streams within one process.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use super::Link;

/// How many bytes one direction holds before writers wait: as a socket's buffer does.
const CAPACITY: usize = 256 * 1024;

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    is_closed: bool,
}

/// One end of the pair.
#[derive(Debug)]
pub(crate) struct MemoryLink {
    input: Arc<Pipe>,
    output: Arc<Pipe>,
}

/// Two ends, each reading what the other writes.
pub(crate) fn pair() -> (MemoryLink, MemoryLink) {
    let (left, right) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    let other = MemoryLink { input: Arc::clone(&right), output: Arc::clone(&left) };
    (MemoryLink { input: left, output: right }, other)
}

impl Pipe {
    fn read(&self, buffer: &mut [u8]) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.bytes.is_empty() && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = buffer.len().min(state.bytes.len());
        for (place, byte) in buffer.iter_mut().zip(state.bytes.drain(..count)) {
            *place = byte;
        }
        self.changed.notify_all();
        count
    }

    fn write(&self, bytes: &[u8], may_wait: bool) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.bytes.len() >= CAPACITY && !state.is_closed {
            if !may_wait {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(CAPACITY - state.bytes.len());
        state.bytes.extend(&bytes[..count]);
        self.changed.notify_all();
        Ok(count)
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.changed.notify_all();
    }
}

impl Link for MemoryLink {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.input.read(buffer))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes, true)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes, false)
    }

    fn close(&self) {
        self.input.close();
        self.output.close();
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_reads_what_the_other_writes_until_closed() {
        let (left, right) = pair();
        assert_eq!(left.write(b"ping").unwrap(), 4);
        let mut buffer = [0; 8];
        assert_eq!(right.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"ping");
        right.write(b"last").unwrap();
        right.close();
        assert_eq!(left.read(&mut buffer).unwrap(), 4, "what was written before the end still arrives");
        assert_eq!(left.read(&mut buffer).unwrap(), 0);
        assert_eq!(left.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_full_pipe_does_not_take_more() {
        let (left, right) = pair();
        assert_eq!(left.try_write(&vec![0; CAPACITY + 1]).unwrap(), CAPACITY);
        assert_eq!(left.try_write(&[0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        right.read(&mut [0; 10]).unwrap();
        assert_eq!(left.try_write(&[0; 20]).unwrap(), 10);
    }
}

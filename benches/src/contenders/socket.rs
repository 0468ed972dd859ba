//! Frames over a blocking stream with as little as possible in between: what the bare sockets have in common.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{Blocking, Child};
use crate::Result;

/// The length that comes before the bytes.
const HEADER: usize = 4;

/// In place of a length: the plugin is to send as many bytes as the next eight say.
const POUR: u32 = u32::MAX;

/// How many bytes are poured, and read, at once.
const CHUNK: usize = 64 << 10;

/// One side of a stream of frames. A frame that fits the socket's buffer is one write and one read.
pub(crate) struct Frames<S> {
    stream: S,
    /// The frame last sent or received is its beginning.
    buffer: Vec<u8>,
    length: usize,
}

impl<S: Read + Write> Frames<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; 64 << 10], length: 0 }
    }

    /// Answers every frame with itself, until the other side is gone.
    pub(crate) fn serve(mut self) -> io::Result<()> {
        while self.receive()? {
            if self.length == HEADER + size_of::<u64>() && self.buffer.starts_with(&POUR.to_le_bytes()) {
                let count =
                    self.buffer[HEADER..self.length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                self.pour(count)?;
            } else {
                self.stream.write_all(&self.buffer[..self.length])?;
            }
        }
        Ok(())
    }

    fn pour(&mut self, mut count: u64) -> io::Result<()> {
        let chunk = vec![0x5a; CHUNK];
        while count > 0 {
            let length = usize::try_from(count).unwrap_or(CHUNK).min(CHUNK);
            self.stream.write_all(&chunk[..length])?;
            count -= length as u64;
        }
        Ok(())
    }

    /// Has the other side send so many bytes, and reads them.
    fn bytes(&mut self, mut count: u64) -> io::Result<()> {
        self.stream.write_all(&[&POUR.to_le_bytes()[..], &count.to_le_bytes()].concat())?;
        let mut chunk = vec![0; CHUNK];
        while count > 0 {
            match self.stream.read(&mut chunk)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => count = count.saturating_sub(length as u64),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<bool> {
        let (mut filled, mut wanted) = (0, HEADER);
        while filled < wanted {
            match self.stream.read(&mut self.buffer[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
            if let Some(header) = self.buffer[..filled].first_chunk() {
                let length = u32::from_le_bytes(*header);
                wanted = HEADER + if length == POUR { size_of::<u64>() } else { length as usize };
                if self.buffer.len() < wanted {
                    self.buffer.resize(wanted, 0);
                }
            }
        }
        self.length = wanted;
        Ok(true)
    }

    /// The frame of the last call is sent again if it was as long: no copy is made that the socket does not make.
    fn echo(&mut self, payload: &[u8]) -> io::Result<usize> {
        let length = u32::try_from(payload.len()).map_err(|_| ErrorKind::InvalidInput)?;
        if self.length != HEADER + payload.len() {
            self.length = HEADER + payload.len();
            self.buffer.resize(self.length.max(64 << 10), 0);
            self.buffer[..HEADER].copy_from_slice(&length.to_le_bytes());
            self.buffer[HEADER..self.length].copy_from_slice(payload);
        }
        self.stream.write_all(&self.buffer[..self.length])?;
        if self.receive()? { Ok(self.length - HEADER) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

/// A plugin behind a stream of frames: for one caller at a time.
pub(crate) struct OneCaller<S> {
    pub(crate) frames: Mutex<Frames<S>>,
    pub(crate) _child: Child,
}

impl<S: Read + Write + Send> Blocking for OneCaller<S> {
    fn echo(&self, payload: &[u8]) -> Result<usize> {
        Ok(self.frames.lock().unwrap_or_else(PoisonError::into_inner).echo(payload)?)
    }

    fn sleep(&self, millis: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(millis));
        Ok(())
    }

    fn bytes(&self, count: u64) -> Result<()> {
        Ok(self.frames.lock().unwrap_or_else(PoisonError::into_inner).bytes(count)?)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn frames_of_any_size_come_back() {
        let (host, plugin) = UnixStream::pair().unwrap();
        let server = thread::spawn(|| Frames::new(plugin).serve());
        let mut frames = Frames::new(host);
        for size in [0, 1, 20, 20, (64 << 10) - 4, 64 << 10, 1 << 20, 3, 1 << 20] {
            assert_eq!(frames.echo(&vec![1; size]).unwrap(), size);
        }
        for count in [0, 1, 1 << 20] {
            frames.bytes(count).unwrap();
            assert_eq!(frames.echo(&[1; 3]).unwrap(), 3);
        }
        drop(frames);
        server.join().unwrap().unwrap();
    }
}

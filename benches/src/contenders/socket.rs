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
            self.stream.write_all(&self.buffer[..self.length])?;
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
                wanted = HEADER + u32::from_le_bytes(*header) as usize;
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
        drop(frames);
        server.join().unwrap().unwrap();
    }
}

//! A pair that misbehaves as connections may: it is cut at a random byte of either direction, passes on in pieces what was
//! written at once, is full when it need not be, and takes its time.

use std::{io, sync::Mutex, thread, time::Duration};

use fastrand::Rng;

use super::{Link, Pollable};
use crate::connection::lock;

/// One end of the pair.
pub(crate) struct FaultyLink {
    link: Box<dyn Link>,
    reading: Mutex<Faults>,
    writing: Mutex<Faults>,
}

/// What happens to the bytes of one direction at one end.
#[derive(Debug)]
struct Faults {
    random: Rng,
    /// How many pass before the cut.
    left: usize,
}

/// The two ends of a sound pair, which from here on is cut after some `distance` of bytes on average.
pub(crate) fn pair<L: Link + 'static>((left, right): (L, L), random: &mut Rng, distance: usize) -> [FaultyLink; 2] {
    [left, right].map(|link| FaultyLink {
        link: Box::new(link),
        reading: Mutex::new(Faults::new(random.fork(), distance)),
        writing: Mutex::new(Faults::new(random.fork(), distance)),
    })
}

impl Faults {
    fn new(mut random: Rng, distance: usize) -> Self {
        // Four of them share one pair, and the first cuts it.
        let left = random.usize(0..=8 * distance);
        Self { random, left }
    }

    /// How many of `length` bytes pass now; 0 is the cut.
    fn piece(&mut self, length: usize) -> usize {
        let magnitude = 1 << self.random.u32(0..=length.max(1).ilog2() + 1);
        let piece = self.random.usize(1..=magnitude).min(length).min(self.left);
        self.left -= piece;
        piece
    }

    fn is_late(&mut self) -> bool {
        self.random.u8(0..50) == 0
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(if self.is_late() { self.random.u64(0..300) } else { 0 })
    }
}

impl FaultyLink {
    /// How many of `length` bytes pass now in one direction; `None` is the cut.
    fn piece(&self, direction: &Mutex<Faults>, length: usize) -> Option<usize> {
        let piece = lock(direction).piece(length);
        if piece == 0 && length > 0 {
            self.link.close();
            return None;
        }
        Some(piece)
    }
}

impl FaultyLink {
    /// Reads by `read` what may pass now.
    fn read_piece(&self, buffer: &mut [u8], read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        // What lies there unread at the cut is lost.
        let Some(piece) = self.piece(&self.reading, buffer.len()) else { return Ok(0) };
        read(&mut buffer[..piece])
    }

    fn sound(&self) -> &dyn Pollable {
        self.link.pollable().expect("asked only where it is")
    }
}

impl Link for FaultyLink {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let delay = lock(&self.reading).delay();
        thread::sleep(delay);
        self.read_piece(buffer, |buffer| self.link.read(buffer))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let delay = lock(&self.writing).delay();
        thread::sleep(delay);
        let piece = self.piece(&self.writing, bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        self.link.write(&bytes[..piece])
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if lock(&self.writing).is_late() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let piece = self.piece(&self.writing, bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        self.link.try_write(&bytes[..piece])
    }

    fn close(&self) {
        self.link.close();
    }

    fn pollable(&self) -> Option<&dyn Pollable> {
        self.link.pollable()?;
        Some(self)
    }
}

impl Pollable for FaultyLink {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if lock(&self.reading).is_late() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_piece(buffer, |buffer| self.sound().try_read(buffer))
    }

    fn tick(&self) -> io::Result<()> {
        self.sound().tick()
    }

    fn read_within(&self, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<usize> {
        let delay = lock(&self.reading).delay();
        thread::sleep(delay);
        self.read_piece(buffer, |buffer| self.sound().read_within(buffer, limit))
    }

    fn wait(&self, readable: bool, writable: bool, limit: Duration) -> io::Result<()> {
        self.sound().wait(readable, writable, limit)
    }

    #[cfg(unix)]
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.sound().as_fd()
    }
}

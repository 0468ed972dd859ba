//! Memory for messages, used again and again.
//!
//! A call that allocates nothing is a little faster; a large message whose memory is fresh is a lot slower, since the
//! operating system has to find and clear every page of it. So what a message no longer needs is kept for the next, within
//! bounds: small buffers by each thread, large ones by the process. Threads neither collect small ones nor run out of them: who
//! takes one for a message that it sends or receives lets go of one when the other side has it, or has been heard.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt,
    ops::Deref,
    sync::{Mutex, PoisonError},
};

/// Up to this many bytes a buffer is small.
const SMALL: usize = 4 * 1024;

/// How many small buffers each thread keeps: 64 KiB at most.
const KEPT_BY_THREAD: usize = 16;

/// How many bytes of large buffers the process keeps.
const KEPT_BY_PROCESS: usize = 8 << 20;

static ZEROS: [u8; 4096] = [0; 4096];

/// What an empty buffer begins with.
const FIRST: usize = 64;

thread_local! {
    static SMALL_ONES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

static LARGE_ONES: Mutex<LargeOnes> = Mutex::new(LargeOnes { buffers: VecDeque::new(), bytes: 0 });

/// The oldest first.
struct LargeOnes {
    buffers: VecDeque<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
}

/// Bytes that grow at their end.
#[derive(Default)]
pub(crate) struct Buffer {
    /// The contents, and behind them what was here before, so that it need not be cleared to be overwritten.
    bytes: Vec<u8>,
    /// `length <= bytes.len()`
    length: usize,
}

impl Buffer {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn extend_from_slice(&mut self, slice: &[u8]) {
        self.make_room(slice.len(), LargeOnes::take_fitting);
        let over = slice.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + over].copy_from_slice(&slice[..over]);
        self.bytes.extend_from_slice(&slice[over..]);
        self.length += slice.len();
    }

    /// Room for `count` bytes behind the contents, which [`grow`](Self::grow) adds to them.
    pub(crate) fn space(&mut self, count: usize) -> &mut [u8] {
        // How much more is to come is not known, so the largest there is serves best.
        self.make_room(count, |ones, _| ones.take_largest());
        let end = self.length + count;
        // By blocks, since a `resize` that is not optimised goes byte by byte.
        while self.bytes.len() < end {
            let missing = end - self.bytes.len();
            self.bytes.extend_from_slice(&ZEROS[..missing.min(ZEROS.len())]);
        }
        &mut self.bytes[self.length..end]
    }

    /// Adds what has been written into the `count` bytes of [`space`](Self::space).
    pub(crate) fn grow(&mut self, count: usize) {
        self.length += count;
        debug_assert!(self.length <= self.bytes.len());
    }

    /// The bytes alone, which then are not used again.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.length);
        bytes
    }

    /// Sees to it that `count` bytes more can be added, in other memory if need be.
    fn make_room(&mut self, count: usize, take: fn(&mut LargeOnes, usize) -> Option<Vec<u8>>) {
        let needed = self.length.saturating_add(count);
        if needed <= self.bytes.capacity() {
            return;
        }
        let other = if needed <= SMALL { take_small() } else { lock_large().take(needed, take) };
        match other {
            Some(other) if other.capacity() >= needed || self.length == 0 => self.move_to(other),
            Some(unfit) => keep(unfit),
            None if needed <= SMALL && self.length == 0 => self.bytes.reserve(count.max(FIRST)),
            None => {}
        }
    }

    fn move_to(&mut self, mut other: Vec<u8>) {
        let over = self.length.min(other.len());
        other[..over].copy_from_slice(&self.bytes[..over]);
        other.extend_from_slice(&self.bytes[over..self.length]);
        keep(std::mem::replace(&mut self.bytes, other));
    }
}

impl LargeOnes {
    fn take(&mut self, needed: usize, take: fn(&mut Self, usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let taken = take(self, needed)?;
        self.bytes -= taken.capacity();
        Some(taken)
    }

    fn take_fitting(&mut self, needed: usize) -> Option<Vec<u8>> {
        let fitting = self.buffers.iter().enumerate().filter(|(_, bytes)| bytes.capacity() >= needed);
        let (place, _) = fitting.min_by_key(|(_, bytes)| bytes.capacity())?;
        self.buffers.remove(place)
    }

    fn take_largest(&mut self) -> Option<Vec<u8>> {
        let (place, _) = self.buffers.iter().enumerate().max_by_key(|(_, bytes)| bytes.capacity())?;
        self.buffers.remove(place)
    }

    /// Keeps `bytes`; gives one that is to go, to be dropped without the lock, as long as there are too many.
    fn keep(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.capacity();
        self.buffers.push_back(bytes);
    }

    fn take_superfluous(&mut self) -> Option<Vec<u8>> {
        if self.bytes <= KEPT_BY_PROCESS {
            return None;
        }
        self.take(0, |ones, _| ones.buffers.pop_front())
    }
}

fn lock_large() -> std::sync::MutexGuard<'static, LargeOnes> {
    LARGE_ONES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_small() -> Option<Vec<u8>> {
    // Of a thread that ends, the buffers may be gone already.
    SMALL_ONES.try_with(|ones| ones.borrow_mut().pop()).ok().flatten()
}

/// Keeps memory for later, if it is worth it.
fn keep(bytes: Vec<u8>) {
    match bytes.capacity() {
        0 => {}
        1..=SMALL => {
            let _ = SMALL_ONES.try_with(|ones| {
                let mut ones = ones.borrow_mut();
                if ones.len() < KEPT_BY_THREAD {
                    ones.push(bytes);
                }
            });
        }
        capacity if capacity <= KEPT_BY_PROCESS => {
            lock_large().keep(bytes);
            while let Some(superfluous) = { lock_large().take_superfluous() } {
                drop(superfluous);
            }
        }
        _ => {}
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.bytes));
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len(), bytes }
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::new();
        buffer.extend_from_slice(bytes);
        buffer
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept_small() -> usize {
        SMALL_ONES.with_borrow(Vec::len)
    }

    #[test]
    fn a_small_buffer_is_the_next_one_of_its_thread() {
        let mut first = Buffer::from(&b"secret"[..]);
        let place = first.space(0).as_ptr();
        drop(first);
        let mut second = Buffer::from(&b"s"[..]);
        assert_eq!((&*second, second.length), (&b"s"[..], 1));
        assert_eq!(second.space(0).as_ptr(), place.wrapping_sub(5));
    }

    #[test]
    fn a_thread_keeps_few() {
        drop((0..100).map(|_| Buffer::from(&b"x"[..])).collect::<Vec<_>>());
        assert_eq!(kept_small(), KEPT_BY_THREAD);
    }

    #[test]
    fn the_process_keeps_few_bytes_whatever_was_in_use() {
        let mut ones = LargeOnes { buffers: VecDeque::new(), bytes: 0 };
        for megabytes in [1, 6, 4, 1, 8] {
            ones.keep(Vec::with_capacity(megabytes << 20));
            while ones.take_superfluous().is_some() {}
            assert_eq!(ones.bytes, ones.buffers.iter().map(Vec::capacity).sum::<usize>());
            assert!(ones.bytes <= KEPT_BY_PROCESS);
        }
        assert_eq!(ones.take(1, LargeOnes::take_fitting).map(|bytes| bytes.capacity()), Some(8 << 20));
        assert_eq!((ones.bytes, ones.take(1, LargeOnes::take_fitting)), (0, None));
    }

    #[test]
    fn one_too_large_is_not_kept() {
        let bytes = Vec::with_capacity(KEPT_BY_PROCESS + 1);
        keep(bytes);
        assert!(lock_large().buffers.iter().all(|bytes| bytes.capacity() <= KEPT_BY_PROCESS));
    }

    proptest! {
        #[test]
        fn a_buffer_holds_what_was_added_and_nothing_of_before(
            pieces in proptest::collection::vec((0_usize..20_000, any::<bool>()), 0..20),
        ) {
            drop(Buffer::from(vec![0xff; 100_000]));
            let (mut buffer, mut expected) = (Buffer::new(), Vec::new());
            for ((length, is_direct), byte) in pieces.into_iter().zip(0_u8..) {
                let piece = vec![byte; length];
                if is_direct {
                    buffer.space(length + 7)[..length].copy_from_slice(&piece);
                    buffer.grow(length);
                } else {
                    buffer.extend_from_slice(&piece);
                }
                expected.extend(piece);
            }
            prop_assert!(*buffer == expected);
            prop_assert!(buffer.clone() == buffer);
            prop_assert!(buffer.into_vec() == expected);
        }
    }
}

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

/// How many bytes of small buffers each thread keeps.
const KEPT_BY_THREAD: usize = 64 * 1024;

/// How many bytes of large buffers the process keeps.
const KEPT_BY_PROCESS: usize = 8 << 20;

/// How many while they are in use, where somebody [settles](settle) that again.
const KEPT_IN_USE: usize = 64 << 20;

/// For how many looks in a row nobody must have used any before those beyond the usual go.
const QUIET: u32 = 100;

static ZEROS: [u8; 4096] = [0; 4096];

/// What an empty buffer begins with.
const FIRST: usize = 64;

thread_local! {
    static SMALL_ONES: RefCell<SmallOnes> = const { RefCell::new(SmallOnes { buffers: Vec::new(), bytes: 0 }) };
}

/// The last to come is the next to go.
struct SmallOnes {
    buffers: Vec<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
}

static LARGE_ONES: Mutex<LargeOnes> = Mutex::new(LargeOnes::new());

/// The oldest first.
struct LargeOnes {
    buffers: VecDeque<Vec<u8>>,
    /// The sum of their capacities.
    bytes: usize,
    /// Somebody looks after them.
    is_looked_after: bool,
    /// How often somebody has looked since one was used.
    looks: u32,
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

    /// An empty one that holds `count` bytes, many of them, before it has to grow.
    pub(crate) fn with_room(count: usize) -> Self {
        let kept = lock_large().take(count, LargeOnes::take_fitting);
        Self { bytes: kept.unwrap_or_else(|| Vec::with_capacity(count)), length: 0 }
    }

    #[inline]
    pub(crate) fn extend_from_slice(&mut self, slice: &[u8]) {
        let end = self.length + slice.len();
        match self.bytes.get_mut(self.length..end) {
            Some(place) => {
                match (place, slice) {
                    // What values begin with: copied without a call.
                    ([place], [byte]) => *place = *byte,
                    ([place, next], [byte, other]) => (*place, *next) = (*byte, *other),
                    (place, slice) => place.copy_from_slice(slice),
                }
                self.length = end;
            }
            None => self.extend(slice),
        }
    }

    /// As [`extend_from_slice`](Self::extend_from_slice), where what was here before was shorter.
    fn extend(&mut self, slice: &[u8]) {
        if self.bytes.capacity() == 0 && slice.len() <= SMALL {
            // Mostly the one that was let go of last, which was as long.
            self.bytes = take_small().unwrap_or_default();
            if let Some(place) = self.bytes.get_mut(..slice.len()) {
                place.copy_from_slice(slice);
                self.length = slice.len();
                return;
            }
        }
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

    /// Forgets all but the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Writes over the bytes from `place` on, all of which are there.
    pub(crate) fn replace(&mut self, place: usize, with: &[u8]) {
        self.bytes[..self.length][place..place + with.len()].copy_from_slice(with);
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
        if self.length == 0 {
            return keep(std::mem::replace(&mut self.bytes, other));
        }
        let over = self.length.min(other.len());
        other[..over].copy_from_slice(&self.bytes[..over]);
        other.extend_from_slice(&self.bytes[over..self.length]);
        keep(std::mem::replace(&mut self.bytes, other));
    }
}

impl LargeOnes {
    const fn new() -> Self {
        Self { buffers: VecDeque::new(), bytes: 0, is_looked_after: false, looks: 0 }
    }

    /// How many bytes to keep.
    fn limit(&self) -> usize {
        if self.is_looked_after && self.looks < QUIET { KEPT_IN_USE } else { KEPT_BY_PROCESS }
    }

    fn take(&mut self, needed: usize, take: fn(&mut Self, usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let taken = take(self, needed)?;
        self.looks = 0;
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
        self.looks = 0;
        self.bytes += bytes.capacity();
        self.buffers.push_back(bytes);
    }

    /// Takes note that somebody looks after them; whether there is more to let go later.
    fn look(&mut self) -> bool {
        self.looks = self.looks.saturating_add(1);
        self.bytes > KEPT_BY_PROCESS && self.looks < QUIET
    }

    fn take_superfluous(&mut self) -> Option<Vec<u8>> {
        if self.bytes <= self.limit() {
            return None;
        }
        let superfluous = self.buffers.pop_front()?;
        self.bytes -= superfluous.capacity();
        Some(superfluous)
    }
}

/// Lets the process keep more while it is in use: somebody will [settle](settle) that.
pub(crate) fn look_after() {
    lock_large().is_looked_after = true;
}

/// Lets go of what has not been in use for some looks in a row; whether another look is worth while, after some milliseconds.
pub(crate) fn settle() -> bool {
    let is_unsettled = lock_large().look();
    drop_superfluous();
    is_unsettled
}

/// Lets go of what is only kept while it is in use.
pub(crate) fn let_go() {
    lock_large().looks = QUIET;
    drop_superfluous();
}

fn drop_superfluous() {
    while let Some(superfluous) = { lock_large().take_superfluous() } {
        drop(superfluous);
    }
}

fn lock_large() -> std::sync::MutexGuard<'static, LargeOnes> {
    LARGE_ONES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_small() -> Option<Vec<u8>> {
    // Of a thread that ends, the buffers may be gone already.
    let take = |ones: &RefCell<SmallOnes>| {
        let mut ones = ones.borrow_mut();
        let bytes = ones.buffers.pop()?;
        ones.bytes -= bytes.capacity();
        Some(bytes)
    };
    SMALL_ONES.try_with(take).ok().flatten()
}

/// Keeps memory for later, if it is worth it.
fn keep(bytes: Vec<u8>) {
    match bytes.capacity() {
        0 => {}
        1..=SMALL => {
            let _ = SMALL_ONES.try_with(|ones| {
                let mut ones = ones.borrow_mut();
                if ones.bytes + bytes.capacity() <= KEPT_BY_THREAD {
                    ones.bytes += bytes.capacity();
                    ones.buffers.push(bytes);
                }
            });
        }
        capacity => {
            // Too large for as much as is kept, it would only push out all the others.
            let mut ones = lock_large();
            if capacity <= ones.limit() {
                ones.keep(bytes);
                drop(ones);
                drop_superfluous();
            }
        }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // Many have been moved out of, and hold nothing.
        if self.bytes.capacity() > 0 {
            keep(std::mem::take(&mut self.bytes));
        }
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
        SMALL_ONES.with_borrow(|ones| ones.buffers.iter().map(Vec::capacity).sum())
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
        drop((0..100).map(|_| Buffer::from(&[b'x'; SMALL][..])).collect::<Vec<_>>());
        assert_eq!(kept_small(), KEPT_BY_THREAD);
        drop((0..10).map(|_| Buffer::from(&b"x"[..])).collect::<Vec<_>>());
        assert_eq!(kept_small(), KEPT_BY_THREAD);
    }

    #[test]
    fn the_process_keeps_few_bytes_whatever_was_in_use() {
        let mut ones = LargeOnes::new();
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
    fn more_is_kept_while_it_is_in_use_and_somebody_looks_after_it() {
        let mut ones = LargeOnes::new();
        ones.is_looked_after = true;
        let settle = |ones: &mut LargeOnes| {
            let is_unsettled = ones.look();
            while ones.take_superfluous().is_some() {}
            is_unsettled
        };
        for _ in 0..5 {
            ones.keep(Vec::with_capacity(16 << 20));
            while ones.take_superfluous().is_some() {}
        }
        assert_eq!(ones.bytes, KEPT_IN_USE);
        assert!((1..QUIET).all(|_| settle(&mut ones)));
        let taken = ones.take(1, LargeOnes::take_fitting).unwrap();
        assert!((1..QUIET).all(|_| settle(&mut ones)), "it was in use");
        assert!(!settle(&mut ones) && ones.bytes <= KEPT_BY_PROCESS);
        ones.keep(taken);
        assert!(ones.take_superfluous().is_none(), "it is in use again");
    }

    #[test]
    fn one_too_large_is_not_kept() {
        keep(Vec::with_capacity(KEPT_IN_USE + 1));
        assert!(lock_large().buffers.iter().all(|bytes| bytes.capacity() <= KEPT_IN_USE));
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

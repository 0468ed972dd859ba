//! Numbered entries, made on one side and held against what was ordered on the other.

use std::{
    fmt,
    io::{self, Read},
    sync::Arc,
};

use plugin_core::{ByteStream, Stream};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::filling;
use crate::streams::{Make, made};

/// What is to come: entries numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// No other order has the same.
    pub id: u64,
    /// How many entries.
    pub count: u64,
    /// How many bytes each has.
    pub length: usize,
    /// How a stream of them is made.
    pub make: Make,
}

/// One of what was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    number: u64,
    bytes: ByteBuf,
}

impl Order {
    /// The entry of that number.
    pub fn entry(&self, number: u64) -> Entry {
        let bytes = filling(self.id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number, self.length);
        Entry { number, bytes: bytes.into() }
    }

    /// A stream of all, whose source holds `guard` as long as it is there.
    pub fn stream(&self, guard: &Arc<()>) -> Stream<Entry> {
        let order = *self;
        let entries = (0..self.count).map(move |number| Ok(order.entry(number)));
        made(self.make, Guarded::new(entries, guard))
    }
}

/// Why entries are not what was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// One came that had come before.
    Again(u64),
    /// One did not come, but a later one did.
    Missing(u64),
    /// One has other bytes.
    Altered(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again(number) => write!(f, "entry {number} came again"),
            Self::Missing(number) => write!(f, "entry {number} was passed over"),
            Self::Altered(number) => write!(f, "entry {number} came with other bytes"),
        }
    }
}

/// What has come of what was ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// How many entries, the first ones, each once and in order.
    pub count: u64,
    /// What was wrong with the next, if anything was.
    pub fault: Option<Fault>,
}

impl Entries {
    /// Takes the next entry that has come.
    pub fn take(&mut self, order: &Order, entry: &Entry) {
        self.take_number(entry.number);
        if self.fault.is_none() && *entry != order.entry(entry.number) {
            self.fault = Some(Fault::Altered(entry.number));
        }
    }

    /// The same, where a number is all there is to an entry.
    pub fn take_number(&mut self, number: u64) {
        let expected = self.count;
        match self.fault {
            Some(_) => {}
            None if number == expected => self.count += 1,
            None if number < expected => self.fault = Some(Fault::Again(number)),
            None => self.fault = Some(Fault::Missing(expected)),
        }
    }
}

/// The same bytes, read while these are; the new stream's source holds `guard` as long as it is there.
pub fn copied(bytes: ByteStream, guard: &Arc<()>) -> ByteStream {
    ByteStream::read_from(Guarded::new(bytes, guard))
}

/// The same entries, while these come; the new stream's source holds `guard` as long as it is there.
pub(super) fn passed_on(entries: Stream<Entry>, guard: &Arc<()>) -> Stream<Entry> {
    Stream::iter(Guarded::new(entries.into_iter(), guard))
}

/// Holds a guard as long as it is there.
struct Guarded<T> {
    source: T,
    _guard: Arc<()>,
}

impl<T> Guarded<T> {
    fn new(source: T, guard: &Arc<()>) -> Self {
        Self { source, _guard: Arc::clone(guard) }
    }
}

impl<T: Iterator> Iterator for Guarded<T> {
    type Item = T::Item;

    fn next(&mut self) -> Option<T::Item> {
        self.source.next()
    }
}

impl<T: Read> Read for Guarded<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.source.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_as_ordered_is_found() {
        let order = Order { id: 7, count: 3, length: 10, make: Make::Iter };
        let came = |numbers: &[u64]| {
            let mut entries = Entries::default();
            for number in numbers {
                entries.take(&order, &order.entry(*number));
            }
            (entries.count, entries.fault)
        };
        assert_eq!(came(&[0, 1, 2]), (3, None));
        assert_eq!(came(&[0, 1, 1]), (2, Some(Fault::Again(1))));
        assert_eq!(came(&[0, 2, 1]), (1, Some(Fault::Missing(1))));
        let mut entries = Entries::default();
        entries.take(&order, &Order { id: 8, ..order }.entry(0));
        assert_eq!(entries.fault, Some(Fault::Altered(0)));
    }
}

//! Reading streams by `for` loops.

use std::iter::FusedIterator;

use super::Stream;
use crate::Result;

/// The items of a [`Stream`], read one after the other; dropping it stops the producer.
///
/// Each waits for its item, and obeys [`within`](crate::within).
#[derive(Debug)]
pub struct IntoIter<T>(Stream<T>);

/// The items of a borrowed [`Stream`], which can be read on afterwards.
///
/// ```
/// # use plugin_core::{Result, Stream};
/// let mut stream = Stream::iter((0..5).map(Ok));
/// let first: Result<Vec<u32>> = (&mut stream).into_iter().take(2).collect();
/// let others: Result<Vec<u32>> = stream.into_iter().collect();
/// assert_eq!((first?, others?), (vec![0, 1], vec![2, 3, 4]));
/// # Ok::<(), plugin_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Iter<'a, T>(&'a mut Stream<T>);

impl<T> IntoIterator for Stream<T> {
    type Item = Result<T>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

#[expect(clippy::into_iter_without_iter, reason = "`iter_mut` would give what can be changed in its place")]
impl<'a, T> IntoIterator for &'a mut Stream<T> {
    type Item = Result<T>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        Iter(self)
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.0.read()
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.0.read()
    }
}

impl<T> FusedIterator for IntoIter<T> {}
impl<T> FusedIterator for Iter<'_, T> {}

//! Reading streams by `for` loops.

use std::iter::FusedIterator;

use super::Stream;
use crate::Result;

/// The items of a [`Stream`], read one after the other; dropping it stops the producer.
///
/// Each waits for its item, and obeys [`within`](crate::within). An error is the last, also where time was over: what passes over errors
/// would meet that again and again.
#[derive(Debug)]
#[must_use = "a stream is produced as it is read"]
pub struct IntoIter<T> {
    stream: Stream<T>,
    is_over: bool,
}

/// The items of a borrowed [`Stream`], which can be read on afterwards. An error is the last, as of [`IntoIter`].
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
#[must_use = "a stream is produced as it is read"]
pub struct Iter<'a, T> {
    stream: &'a mut Stream<T>,
    is_over: bool,
}

impl<T> IntoIterator for Stream<T> {
    type Item = Result<T>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { stream: self, is_over: false }
    }
}

#[expect(clippy::into_iter_without_iter, reason = "`iter_mut` would give what can be changed in its place")]
impl<'a, T> IntoIterator for &'a mut Stream<T> {
    type Item = Result<T>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        Iter { stream: self, is_over: false }
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        next(&mut self.stream, &mut self.is_over)
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        next(self.stream, &mut self.is_over)
    }
}

fn next<T>(stream: &mut Stream<T>, is_over: &mut bool) -> Option<Result<T>> {
    if *is_over {
        return None;
    }
    let read = stream.read();
    *is_over = !matches!(read, Some(Ok(_)));
    read
}

impl<T> FusedIterator for IntoIter<T> {}
impl<T> FusedIterator for Iter<'_, T> {}

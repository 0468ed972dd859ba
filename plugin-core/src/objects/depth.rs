//! How many calls wait for each other on this thread.
//!
//! A call may be answered by a call back, and that by another: each level takes some of the stacks of two threads, one on either
//! side. So both count, and nobody's stack overflows, whatever the other side does. Where tasks call, a level is a future that is
//! polled by another.

use std::{
    cell::Cell,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

/// How many may.
pub(crate) const LIMIT: u32 = 256;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// One level, on this thread, until it is dropped.
pub(crate) struct Level(PhantomData<*const ()>);

/// Enters a call or a handler; `None` where there are too many.
pub(crate) fn enter() -> Option<Level> {
    let depth = DEPTH.get();
    if depth >= LIMIT {
        return None;
    }
    DEPTH.set(depth + 1);
    Some(Level(PhantomData))
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// A future that is one level of each thread that polls it, while it does; if there are too many already when it begins, it gives
/// what there is `otherwise`.
///
/// Futures may be polled by each other as deep as calls may nest, so those that are polled on that way are written by hand: what
/// the compiler makes of `async` takes stack for all that is ever done there, also while it waits.
pub(crate) struct Within<F, E> {
    future: F,
    /// `None` once it has begun.
    otherwise: Option<E>,
}

impl<F, E> Within<F, E> {
    pub(crate) fn new(future: F, otherwise: E) -> Self {
        Self { future, otherwise: Some(otherwise) }
    }
}

impl<F: Future + Unpin, E: FnOnce() -> F::Output + Unpin> Future for Within<F, E> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let level = enter();
        match self.otherwise.take() {
            Some(otherwise) if level.is_none() => Poll::Ready(otherwise()),
            _ => Pin::new(&mut self.future).poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_levels_and_no_more() {
        let mut levels: Vec<_> = (0..LIMIT).map(|_| enter().unwrap()).collect();
        assert!(enter().is_none());
        levels.pop();
        assert!(enter().is_some() && enter().is_some(), "a level that is left is free again");
    }
}

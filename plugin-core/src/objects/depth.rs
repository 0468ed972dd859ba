//! How many calls wait for each other on this thread.
//!
//! A call may be answered by a call back, and that by another: each level takes some of the stacks of two threads, one on either
//! side. So both count, and nobody's stack overflows, whatever the other side does.

use std::{cell::Cell, marker::PhantomData};

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

//! An allocator that counts.
#![expect(unsafe_code, reason = "an allocator has no safe interface")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// The system's allocator, counting.
#[derive(Debug)]
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static OF_THREAD: Cell<u64> = const { Cell::new(0) };
}

/// How often this process has allocated, growing included.
pub fn of_process() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// How often this thread has.
pub fn of_thread() -> u64 {
    OF_THREAD.get()
}

/// How many bytes are allocated.
pub fn live_bytes() -> i64 {
    LIVE.load(Relaxed)
}

fn count(allocated: usize, freed: usize) {
    if allocated > 0 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        OF_THREAD.set(OF_THREAD.get() + 1);
    }
    let bytes = |size| i64::try_from(size).unwrap_or(i64::MAX);
    LIVE.fetch_add(bytes(allocated) - bytes(freed), Relaxed);
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

//! Counting what is allocated.

#![allow(unsafe_code, reason = "the one allocator, of the tests and the fuzz targets alone")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator with counters, to be used as `#[global_allocator]`. All threads are
/// counted.
#[derive(Debug)]
pub struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// What was asked for meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most bytes that were allocated at a time, beyond those that were before.
    pub peak: usize,
    /// The largest single request in bytes.
    pub largest: usize,
    /// Bytes that are still allocated.
    pub left: usize,
}

/// Do something and see what it allocates. Nothing is counted unless [`Counting`] is the program's
/// allocator. Only one measurement can run at a time.
pub fn measure<R>(work: impl FnOnce() -> R) -> (Usage, R) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    LARGEST.store(0, Relaxed);
    let result = work();
    let after = |counter: &AtomicUsize| counter.load(Relaxed).saturating_sub(before);
    let usage = Usage { peak: after(&PEAK), largest: LARGEST.load(Relaxed), left: after(&NOW) };
    (usage, result)
}

fn grow(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: every call is passed to the system's allocator unchanged; the counters do not touch the
// memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        grow(layout.size());
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        LARGEST.fetch_max(bytes, Relaxed);
        // both may exist for a moment
        grow(bytes);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Run a test that is a program of its own, without the harness, whose threads allocate too. It
/// answers what test runners ask of a harness.
#[allow(clippy::print_stdout, reason = "it stands in for the harness")]
pub fn alone(name: &str, test: fn()) {
    let has = |flag| std::env::args().any(|argument| argument == flag);
    if !has("--list") {
        test();
        println!("test {name} ... ok");
    } else if !has("--ignored") {
        println!("{name}: test");
    }
}

//! Memory that is wiped when it is freed. PINs, tokens and keys pass through buffers that are not ours to wipe (of sockets,
//! JSON, D-Bus), and each leaves its copy behind: so whatever this program frees is wiped, whoever used it.
//!
//! What it does not reach: stacks, what libraries in C allocate for themselves (SQLite), and the window's process.

use std::alloc::{GlobalAlloc, Layout, System};

/// An allocator that wipes what it frees.
#[derive(Debug, Default)]
pub struct Wiped<A = System>(A);

impl Wiped {
    /// Over the system's own.
    #[must_use]
    pub const fn new() -> Self {
        Self(System)
    }
}

// What grows is moved by the default `realloc`: allocated anew, copied, and freed here.
#[expect(unsafe_code, reason = "an allocator has no other interface")]
// SAFETY: all is done by the inner allocator, by the same layouts.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiped<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has it.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has it.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, freed: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back so many bytes, which nobody else uses any more.
        unsafe {
            freed.write_bytes(0, layout.size());
            // Else the compiler sees that nobody reads them.
            zeroize::optimization_barrier(&*freed);
            self.0.dealloc(freed, layout);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts the bytes that are given back wiped.
    #[derive(Default)]
    struct Counts(AtomicUsize);

    #[expect(unsafe_code, reason = "an allocator has no other interface")]
    // SAFETY: all is done by the system's allocator, by the same layouts.
    unsafe impl GlobalAlloc for Counts {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller has it.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, freed: *mut u8, layout: Layout) {
            // SAFETY: the allocator under test has written all of it.
            let bytes = unsafe { std::slice::from_raw_parts(freed, layout.size()) };
            let wiped = bytes.iter().filter(|byte| **byte == 0).count();
            self.0.fetch_add(wiped, Ordering::SeqCst);
            // SAFETY: as the caller has it.
            unsafe { System.dealloc(freed, layout) }
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator has no other interface")]
    fn what_is_freed_or_moved_is_wiped() {
        let memory = Wiped(Counts::default());
        let wiped = || memory.0.0.load(Ordering::SeqCst);
        let layout = Layout::from_size_align(100, 8).unwrap();
        // SAFETY: allocated, moved and freed by the same allocator, with its layouts.
        unsafe {
            let first = memory.alloc(layout);
            first.write_bytes(7, 100);
            let moved = memory.realloc(first, layout, 300);
            assert_eq!(wiped(), 100);
            assert_eq!(*moved.add(99), 7);
            moved.add(100).write_bytes(7, 200);
            memory.dealloc(moved, Layout::from_size_align(300, 8).unwrap());
        }
        assert_eq!(wiped(), 400);
    }
}

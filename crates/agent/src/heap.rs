//! How the system's allocator deals with what is freed. This program sleeps for hours with little in its memory: what it
//! held for a moment goes back to the system, instead of being kept for the next time.

/// What is larger than this is asked of the system by itself, and goes back when it is freed; more than this is not
/// kept at the heap's end.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 64 * 1024;

/// Once, before there is a second thread.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (what, value) in [
        // Else each of the few threads gets a heap of its own, most of it empty.
        (libc::M_ARENA_MAX, 1),
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, LARGE_BYTES),
    ] {
        // SAFETY: it takes two numbers, and changes nothing that is allocated.
        #[expect(unsafe_code, reason = "the allocator's own call")]
        let is_set = unsafe { libc::mallopt(what, value) } == 1;
        if !is_set {
            tracing::debug!(what, "the allocator goes on as it is used to");
        }
    }
}

/// Whole pages in the middle of the heap that nothing lies on go back to the system. It takes well below a millisecond.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it looks at what is free only.
    #[expect(unsafe_code, reason = "the allocator's own call")]
    unsafe {
        libc::malloc_trim(0);
    }
}

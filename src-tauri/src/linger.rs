//! How long a hidden window stays.
//!
//! People are asked in bursts: whoever has just decided is likely to be asked again within minutes, and a window that is
//! still there comes in a few milliseconds instead of half a second. It costs about 250 MB for all of WebKit's processes.
//! So it stays for ten minutes where there is memory enough, and goes at once where there is not.

use std::time::Duration;

/// How long at most.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Between two looks at how much memory is free.
const LOOK: Duration = Duration::from_secs(60);
/// Memory is scarce when less than one part in so many is free.
const PARTS: u64 = 8;

/// Ends when a window that was hidden now should go.
pub(crate) async fn over() {
    let mut left = LONGEST;
    while !left.is_zero() && !memory_is_scarce() {
        let next = left.min(LOOK);
        tokio::time::sleep(next).await;
        left -= next;
    }
}

fn memory_is_scarce() -> bool {
    // Where it is not told, it is not known to be scarce.
    std::fs::read_to_string("/proc/meminfo").is_ok_and(|text| is_scarce(&text))
}

fn is_scarce(meminfo: &str) -> bool {
    let kilobytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    match (kilobytes("MemTotal:"), kilobytes("MemAvailable:")) {
        (Some(total), Some(free)) => free < total / PARTS,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_scarce_when_little_of_it_is_free() {
        let told = |free: u64| {
            is_scarce(&format!(
                "MemTotal:       8000000 kB\nMemFree:          100 kB\nMemAvailable:   {free} kB\n"
            ))
        };
        assert!(!told(1_000_000));
        assert!(told(999_999));
        assert!(!is_scarce("nothing of the kind"));
    }
}

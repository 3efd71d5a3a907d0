//! What the agent keeps in memory while nothing happens. Starting, a sign-in, a card: each runs through much of the program's
//! code, which then stays mapped and counts as this program's for weeks, though a tenth of it answers the server's pings.
//! So it is handed back when nothing has happened for a while. It stands unchanged in its file; what is needed again comes
//! back from there, by some forty page faults for the next request, and as a rule from the system's file cache.
//!
//! What this is not: memory that the system could not have taken anyway. Unchanged pages of a file are the first to go where
//! memory is scarce, and those that nobody has mapped the first of these.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing has happened when nothing has changed for so long.
const QUIET: Duration = Duration::from_secs(60);

/// Hands back after the start, and after each time that something changed here, for as long as it can change.
pub async fn after<T>(mut changes: watch::Receiver<T>) {
    loop {
        match timeout(QUIET, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                hand_back();
                if changes.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

fn hand_back() {
    #[cfg(target_os = "linux")]
    match linux::hand_back() {
        Ok(bytes) => tracing::debug!(
            bytes,
            "the program's code is handed back until it is needed"
        ),
        Err(error) => tracing::debug!(%error, "the program's code stays mapped"),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_void;
    use std::io;
    use std::ops::Range;

    use rustix::mm::{Advice, madvise};

    pub(super) fn hand_back() -> io::Result<usize> {
        let program = std::env::current_exe()?;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let mut bytes = 0;
        for Range { start, end } in code(&maps, &program.to_string_lossy()) {
            let from = std::ptr::with_exposed_provenance_mut::<c_void>(start);
            // SAFETY: these are whole pages of the program's file, mapped for this process alone and never written to: what is
            // dropped is read from the file again when it is used, the same as before.
            #[expect(unsafe_code, reason = "advice about memory has no other interface")]
            unsafe {
                madvise(from, end - start, Advice::LinuxDontNeed)?;
            }
            bytes += end - start;
        }
        Ok(bytes)
    }

    /// Where the program's own code stands: what is mapped from its file to be run. Never what was only made read-only later:
    /// that was written to first, and would be lost.
    fn code(maps: &str, program: &str) -> impl Iterator<Item = Range<usize>> {
        maps.lines().filter_map(move |line| {
            // `from-to rwxp offset device inode   path` (proc(5)).
            let (range, rest) = line.split_once(' ')?;
            let path = rest.splitn(5, ' ').nth(4)?.trim_start();
            if !rest.starts_with("r-xp ") || path != program {
                return None;
            }
            let (start, end) = range.split_once('-')?;
            let number = |text| usize::from_str_radix(text, 16).ok();
            Some(number(start)?..number(end)?)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_the_programs_own_code_is_handed_back() {
            let maps = "\
55f65d996000-55f65dfc1000 r--p 00000000 fe:00 3258571                    /opt/counter sign/agent
55f65dfc1000-55f65f08c000 r-xp 0062a000 fe:00 3258571                    /opt/counter sign/agent
55f65f08c000-55f65f152000 r--p 016f4000 fe:00 3258571                    /opt/counter sign/agent
55f65f152000-55f65f15a000 rw-p 017b9000 fe:00 3258571                    /opt/counter sign/agent
55f69a2e1000-55f69a387000 rw-p 00000000 00:00 0                          [heap]
7fc595069000-7fc5951bf000 r-xp 00026000 fe:00 1315                       /usr/lib/libc.so.6
7ffd0a1f3000-7ffd0a1f5000 r-xp 00000000 00:00 0                          [vdso]
";
            let mut found = code(maps, "/opt/counter sign/agent");
            assert_eq!(found.next(), Some(0x55f6_5dfc_1000..0x55f6_5f08_c000));
            assert_eq!(found.next(), None);
        }

        #[test]
        fn the_program_goes_on_without_what_it_handed_back() {
            for _ in 0..3 {
                let bytes = hand_back().unwrap();
                assert!(bytes > 100_000, "{bytes}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_what_it_follows() {
        let (change, changes) = watch::channel(0);
        let resting = tokio::spawn(after(changes));
        tokio::time::sleep(2 * QUIET).await;
        change.send(1).unwrap();
        tokio::time::sleep(2 * QUIET).await;
        assert!(!resting.is_finished());
        drop(change);
        resting.await.unwrap();
    }
}

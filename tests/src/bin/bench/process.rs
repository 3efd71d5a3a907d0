//! What the kernel says of a process.

use std::fs;

use anyhow::{Context, Result};

/// A process and everything under it.
pub(crate) fn tree(root: u32) -> Result<Vec<u32>> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }
    Ok(all)
}

/// A field of `smaps_rollup`, summed, in MB.
pub(crate) fn memory(pids: &[u32], field: &str) -> Result<f64> {
    let mut kilobytes = 0.0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .with_context(|| format!("read {pid}"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix(field));
        let number = line
            .and_then(|line| line.split_whitespace().next())
            .context("read smaps_rollup")?;
        kilobytes += number.parse::<f64>()?;
    }
    Ok(kilobytes / 1024.0)
}

/// How often its threads went to sleep by themselves so far.
pub(crate) fn wake_ups(pid: u32) -> Result<f64> {
    let mut all = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        all += line
            .and_then(|line| line.trim().parse::<f64>().ok())
            .unwrap_or(0.0);
    }
    Ok(all)
}

/// Ends what [`tree`] found below a process that is ended already.
pub(crate) fn end(pids: &[u32]) -> Result<()> {
    for pid in pids {
        let pid = libc::pid_t::try_from(*pid).context("read a process id")?;
        // SAFETY: a signal to a process that this benchmark started, by its id.
        #[expect(unsafe_code, reason = "the kernel's own call")]
        unsafe {
            libc::kill(pid, libc::SIGKILL);
        }
    }
    Ok(())
}

//! What a person asked for quiet about: requesters who are muted, and a pause. Kept in a file, so that a restart
//! changes none of it. Whether a request is told of is decided in [`crate::notify::telling`], not here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_api::ipc::{Line, Mute, Paused};
use countersign_approver::Accounts;
use countersign_model::UnixSecs;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::folders::{self, Readers};

/// So many requesters are muted at most; the one that ends first gives way.
const MAX_MUTED: usize = 256;
/// A longer file is none of ours.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    muted: Vec<Muted>,
    pause: Option<Pause>,
}

/// A muted requester.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Muted {
    /// [`countersign_approver::Brief::requester`].
    id: String,
    name: Line,
    until: i64,
    silent: u32,
    /// Open requests of theirs that were told before, or counted: nothing is counted twice, restart or not.
    known: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    until: Option<i64>,
}

impl Kept {
    /// Whether what this requester asks comes silently.
    #[must_use]
    pub fn is_muted(&self, requester: &str, now: UnixSecs) -> bool {
        self.muted
            .iter()
            .any(|muted| muted.id == requester && now.0 < muted.until)
    }

    /// The pause, while it lasts.
    #[must_use]
    pub fn paused(&self, now: UnixSecs) -> Option<Paused> {
        let Pause { until } = self.pause?;
        until
            .is_none_or(|until| now.0 < until)
            .then_some(Paused { until })
    }

    /// Who is muted, as the window is told.
    #[must_use]
    pub fn mutes(&self, now: UnixSecs) -> Vec<Mute> {
        let lasting = self.muted.iter().filter(|muted| now.0 < muted.until);
        lasting
            .map(|muted| Mute {
                id: muted.id.clone(),
                name: muted.name.clone(),
                until: muted.until,
                silent: muted.silent,
                txns: muted.known.iter().cloned().collect(),
            })
            .collect()
    }

    /// When something of it ends next.
    #[must_use]
    pub fn next_end(&self, now: UnixSecs) -> Option<UnixSecs> {
        let ends = self.muted.iter().map(|muted| muted.until);
        let pause = self.pause.and_then(|pause| pause.until);
        let coming = ends.chain(pause).filter(|until| now.0 < *until);
        coming.min().map(UnixSecs)
    }
}

/// The file, and what is in it.
pub struct Mutes {
    file: PathBuf,
    kept: watch::Sender<Kept>,
}

impl Mutes {
    /// Reads the file. One that cannot be read mutes nobody.
    #[must_use]
    pub fn open(file: PathBuf) -> Self {
        let kept = read(&file).unwrap_or_else(|error| {
            tracing::warn!(%error, "who is muted could not be read: nobody is");
            Kept::default()
        });
        Self {
            file,
            kept: watch::Sender::new(kept),
        }
    }

    /// What holds, and each change of it.
    #[must_use]
    pub fn kept(&self) -> watch::Receiver<Kept> {
        self.kept.subscribe()
    }

    /// Mutes this requester until then. `known` are their requests that are open already.
    pub fn mute(&self, id: String, name: Line, until: UnixSecs, known: BTreeSet<String>) {
        self.change(|kept| {
            let (mut silent, mut known) = (0, known);
            if let Some(before) = kept.muted.iter().position(|muted| muted.id == id) {
                let before = kept.muted.remove(before);
                silent = before.silent;
                known.extend(before.known);
            }
            if kept.muted.len() >= MAX_MUTED
                && let Some(first) = (0..kept.muted.len()).min_by_key(|i| kept.muted[*i].until)
            {
                kept.muted.remove(first);
            }
            kept.muted.push(Muted {
                id,
                name,
                until: until.0,
                silent,
                known,
            });
        });
    }

    /// Ends it. Whether there was one.
    pub fn unmute(&self, id: &str) -> bool {
        let had = self.kept.borrow().muted.iter().any(|muted| muted.id == id);
        self.change(|kept| kept.muted.retain(|muted| muted.id != id));
        had
    }

    /// Pauses until then, or until resumed.
    pub fn pause(&self, until: Option<UnixSecs>) {
        let until = until.map(|until| until.0);
        self.change(|kept| kept.pause = Some(Pause { until }));
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.change(|kept| kept.pause = None);
    }

    /// Brings it up to date: `open` are the requests that wait, each with its requester. What has ended is forgotten, and
    /// each request that came silently is counted once.
    pub fn note<'a>(&self, now: UnixSecs, open: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        self.change(|kept| {
            kept.muted.retain(|muted| now.0 < muted.until);
            if kept.paused(now).is_none() {
                kept.pause = None;
            }
            for muted in &mut kept.muted {
                let theirs = open.clone().filter(|(_, requester)| *requester == muted.id);
                let theirs: BTreeSet<String> = theirs.map(|(txn, _)| txn.to_owned()).collect();
                let new = theirs.difference(&muted.known).count();
                muted.silent = muted
                    .silent
                    .saturating_add(u32::try_from(new).unwrap_or(u32::MAX));
                muted.known = theirs;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        self.kept.send_if_modified(|kept| {
            let before = kept.clone();
            change(kept);
            let changed = *kept != before;
            if changed && let Err(error) = write(&self.file, kept) {
                tracing::warn!(%error, "who is muted could not be written down: a restart forgets it");
            }
            changed
        });
    }
}

/// Mutes the requester of this request for so long. `None` where it does not wait any more.
pub fn mute(mutes: &Mutes, approver: &Accounts, txn: &str, secs: u32, now: UnixSecs) -> Option<()> {
    let state = approver.state();
    let inbox = &state.borrow().inbox;
    let row = inbox.iter().find(|row| row.txn == txn)?;
    let requester = approver.brief(txn)?.requester;
    let is_theirs = |txn: &str| {
        let brief = approver.brief(txn);
        brief.is_some_and(|brief| brief.requester == requester)
    };
    let theirs = inbox.iter().filter(|row| is_theirs(&row.txn));
    let known = theirs.map(|row| row.txn.clone()).collect();
    let until = UnixSecs(now.0.saturating_add(i64::from(secs)));
    mutes.mute(requester, row.requester.clone(), until, known);
    Some(())
}

fn read(file: &Path) -> std::io::Result<Kept> {
    match fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Kept::default()),
        Ok(known) if known.len() > MAX_FILE_BYTES => {
            return Err(std::io::Error::other("the file is too long"));
        }
        Ok(_) | Err(_) => {}
    }
    serde_json::from_slice(&fs::read(file)?).map_err(std::io::Error::other)
}

fn write(file: &Path, kept: &Kept) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(kept).map_err(std::io::Error::other)?;
    folders::write_whole(file, &bytes, Readers::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSecs = UnixSecs(1000);

    fn at(secs: i64) -> UnixSecs {
        UnixSecs(secs)
    }

    fn silent(mutes: &Mutes) -> Vec<u32> {
        let kept = mutes.kept();
        let of = kept.borrow().mutes(NOW);
        of.iter().map(|mute| mute.silent).collect()
    }

    #[test]
    fn a_mute_ends_by_itself_and_a_restart_does_not_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("countersign/desk.json");
        let mutes = Mutes::open(file.clone());
        mutes.mute("mara".into(), Line::default(), at(4600), BTreeSet::new());
        mutes.pause(Some(at(2000)));
        drop(mutes);
        let mutes = Mutes::open(file.clone());
        let kept = mutes.kept().borrow().clone();
        assert!(kept.is_muted("mara", at(4599)) && !kept.is_muted("mara", at(4600)));
        assert!(!kept.is_muted("aino", NOW));
        assert_eq!(kept.next_end(NOW), Some(at(2000)));
        assert_eq!(kept.next_end(at(2000)), Some(at(4600)));
        assert_eq!(
            (kept.paused(at(1999)), kept.paused(at(2000))),
            (Some(Paused { until: Some(2000) }), None)
        );
        mutes.note(at(4600), [].into_iter());
        assert_eq!(*Mutes::open(file).kept().borrow(), Kept::default());
    }

    #[test]
    fn each_request_that_came_silently_is_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("desk.json");
        let mutes = Mutes::open(file.clone());
        let told = BTreeSet::from(["t0".to_owned()]);
        mutes.mute("mara".into(), Line::default(), at(4600), told);
        let open = [
            ("t0", "mara"),
            ("t1", "mara"),
            ("t2", "aino"),
            ("t3", "mara"),
        ];
        mutes.note(NOW, open.into_iter());
        mutes.note(NOW, open.into_iter());
        assert_eq!(silent(&mutes), [2]);
        let mutes = Mutes::open(file);
        mutes.note(NOW, open.into_iter());
        assert_eq!(silent(&mutes), [2], "a restart counts nothing again");
        // Muted for longer, the count goes on.
        mutes.mute("mara".into(), Line::default(), at(8200), BTreeSet::new());
        mutes.note(NOW, open.into_iter());
        assert_eq!(silent(&mutes), [2]);
        assert!(mutes.unmute("mara") && !mutes.unmute("mara"));
        assert_eq!(silent(&mutes), Vec::<u32>::new());
    }

    #[test]
    fn a_pause_without_an_end_lasts_until_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let mutes = Mutes::open(dir.path().join("desk.json"));
        mutes.pause(None);
        assert_eq!(
            mutes.kept().borrow().paused(at(i64::MAX)),
            Some(Paused { until: None })
        );
        assert_eq!(mutes.kept().borrow().next_end(NOW), None);
        mutes.resume();
        assert_eq!(mutes.kept().borrow().paused(NOW), None);
    }

    #[test]
    fn a_file_that_is_none_of_ours_mutes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("desk.json");
        fs::write(&file, "{\"muted\": 1}").unwrap();
        assert_eq!(*Mutes::open(file).kept().borrow(), Kept::default());
    }
}

//! Evidence on disk, for auditors: what lets an operation happen is written down before it does.
//!
//! It is written and synced *before* the nonce is spent, under a hidden name, so that a disk that fails costs no
//! approval; it gets its own name once the approval is used. So each released call has its file, and a file whose
//! call was not released has no name. It holds tokens: only its owner may read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use countersign_model::{PepId, Txn, b64u};

/// Ends the names of files that are not evidence yet.
const UNNAMED: &str = ".part";

/// The folder.
#[derive(Debug)]
pub(crate) struct EvidenceFolder {
    dir: PathBuf,
    /// Begins the names of this gate's unnamed files: a folder may be shared.
    mine: String,
}

/// Written and synced, not yet under its name. Dropped, it is removed.
#[derive(Debug)]
#[must_use = "it is removed when dropped without a name"]
pub(crate) struct Unnamed {
    dir: PathBuf,
    part: Option<PathBuf>,
    name: PathBuf,
}

impl EvidenceFolder {
    /// Makes the folder where there is none, and removes what a crash left without a name.
    pub(crate) fn open(dir: &Path, me: &PepId) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mine = format!(".{me}-");
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&mine) && name.ends_with(UNNAMED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            mine,
        })
    }

    /// Writes evidence. Blocks.
    pub(crate) fn write(&self, txn: &Txn, evidence: &[u8]) -> io::Result<Unnamed> {
        let random = b64u(&rand::random::<[u8; 9]>());
        let part = self.dir.join(format!("{}{random}{UNNAMED}", self.mine));
        let mut open = OpenOptions::new();
        open.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let mut file = open.open(&part)?;
        let unnamed = Unnamed {
            dir: self.dir.clone(),
            part: Some(part),
            // A `Txn` holds letters, digits, `_` and `-` only: it cannot leave the folder.
            name: self.dir.join(format!("{txn}.json")),
        };
        file.write_all(evidence)?;
        file.sync_all()?;
        Ok(unnamed)
    }
}

impl Unnamed {
    /// Gives it its name. Blocks.
    pub(crate) fn name(mut self) -> io::Result<()> {
        if let Some(part) = &self.part {
            fs::rename(part, &self.name)?;
        }
        self.part = None;
        // The name itself is in the folder, which has to reach the disk too.
        File::open(&self.dir)?.sync_all()
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(part) = &self.part
            && let Err(error) = fs::remove_file(part)
        {
            // It has no name, so nobody takes it for evidence; the next start removes it.
            tracing::warn!(
                "a file in `{}` could not be removed: {error}",
                self.dir.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_once_it_is_given_one_and_is_gone_otherwise() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("evidence");
        let me = PepId::parse("orders-gate").unwrap();
        let folder = EvidenceFolder::open(&dir, &me).unwrap();
        let (one, two) = (Txn::parse("one").unwrap(), Txn::parse("two").unwrap());
        let released = folder.write(&one, b"{}").unwrap();
        let refused = folder.write(&two, b"{}").unwrap();
        let left = folder.write(&two, b"{}").unwrap();
        assert_eq!(files(&dir).len(), 3);
        released.name().unwrap();
        drop(refused);
        // A killed gate runs no destructor.
        std::mem::forget(left);
        fs::write(dir.join(".another-gate-x.part"), b"").unwrap();
        assert_eq!(files(&dir).len(), 3);
        EvidenceFolder::open(&dir, &me).unwrap();
        assert_eq!(files(&dir), [".another-gate-x.part", "one.json"]);
        let mode = fs::metadata(dir.join("one.json")).unwrap().permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
            0o600
        );
    }
}

//! An append-only file of checked lines: what the nonce store must still know after a crash.
//!
//! A line is `<checksum> <JSON>\n`. An append is one write and one fsync; only when that has returned does the
//! store act on it. It knows nothing of nonces: [`crate::store`] gives its lines their meaning.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use countersign_model::{Digest, json};
use serde_json::Value;

const FILE: &str = "operations.journal";
const NEXT: &str = "operations.journal.next";
const LOCK: &str = "lock";
/// Characters of the digest that stand before each line.
const CHECKSUM_CHARS: usize = 16;
/// The longest line: an operation of 64 KiB in base64url, and the rest.
const MAX_LINE_BYTES: usize = 128 * 1024;
/// The largest file that is read at start, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// Why the file cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder is in use.
    #[error("another gate uses the state folder `{0}`; give each gate its own")]
    InUse(PathBuf),
    /// A line in the middle is not what was written.
    #[error(
        "line {line} of `{path}` is damaged; move the file away to start afresh (open approvals become void)"
    )]
    Damaged {
        /// Counted from 1.
        line: usize,
        /// The file.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot use `{path}`: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// The open file. It holds the folder's lock as long as it lives.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    file: File,
    bytes: u64,
    /// A part of a line may stand at the end: nothing more is written after it.
    broken: bool,
    _lock: File,
}

impl Journal {
    /// Opens or makes the file, and returns all whole lines in order.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<Value>), JournalError> {
        let at = |path: PathBuf| move |error| JournalError::Io { path, error };
        std::fs::create_dir_all(dir).map_err(at(dir.to_owned()))?;
        let lock_path = dir.join(LOCK);
        let lock = private()
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(at(lock_path.clone()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(JournalError::InUse(dir.to_owned()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(at(lock_path)(error)),
        }
        let path = dir.join(FILE);
        let mut file = private()
            .read(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at(path.clone()))?;
        sync_dir(dir).map_err(at(dir.to_owned()))?;
        if file.metadata().map_err(at(path.clone()))?.len() > MAX_FILE_BYTES {
            return Err(at(path)(io::Error::other(
                "it is larger than 1 GiB; move it away to start afresh",
            )));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(path.clone()))?;
        let (lines, whole) = read_lines(&bytes).map_err(|line| JournalError::Damaged {
            line,
            path: path.clone(),
        })?;
        if whole < bytes.len() as u64 {
            // CRASH J1: a torn last line. Its fsync never returned, so nothing was done on its strength.
            file.set_len(whole)
                .and_then(|()| file.sync_all())
                .map_err(at(path.clone()))?;
        }
        file.seek(SeekFrom::End(0)).map_err(at(path))?;
        Ok((
            Self {
                dir: dir.to_owned(),
                file,
                bytes: whole,
                broken: false,
                _lock: lock,
            },
            lines,
        ))
    }

    /// Appends lines in one write, durable when it returns.
    pub(crate) fn append(&mut self, lines: &[Value]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write could not be undone"));
        }
        let mut text = Vec::new();
        for line in lines {
            text.extend_from_slice(&encode(line));
        }
        let written = self
            .file
            .write_all(&text)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A part of a line may stand there now; the next append must not continue it, or a start would take
            // both for one torn line and forget what was spent.
            self.broken = true;
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::End(0))?;
            self.broken = false;
            return Err(error);
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Replaces the file by these lines.
    pub(crate) fn replace(&mut self, lines: &[Value]) -> io::Result<()> {
        let next = self.dir.join(NEXT);
        let mut file = private()
            .read(true)
            .create(true)
            .truncate(true)
            .open(&next)?;
        let mut bytes = 0;
        for line in lines {
            let text = encode(line);
            file.write_all(&text)?;
            bytes += text.len() as u64;
        }
        // CRASH J2: the old file still stands; the new one is overwritten next time.
        file.sync_all()?;
        std::fs::rename(&next, self.dir.join(FILE))?;
        // CRASH J3: either file may stand; both say the same about what is still open.
        sync_dir(&self.dir)?;
        self.file = file;
        self.bytes = bytes;
        self.broken = false;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn encode(line: &Value) -> Vec<u8> {
    let text = json::canonical(line);
    let mut out = checksum(&text).into_bytes();
    out.push(b' ');
    out.extend_from_slice(&text);
    out.push(b'\n');
    out
}

fn checksum(text: &[u8]) -> String {
    let mut digest = Digest::of(text).to_string();
    digest.truncate(CHECKSUM_CHARS);
    digest
}

/// All whole lines, and how many bytes they take. A bad last line is torn; a bad one before it is damage.
fn read_lines(bytes: &[u8]) -> Result<(Vec<Value>, u64), usize> {
    let mut lines = Vec::new();
    let mut whole = 0;
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        match decode(&line[..end]) {
            Some(value) => lines.push(value),
            None if after.is_empty() => return Ok((lines, whole)),
            None => return Err(lines.len() + 1),
        }
        whole += line.len() as u64;
        rest = after;
    }
    Ok((lines, whole))
}

fn decode(line: &[u8]) -> Option<Value> {
    if line.len() > MAX_LINE_BYTES {
        return None;
    }
    let (sum, text) = line.split_at_checked(CHECKSUM_CHARS)?;
    let text = text.strip_prefix(b" ")?;
    if sum != checksum(text).as_bytes() {
        return None;
    }
    json::parse_canonical(
        text,
        json::Limits {
            max_bytes: MAX_LINE_BYTES,
            max_depth: 4,
        },
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(dir: &Path) -> (Journal, Vec<Value>) {
        Journal::open(dir).unwrap()
    }

    #[test]
    fn lines_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, lines) = open(dir.path());
        assert!(lines.is_empty());
        journal.append(&[json!({"a": 1}), json!({"a": 2})]).unwrap();
        journal.append(&[json!({"a": 3})]).unwrap();
        drop(journal);
        let (mut journal, lines) = open(dir.path());
        assert_eq!(
            lines,
            vec![json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]
        );
        journal.replace(&[json!({"a": 3})]).unwrap();
        journal.append(&[json!({"a": 4})]).unwrap();
        drop(journal);
        assert_eq!(open(dir.path()).1, vec![json!({"a": 3}), json!({"a": 4})]);
    }

    #[test]
    fn a_second_user_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path());
        assert!(matches!(
            Journal::open(dir.path()),
            Err(JournalError::InUse(_))
        ));
    }

    #[test]
    fn cut_anywhere_the_whole_lines_are_left() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[json!({"a": 1})]).unwrap();
        let one = journal.bytes();
        journal.append(&[json!({"a": 2})]).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, lines) = open(dir.path());
            let wanted = if cut == whole.len() {
                2
            } else {
                usize::from(cut as u64 >= one)
            };
            assert_eq!(lines.len(), wanted, "cut at {cut}");
            journal.append(&[json!({"a": 9})]).unwrap();
            drop(journal);
            assert_eq!(
                open(dir.path()).1.len(),
                wanted + 1,
                "appended after a cut at {cut}"
            );
        }
    }

    #[test]
    fn after_a_write_that_could_not_be_undone_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[json!({"a": 1})]).unwrap();
        // A disk that takes neither the line nor its removal, and then recovers.
        let unwritable = File::open(dir.path().join(FILE)).unwrap();
        let file = std::mem::replace(&mut journal.file, unwritable);
        assert!(journal.append(&[json!({"a": 2})]).is_err());
        journal.file = file;
        assert!(journal.append(&[json!({"a": 3})]).is_err());
        journal.replace(&[json!({"a": 1})]).unwrap();
        journal.append(&[json!({"a": 4})]).unwrap();
        drop(journal);
        assert_eq!(open(dir.path()).1, vec![json!({"a": 1}), json!({"a": 4})]);
    }

    #[test]
    fn a_last_line_whose_end_was_written_before_its_middle_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[json!({"a": 1}), json!({"a": 2})]).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() - 4;
        bytes[middle] = 0;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(dir.path()).1, vec![json!({"a": 1})]);
    }

    #[test]
    fn damage_in_the_middle_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[json!({"a": 1}), json!({"a": 2})]).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[CHECKSUM_CHARS + 6] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = Journal::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 1, .. }),
            "{error}"
        );
    }
}

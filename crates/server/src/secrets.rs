//! The server's own secrets: its signing key (`rk`), and a secret under which it recognizes what it gave out
//! without keeping it (nonces, challenges, evaluation ids).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use countersign_evidence::SecretKey;
use countersign_model::{Digest, Subject, Txn, UnixSecs, b64u, b64u_decode};

/// How long a nonce for a proof of possession is good, in seconds.
pub(crate) const NONCE_SECS: u32 = 300;
/// How long a requestable denial may be answered by a request, in seconds.
pub(crate) const EVALUATION_SECS: u32 = 300;

pub(crate) struct Secrets {
    pub(crate) rk: SecretKey,
    recognize: [u8; 32],
}

impl Secrets {
    /// Reads both from the state folder, making them at first start (0600).
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Secrets> {
        let rk = read_or_make(&folder.join("rk.jwk"), || {
            SecretKey::generate(rand::random()).to_jwk().to_string()
        })?;
        let rk: serde_json::Value = serde_json::from_str(&rk).context("read `rk.jwk` as JSON")?;
        let rk = SecretKey::from_jwk(&rk).context("read `rk.jwk` as a private key")?;
        let recognize = read_or_make(&folder.join("recognize.key"), || {
            b64u(&rand::random::<[u8; 32]>())
        })?;
        let recognize = b64u_decode(recognize.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let Some(recognize) = recognize else {
            bail!("`recognize.key` does not hold 32 bytes in base64url")
        };
        Ok(Secrets { rk, recognize })
    }

    /// A keyed digest. The inner digest has a fixed length, so nothing can be appended to what it covers.
    fn mark(&self, purpose: &str, parts: &[&str]) -> Digest {
        let inner = Digest::tagged(purpose, parts.join("\n").as_bytes());
        let mut bytes = self.recognize.to_vec();
        bytes.extend_from_slice(inner.as_bytes());
        Digest::of(&bytes)
    }

    /// What a person's vote on a request has to name.
    pub(crate) fn challenge(&self, txn: &Txn, person: &Subject) -> String {
        self.mark(
            "countersign/challenge/v1",
            &[txn.as_str(), &person.to_string()],
        )
        .to_string()
    }

    /// A nonce for one proof of possession, recognizable until its time.
    pub(crate) fn nonce(&self, now: UnixSecs) -> String {
        let body = format!(
            "{}.{}",
            (now + i64::from(NONCE_SECS)).0,
            b64u(&rand::random::<[u8; 8]>())
        );
        self.stamped("countersign/nonce/v1", &body)
    }

    /// Until when a nonce of ours is good.
    pub(crate) fn nonce_until(&self, nonce: &str) -> Option<UnixSecs> {
        let body = self.stamp_of("countersign/nonce/v1", nonce)?;
        body.split_once('.')?.0.parse().ok().map(UnixSecs)
    }

    /// Names a denial that may be answered by a request, for what was asked.
    pub(crate) fn evaluation_id(&self, asked: Digest, until: UnixSecs) -> String {
        self.stamped("countersign/evaluation/v1", &format!("{}.{asked}", until.0))
    }

    /// Until when a denial may be answered; only for what was asked then.
    pub(crate) fn evaluation_until(&self, id: &str, asked: Digest) -> Option<UnixSecs> {
        let body = self.stamp_of("countersign/evaluation/v1", id)?;
        let (until, named) = body.split_once('.')?;
        (named == asked.to_string()).then_some(UnixSecs(until.parse().ok()?))
    }

    /// Where a page ended, told to nobody but us: the number of a row that its reader may not see says how many
    /// there are.
    pub(crate) fn cursor(&self, key: i64) -> String {
        let salt: [u8; 8] = rand::random();
        let mut body = salt.to_vec();
        body.extend((key ^ self.veil(&salt)).to_be_bytes());
        self.stamped("countersign/cursor/v1", &b64u(&body))
    }

    /// Where a page of ours ended.
    pub(crate) fn cursor_at(&self, cursor: &str) -> Option<i64> {
        let body = b64u_decode(self.stamp_of("countersign/cursor/v1", cursor)?).ok()?;
        let (salt, veiled) = body.split_at_checked(8)?;
        Some(i64::from_be_bytes(veiled.try_into().ok()?) ^ self.veil(salt))
    }

    fn veil(&self, salt: &[u8]) -> i64 {
        let mark = self.mark("countersign/cursor/veil/v1", &[&b64u(salt)]);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&mark.as_bytes()[..8]);
        i64::from_be_bytes(bytes)
    }

    fn stamped(&self, purpose: &str, body: &str) -> String {
        format!("{body}.{}", self.mark(purpose, &[body]))
    }

    fn stamp_of<'a>(&self, purpose: &str, text: &'a str) -> Option<&'a str> {
        let (body, stamp) = text.rsplit_once('.')?;
        // Digests of a keyed digest: comparing them in plain time tells nothing that helps to forge one.
        (Digest::of(stamp.as_bytes())
            == Digest::of(self.mark(purpose, &[body]).to_string().as_bytes()))
        .then_some(body)
    }
}

fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    if path.exists() {
        return fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()));
    }
    // CRASH: a half-written file would be refused at the next start, so it is renamed into place when whole.
    let text = make();
    let half = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options
        .open(&half)
        .with_context(|| format!("make `{}`", half.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path).with_context(|| format!("make `{}`", path.display()))?;
    // CRASH: until its folder is on disk too, a new start would find no key and make another.
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::open(folder.path()).unwrap();
        let second = Secrets::open(folder.path()).unwrap();
        assert_eq!(first.rk.public(), second.rk.public());
        let nonce = first.nonce(UnixSecs(100));
        assert!(
            second.nonce_until(&nonce).is_some(),
            "recognized after a restart"
        );
        for file in ["rk.jwk", "recognize.key"] {
            let mode = fs::metadata(folder.path().join(file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        fs::write(folder.path().join("rk.jwk"), "{}").unwrap();
        assert!(
            Secrets::open(folder.path()).is_err(),
            "a damaged key is not replaced silently"
        );
    }

    #[test]
    fn only_what_it_gave_out_is_recognized() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (one, other) = (
            Secrets::open(one.path()).unwrap(),
            Secrets::open(other.path()).unwrap(),
        );
        let nonce = one.nonce(UnixSecs(100));
        assert_eq!(one.nonce_until(&nonce), Some(UnixSecs(400)));
        assert_eq!(other.nonce_until(&nonce), None);
        assert_eq!(
            one.nonce_until(&nonce.replacen("400", "900", 1)),
            None,
            "its time is part of it"
        );
        assert_ne!(nonce, one.nonce(UnixSecs(100)));
        let (asked, not_asked) = (Digest::of(b"asked"), Digest::of(b"not asked"));
        let id = one.evaluation_id(asked, UnixSecs(500));
        assert_eq!(one.evaluation_until(&id, asked), Some(UnixSecs(500)));
        assert_eq!(one.evaluation_until(&id, not_asked), None);
        assert_eq!(one.nonce_until(&id), None, "each serves one purpose");
    }
}

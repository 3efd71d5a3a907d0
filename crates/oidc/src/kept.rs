//! Keys seen, on disk: so that evidence by a key that the provider has dropped since can be verified after a
//! restart too (protocol, section 1). An operator drops a key at once by deleting it from the file.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use countersign_model::{Digest, Issuer, UnixSecs};
use serde_json::{Value, json};

/// One provider's file.
#[derive(Debug)]
pub(crate) struct KeptKeys {
    path: PathBuf,
    issuer: Issuer,
}

impl KeptKeys {
    pub(crate) fn new(folder: &Path, issuer: &Issuer) -> Self {
        // Issuers are URLs: their digest is a file name.
        let name: String = Digest::of(issuer.as_str().as_bytes())
            .to_string()
            .chars()
            .take(16)
            .collect();
        Self {
            path: folder.join(format!("op-keys-{name}.json")),
            issuer: issuer.clone(),
        }
    }

    /// What is kept; nothing when there is no file.
    pub(crate) fn read(&self) -> io::Result<Vec<(Value, UnixSecs)>> {
        let bytes = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let file: Value = serde_json::from_slice(&bytes)?;
        if file["issuer"] != self.issuer.as_str() {
            return Err(io::Error::other("the file is about another provider"));
        }
        let keys = file["keys"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let kept = keys
            .iter()
            .filter_map(|key| Some((key["jwk"].clone(), UnixSecs(key["last_seen"].as_i64()?))));
        Ok(kept.collect())
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    pub(crate) fn write(&self, keys: Vec<(Value, UnixSecs)>) -> io::Result<()> {
        let keys: Vec<Value> = keys
            .into_iter()
            .map(|(jwk, last)| json!({ "jwk": jwk, "last_seen": last.0 }))
            .collect();
        let text =
            serde_json::to_vec_pretty(&json!({ "issuer": self.issuer.as_str(), "keys": keys }))?;
        let beside = self.path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }
}

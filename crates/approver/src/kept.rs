//! What is kept between runs: secrets in the [`KeyStore`](crate::KeyStore), the rest in a file of the same name.
//!
//! Order of writes at a sign-in:
//! 1. `pending`, file and then secrets, before the server hears of the keys. CRASH: the next start ends the
//!    exchange with the same keys, which the server answers alike, or drops them when the ID token is too old
//! 2. the exchange at the server
//! 3. `account`, secrets and then file. CRASH: as after 1. Between the two the old file, if any, names another
//!    binding than the secrets, and is not used
//! 4. `pending` is deleted. CRASH: it is finished once more, with the same outcome, or dropped

use std::io;
use std::path::{Path, PathBuf};

use countersign_api::http::{Endpoints, WellKnownProvider};
use countersign_evidence::{PublicKey, SecretKey};
use countersign_model::{Digest, Issuer, PepId, ServerId, Subject, UnixSecs, b64u, b64u_decode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name of the secrets in use.
pub(crate) const ACCOUNT: &str = "account";
/// The name of the secrets of a sign-in that is not finished.
pub(crate) const PENDING: &str = "pending";

/// The beginning of the names of files that hold a vote ([`crate::kept_vote`]).
const VOTE: &str = "vote-";

/// What must not be read by others.
#[derive(Clone)]
pub(crate) struct Secrets {
    /// `dk`.
    pub(crate) device: SecretKey,
    /// `sk`.
    pub(crate) session: SecretKey,
    /// The binding statement's bytes.
    pub(crate) cic: Vec<u8>,
    /// Of the sign-in: evidence for the key.
    pub(crate) id_token: String,
    /// For newer claims, where the provider gave one.
    pub(crate) refresh_token: Option<String>,
}

impl Secrets {
    /// The binding's id.
    pub(crate) fn binding(&self) -> Digest {
        Digest::of(&self.cic)
    }

    /// When the provider issued the ID token, which was verified at the sign-in.
    pub(crate) fn signed_in_at(&self) -> UnixSecs {
        UnixSecs(self.claim("iat"))
    }

    /// A time in the ID token, which was verified at the sign-in. 0 when it is not there.
    pub(crate) fn claim(&self, name: &str) -> i64 {
        let claims = self
            .id_token
            .split('.')
            .nth(1)
            .and_then(|part| b64u_decode(part).ok());
        let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        claims.and_then(|claims| claims[name].as_i64()).unwrap_or(0)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self {
            device,
            session,
            cic,
            id_token,
            refresh_token,
        } = self;
        json!({
            "v": 1,
            "device": device.to_jwk(),
            "session": session.to_jwk(),
            "cic": b64u(cic),
            "id_token": id_token,
            "refresh_token": refresh_token,
        })
        .to_string()
        .into_bytes()
    }

    /// `None` when these are not secrets of this version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        if value["v"] != 1 {
            return None;
        }
        Some(Self {
            device: SecretKey::from_jwk(&value["device"]).ok()?,
            session: SecretKey::from_jwk(&value["session"]).ok()?,
            cic: b64u_decode(value["cic"].as_str()?).ok()?,
            id_token: value["id_token"].as_str()?.to_owned(),
            refresh_token: value["refresh_token"].as_str().map(str::to_owned),
        })
    }
}

/// The signed-in person at one server, and what is trusted of it since the sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountFile {
    pub(crate) server: String,
    pub(crate) endpoints: Endpoints,
    pub(crate) provider: WellKnownProvider,
    pub(crate) sub: String,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) binding_id: String,
    pub(crate) session_ends_at: i64,
    /// The provider saw a proof by the device key, and may want one with each refresh.
    #[serde(default)]
    pub(crate) proved: bool,
    /// The server's keys (`rk`), pinned at the sign-in: public JWKs.
    pub(crate) server_keys: Vec<Value>,
    /// The gates' keys (`pk`), pinned when first seen.
    pub(crate) pep_keys: Vec<(String, Value)>,
}

/// The same, read into types that cannot be wrong.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Names it in calls: the same person at the same server is the same account through sign-ins.
    pub(crate) id: String,
    pub(crate) file: AccountFile,
    pub(crate) server: ServerId,
    pub(crate) subject: Subject,
    pub(crate) binding: Digest,
    pub(crate) server_keys: Vec<PublicKey>,
    pub(crate) pep_keys: Vec<(PepId, PublicKey)>,
}

impl Account {
    /// Ports that the provider knows for the redirect; any, where it does not compare them.
    pub(crate) fn ports(&self) -> Vec<u16> {
        redirect_ports(&self.file.provider)
    }

    /// `None` when the file is not one that this version wrote.
    pub(crate) fn read(file: AccountFile) -> Option<Self> {
        let issuer = Issuer::parse(&file.provider.issuer).ok()?;
        let keys = |jwks: &[Value]| {
            jwks.iter()
                .map(|jwk| PublicKey::from_jwk(jwk).ok())
                .collect::<Option<Vec<_>>>()
        };
        let subject = Subject::new(issuer, &file.sub).ok()?;
        let who = format!("{}\n{subject}", file.server);
        Some(Self {
            id: Digest::of(who.as_bytes())
                .to_string()
                .chars()
                .take(16)
                .collect(),
            server: ServerId::parse(&file.server).ok()?,
            subject,
            binding: Digest::parse(&file.binding_id).ok()?,
            server_keys: keys(&file.server_keys)?,
            pep_keys: file
                .pep_keys
                .iter()
                .map(|(pep, jwk)| Some((PepId::parse(pep).ok()?, PublicKey::from_jwk(jwk).ok()?)))
                .collect::<Option<Vec<_>>>()?,
            file,
        })
    }
}

/// Ports to try for the redirect, in order; 0 lets the system choose.
pub(crate) fn redirect_ports(provider: &WellKnownProvider) -> Vec<u16> {
    if provider.redirect_ports.is_empty() {
        vec![0]
    } else {
        provider.redirect_ports.clone()
    }
}

/// The file beside the secrets.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, for its owner only.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the account: in use, or of a sign-in that is not finished.
    pub(crate) fn read(&self, which: &str) -> Option<AccountFile> {
        serde_json::from_slice(&std::fs::read(self.file(which)).ok()?).ok()
    }

    /// Replaces the file as a whole.
    pub(crate) fn write(&self, which: &str, file: &AccountFile) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(file)?;
        write_whole(&self.file(which), &text)
    }

    /// Forgets it.
    pub(crate) fn delete(&self, which: &str) -> io::Result<()> {
        match std::fs::remove_file(self.file(which)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes the file of a vote.
    pub(crate) fn write_vote(&self, txn: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.file(&format!("{VOTE}{txn}")), bytes)
    }

    /// All files of votes, each with its request's id.
    pub(crate) fn read_votes(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(files) = std::fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let votes = files.flatten().filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let txn = name.strip_prefix(VOTE)?.strip_suffix(".json")?;
            Some((txn.to_owned(), std::fs::read(file.path()).ok()?))
        });
        votes.collect()
    }

    /// Forgets a vote.
    pub(crate) fn forget_vote(&self, txn: &str) {
        if let Err(error) = self.delete(&format!("{VOTE}{txn}")) {
            tracing::warn!(txn, "a vote that was kept is left: {error}");
        }
    }

    fn file(&self, which: &str) -> PathBuf {
        self.path.join(format!("{which}.json"))
    }
}

/// Writes beside, syncs, renames: a crash leaves the old file or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

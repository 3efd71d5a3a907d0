//! Confirming a vote by a security key (WebAuthn): where the provider cannot sign a person in for one vote.
//!
//! The key is listed in the binding statement, so the provider's signature over a full sign-in vouches for it; what it
//! signs is the commitment to one vote, under an origin that no web page can have. This crate talks to no hardware: a
//! program brings a [`SecurityKey`]. Specification: `docs/spec/step-up.md`.

use std::io;
use std::sync::Arc;

use countersign_api::ipc::{BoundKey, KeyWaits, Pin, Problem, ProblemCode};
use countersign_display::Role;
use countersign_evidence::documents::{Authenticator, step_up_nonce};
use countersign_evidence::{PublicKey, StepUpEvidence};
use countersign_model::{Digest, Issuer, ServerId, b64u, b64u_decode, json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::at_the_key::HeldKey;
use crate::kept::{Account, Folder, write_whole};
use crate::problem::problem;
use crate::wire::safe;

/// The way to security keys that are plugged in, or built in. Its methods block until the person has touched one, and
/// are called on a thread for that.
pub trait SecurityKey: Send + Sync {
    /// Makes a credential. The holder is verified (PIN, fingerprint).
    ///
    /// # Errors
    /// In words for the person.
    fn enroll(
        &self,
        wish: &NewCredential,
        holder: &dyn Holder,
    ) -> Result<Enrolled, SecurityKeyError>;

    /// Signs by one of these credentials, without extensions. The holder is verified.
    ///
    /// # Errors
    /// In words for the person.
    fn confirm(&self, wish: &Touch, holder: &dyn Holder) -> Result<Assertion, SecurityKeyError>;
}

/// The person who holds a security key, as its driver sees them.
pub trait Holder: Send + Sync {
    /// Shows what the key waits for.
    fn shows(&self, waits: KeyWaits);

    /// Asks for the key's PIN, which takes as long as it takes; `None` when they gave up.
    fn pin(&self, wrong: bool, tries_left: Option<u8>) -> Option<Pin>;

    /// Whether they gave up: then the key is told so, and nothing comes of it.
    fn gave_up(&self) -> bool;
}

/// What a new credential is for.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// The relying party.
    pub rp_id: String,
    /// What is signed. (Nobody asks for the signature: the provider's own vouches for the key.)
    pub client_data_hash: [u8; 32],
    /// Whose: names nobody outside of this account.
    pub user_id: Vec<u8>,
    /// By their name for people.
    pub user_name: String,
    /// Credentials that are bound already: a key that holds one of them is not bound twice.
    pub exclude: Vec<Vec<u8>>,
}

/// What is to be confirmed.
#[derive(Debug, Clone)]
pub struct Touch {
    /// The relying party.
    pub rp_id: String,
    /// What is signed.
    pub client_data_hash: [u8; 32],
    /// The credentials that may sign.
    pub handles: Vec<Vec<u8>>,
}

/// A credential.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Its public half.
    pub key: PublicKey,
    /// What the security key finds it by.
    pub handle: Vec<u8>,
    /// The security key's name for people.
    pub name: String,
}

/// A confirmation.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// Which credential signed: an index into the handles.
    pub which: usize,
    /// `authenticatorData`, 37 bytes.
    pub authenticator_data: Vec<u8>,
    /// As the security key writes it: DER for ES256.
    pub signature: Vec<u8>,
}

/// Why a security key did not: a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecurityKeyError(pub String);

impl From<SecurityKeyError> for Problem {
    fn from(error: SecurityKeyError) -> Self {
        problem(ProblemCode::Other, error.to_string())
    }
}

/// The credentials of one account, in a file beside it: no secrets. They outlive a session, because the next sign-in
/// lists them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRing {
    pub(crate) server: String,
    pub(crate) issuer: String,
    pub(crate) sub: String,
    keys: Vec<KeptKey>,
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptKey {
    jwk: Value,
    rp_id: String,
    handle: String,
    name: String,
}

/// The longest name that a key keeps, in bytes (CTAP 2.1, section 6.1.3).
const MAX_NAME_BYTES: usize = 64;
/// The file.
const KEYS: &str = "security-keys.json";

impl KeyRing {
    pub(crate) fn new(server: &ServerId, issuer: &Issuer, sub: &str, keys: Vec<KeptKey>) -> Self {
        Self {
            server: server.to_string(),
            issuer: issuer.to_string(),
            sub: sub.to_owned(),
            keys,
        }
    }

    pub(crate) fn keys(&self) -> &[KeptKey] {
        &self.keys
    }
}

impl KeptKey {
    /// As the binding statement lists it; `None` when the file was damaged.
    pub(crate) fn authenticator(&self) -> Option<Authenticator> {
        Some(Authenticator {
            key: PublicKey::from_jwk(&self.jwk).ok()?,
            rp_id: self.rp_id.clone(),
        })
    }

    /// Names it, to the window and in evidence.
    pub(crate) fn id(&self) -> Option<String> {
        Some(self.authenticator()?.key.thumbprint())
    }

    /// As the window is told.
    pub(crate) fn on_show(&self) -> Option<BoundKey> {
        Some(BoundKey {
            id: self.id()?,
            name: safe(&self.name, Role::Name),
        })
    }
}

/// What becomes of an account's security keys with a sign-in: its statement lists them.
#[derive(Debug)]
pub(crate) enum Keys {
    /// They stay as they are.
    AsBefore,
    /// This one comes to them.
    With(KeptKey),
    /// This one, by its id, is one of them no more.
    Without(String),
}

impl Keys {
    /// Those that are listed from now on.
    pub(crate) fn of(self, before: &[KeptKey]) -> Vec<KeptKey> {
        let mut keys = before.to_vec();
        match self {
            Self::AsBefore => {}
            Self::With(key) => keys.push(key),
            Self::Without(id) => keys.retain(|key| key.id().as_ref() != Some(&id)),
        }
        keys
    }
}

impl Folder {
    /// The credentials that are kept.
    pub(crate) fn key_ring(&self) -> Option<KeyRing> {
        serde_json::from_slice(&std::fs::read(self.path().join(KEYS)).ok()?).ok()
    }

    pub(crate) fn keep_key_ring(&self, ring: &KeyRing) -> io::Result<()> {
        write_whole(&self.path().join(KEYS), &serde_json::to_vec_pretty(ring)?)
    }

    pub(crate) fn forget_key_ring(&self) {
        match std::fs::remove_file(self.path().join(KEYS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("the list of security keys is left: {error}");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Has the person enroll their security key for this server.
pub(crate) async fn enroll(
    key: &Arc<dyn SecurityKey>,
    account: &Account,
    bound: &[KeptKey],
    holder: HeldKey,
) -> Result<KeptKey, Problem> {
    let server = &account.server;
    let rp_id = rp_id(server)?;
    let challenge = b64u(&rand::random::<[u8; 32]>());
    let handle_of = |kept: &KeptKey| b64u_decode(&kept.handle).ok();
    let wish = NewCredential {
        rp_id: rp_id.clone(),
        client_data_hash: *Digest::of(&client_data("webauthn.create", &challenge, server))
            .as_bytes(),
        // The same for the same account, so that a key holds one credential of it where it keeps them itself.
        user_id: Digest::tagged(
            "countersign/user/v1",
            account.subject.to_string().as_bytes(),
        )
        .as_bytes()
        .to_vec(),
        user_name: shortened(&account.file.name),
        exclude: bound
            .iter()
            .filter(|kept| kept.rp_id == rp_id)
            .filter_map(handle_of)
            .collect(),
    };
    let by = Arc::clone(key);
    let Enrolled {
        key: public,
        handle,
        name,
    } = on_a_thread(holder, move |holder| by.enroll(&wish, holder)).await?;
    Ok(KeptKey {
        jwk: public.to_jwk(),
        rp_id,
        handle: b64u(&handle),
        name,
    })
}

/// As much of a name as every key takes.
fn shortened(name: &str) -> String {
    let mut short = String::with_capacity(MAX_NAME_BYTES);
    for letter in name.chars() {
        if short.len() + letter.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        short.push(letter);
    }
    short
}

/// Has the person confirm one vote by one of their credentials.
pub(crate) async fn confirm(
    key: &Arc<dyn SecurityKey>,
    ring: &KeyRing,
    vote_jws: &str,
    server: &ServerId,
    holder: HeldKey,
) -> Result<StepUpEvidence, Problem> {
    let rp_id = rp_id(server)?;
    let usable: Vec<(&KeptKey, Vec<u8>)> = ring
        .keys
        .iter()
        .filter(|kept| kept.rp_id == rp_id)
        .filter_map(|kept| Some((kept, b64u_decode(&kept.handle).ok()?)))
        .collect();
    let data = client_data("webauthn.get", &step_up_nonce(vote_jws), server);
    let wish = Touch {
        rp_id,
        client_data_hash: *Digest::of(&data).as_bytes(),
        handles: usable.iter().map(|(_, handle)| handle.clone()).collect(),
    };
    let by = Arc::clone(key);
    let Assertion {
        which,
        authenticator_data,
        signature,
    } = on_a_thread(holder, move |holder| by.confirm(&wish, holder)).await?;
    let id = usable.get(which).and_then(|(kept, _)| kept.id());
    Ok(StepUpEvidence::Webauthn {
        authenticator_data: b64u(&authenticator_data),
        client_data_json: b64u(&data),
        signature: b64u(&signature),
        key: id.ok_or_else(|| {
            problem(
                ProblemCode::Other,
                "The security key answered with a credential that is not bound here.",
            )
        })?,
    })
}

/// A relying party is a host (WebAuthn, section 5.1.2): the server's, so that its own pages could be one too. Their
/// origin is not ours.
fn rp_id(server: &ServerId) -> Result<String, Problem> {
    let host = Url::parse(server.as_str())
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.ok_or_else(|| problem(ProblemCode::Other, "The server's address has no host."))
}

/// `clientDataJSON`: the origin is one that no web page can have.
fn client_data(kind: &str, challenge: &str, server: &ServerId) -> Vec<u8> {
    json::canonical(&json!({
        "type": kind,
        "challenge": challenge,
        "origin": format!("countersign:{server}"),
        "crossOrigin": false,
    }))
}

async fn on_a_thread<T: Send + 'static>(
    holder: HeldKey,
    act: impl FnOnce(&dyn Holder) -> Result<T, SecurityKeyError> + Send + 'static,
) -> Result<T, Problem> {
    // Dropped with this future: the thread learns that nobody waits for it any more.
    let _turn = holder.turn();
    match tokio::task::spawn_blocking(move || act(&holder)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(problem(
            ProblemCode::Other,
            "The security key failed. Take it out, put it in again, and try again.",
        )),
    }
}

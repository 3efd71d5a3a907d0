//! A signed vote, kept until it is counted or its request is over: neither a provider that is down, nor a server
//! that does not answer, nor the end of this program loses it.
//!
//! It is no secret: whoever reads it can at most send it, which its signer wanted. The one-time key beside it proves
//! possession of a token that no API accepts, to a provider that gives it to nobody but the person in the browser.
//!
//! CRASH: it is written before anything of it leaves this device. The next start sends it, or asks for the
//! confirmation that was cut off.

use std::io;

use countersign_api::ipc::{Problem, ProblemCode};
use countersign_evidence::SecretKey;
use countersign_evidence::documents::{Vote, step_up_nonce};
use countersign_model::{Digest, UnixSecs};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::item::{Genuine, Item};
use crate::kept::{Account, Folder};
use crate::problem::problem;
use crate::vote::Wish;

/// A vote whose answer has not come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptVote {
    /// The request.
    pub(crate) txn: String,
    /// The binding that signed it.
    binding_id: String,
    /// What the person decided.
    pub(crate) wish: Wish,
    /// The compact JWS.
    pub(crate) jws: String,
    /// What it takes before it is sent.
    pub(crate) takes: Takes,
    /// Ties a consented scope to it.
    consent_key: Option<Value>,
    /// The person was told that it could not be sent: it is sent again when they say so.
    pub(crate) is_told: bool,
}

/// What a vote takes before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Takes {
    /// The confirmation that the requirement asks for.
    pub(crate) confirmation: bool,
    /// A sign-in that tells what the provider says about the person now: it gives that in no other way.
    pub(crate) claims_by_browser: bool,
}

impl Takes {
    /// Whether it can be sent as it is.
    pub(crate) fn nothing(self) -> bool {
        !self.confirmation && !self.claims_by_browser
    }
}

impl KeptVote {
    pub(crate) fn new(
        txn: &str,
        wish: Wish,
        jws: String,
        account: &Account,
        takes: Takes,
        consent_key: Option<&SecretKey>,
    ) -> Self {
        Self {
            txn: txn.to_owned(),
            binding_id: account.binding.to_string(),
            wish,
            jws,
            takes,
            consent_key: consent_key.map(SecretKey::to_jwk),
            is_told: false,
        }
    }

    /// The commitment that the confirmation carries.
    pub(crate) fn step_up_nonce(&self) -> String {
        step_up_nonce(&self.jws)
    }

    pub(crate) fn consent_key(&self) -> Option<SecretKey> {
        let jwk = self.consent_key.as_ref()?;
        SecretKey::from_jwk(jwk).ok()
    }

    /// What it says.
    ///
    /// # Errors
    /// When the file was damaged.
    pub(crate) fn read(&self) -> Result<Vote, Problem> {
        let (_, vote) = Vote::unverified(&self.jws).map_err(|_| {
            problem(
                ProblemCode::Other,
                "The vote that was kept is damaged. Give it up, then vote again.",
            )
        })?;
        Ok(vote)
    }

    /// Whether it still says what a vote on this request has to say now, with enough time left for a gate to use
    /// it. If not it is signed anew.
    pub(crate) fn fits(&self, item: &Item, genuine: &Genuine, now: UnixSecs) -> bool {
        let Ok(vote) = self.read() else {
            return false;
        };
        // A grant's time counts from the newest vote: one that has used up half of it would leave too little.
        let grant_secs = i64::from(genuine.open.request().requirement.grant_secs);
        let stage = item.stage.as_ref();
        item.challenge.as_deref() == Some(vote.nonce.as_str())
            && vote.request_jws_digest == genuine.open.request_jws_digest()
            && vote.stage.as_deref() == stage.map(|stage| stage.name.as_str())
            && vote.prior == stage.map(|stage| stage.prior.clone()).unwrap_or_default()
            && now < vote.exp
            && now - vote.iat <= grant_secs / 2
    }

    /// The same, after the person was told that it could not be sent.
    pub(crate) fn told(&self) -> Self {
        Self {
            is_told: true,
            ..self.clone()
        }
    }
}

impl Folder {
    /// Keeps a vote, replacing what was kept for its request.
    pub(crate) fn keep_vote(&self, vote: &KeptVote) -> Result<(), Problem> {
        let written = serde_json::to_vec(vote)
            .map_err(io::Error::from)
            .and_then(|bytes| self.write_vote(&vote.txn, &bytes));
        written.map_err(|error| {
            problem(
                ProblemCode::Other,
                format!(
                    "Your vote could not be kept on disk ({error}), so it was not sent. Make room, then vote again."
                ),
            )
        })
    }

    /// Votes of this binding that an earlier run kept. Others' are deleted: their keys are gone.
    pub(crate) fn kept_votes(&self, binding: Digest) -> Vec<KeptVote> {
        let mut mine = Vec::new();
        for (txn, bytes) in self.read_votes() {
            match serde_json::from_slice::<KeptVote>(&bytes) {
                Ok(vote) if vote.txn == txn && vote.binding_id == binding.to_string() => {
                    mine.push(vote);
                }
                Ok(_) | Err(_) => self.forget_vote(&txn),
            }
        }
        mine
    }
}

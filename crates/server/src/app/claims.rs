//! Claims asserted anew: what the provider says newest about a person counts, whichever device brought it, and
//! also against votes that were cast before (protocol, sections 3 and 6.7).

use countersign_lifecycle::{CountedVote, Input, step};
use countersign_model::{PolicyCheck, Subject, UnixSecs};
use countersign_store::{BindingRow, Conflict, Tx, Write};

use super::App;
use super::about::{Loaded, Viewer, claims_of};
use super::change::{With, write_step};
use super::token::Approver;
use crate::refused::{Refused, Scheme};

/// Open requests that are looked at for one person: more than they can have votes on.
const MAX_OPEN: usize = 10_000;

/// Whether a token brought something newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    Yes,
    No,
}

/// A person by their newest claims, and when those were issued.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) viewer: Viewer,
    pub(crate) issued_at: UnixSecs,
}

impl App {
    /// Newer claims while an approval is open. Older ones change nothing.
    pub(crate) async fn newer_claims(
        &self,
        approver: &Approver,
        token: &str,
    ) -> Result<(), Refused> {
        let binding = &approver.binding;
        let claims = self.claims_token(token, binding, self.now()).await?;
        let mut tx = Tx::new();
        tx.push(Write::ExpectUnrevoked(binding.id));
        if keep_claims(&mut tx, binding, token, claims.iat) == Newer::No {
            return Ok(());
        }
        match self.commit(tx).await? {
            Ok(()) => {}
            Err(Conflict::Revoked) => {
                return Err(Refused::unauthorized(
                    Scheme::Dpop,
                    "binding_revoked",
                    "This device was signed out: sign in again.",
                ));
            }
            Err(_) => return Err(App::contended()),
        }
        self.void_ineligible(&binding.person).await
    }

    /// The person behind a binding, by the newest token of theirs that the server has.
    pub(crate) async fn viewer(&self, binding: &BindingRow) -> Result<Viewer, Refused> {
        let newest = self.newest(&binding.person, binding).await?;
        Ok(newest.ok_or_else(not_trusted)?.viewer)
    }

    /// An account by its newest claims; by its binding's, where none were kept. None where its provider is no longer
    /// one of approvers here.
    pub(crate) async fn newest(
        &self,
        account: &Subject,
        binding: &BindingRow,
    ) -> Result<Option<Newest>, Refused> {
        let Some(provider) = self.approvers_of(account.iss.as_str()) else {
            return Ok(None);
        };
        let kept = self.store.claims(account).await?.map(|row| row.token);
        let token = kept
            .as_ref()
            .or(binding.claims_token.as_ref())
            .unwrap_or(&binding.id_token);
        let claims = claims_of(token)
            .ok_or_else(|| Refused::broken("a stored token cannot be read", &"no claims"))?;
        let issued_at = issued_at(&claims);
        Ok(Some(Newest {
            viewer: Viewer {
                voter: provider.config.op.voter(account.clone(), claims),
            },
            issued_at,
        }))
    }

    /// Ends every vote of this account that its newest claims, by today's policy, do not allow.
    pub(crate) async fn void_ineligible(&self, account: &Subject) -> Result<(), Refused> {
        // CRASH: between the newer claims and this nothing of it redeems: redeeming judges by the newest claims.
        for row in self.store.with_votes_of(account, MAX_OPEN).await? {
            let mut loaded = self.papers.load(row)?;
            while let Some(again) = self.void_one(&loaded, account).await? {
                loaded = again;
            }
        }
        Ok(())
    }

    /// The request after one vote of this account fell; none where all of its votes stand.
    async fn void_one(
        &self,
        loaded: &Loaded,
        account: &Subject,
    ) -> Result<Option<Loaded>, Refused> {
        let policy = self.policy();
        for vote in loaded.row.state.votes() {
            if vote.subject == *account && !self.stands(&*policy, loaded, vote).await? {
                return self.void(loaded, vote).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Whether a counted vote's person may vote on it still, by their newest claims.
    pub(crate) async fn stands(
        &self,
        policy: &dyn PolicyCheck,
        loaded: &Loaded,
        vote: &CountedVote,
    ) -> Result<bool, Refused> {
        let Some(binding) = self.store.binding(vote.binding).await? else {
            return Ok(false);
        };
        let Some(newest) = self.newest(&vote.subject, &binding).await? else {
            return Ok(false);
        };
        let (voter, operation) = (&newest.viewer.voter, &loaded.about.operation);
        Ok(policy
            .may_vote(voter, operation, vote.stage.as_deref())
            .is_ok())
    }

    /// Takes a vote away, as nobody's doing. Gives the request as it is then: a conflict is somebody else's step.
    pub(crate) async fn void(
        &self,
        loaded: &Loaded,
        vote: &CountedVote,
    ) -> Result<Loaded, Refused> {
        let now = self.now();
        let input = Input::VoidVote { vote: vote.digest };
        let next = step(&loaded.terms, loaded.row.state.clone(), input, now)?;
        let mut tx = Tx::new();
        write_step(&mut tx, loaded, &next, With::default(), now);
        let _ = self.commit(tx).await?;
        self.load(&loaded.row.txn, now).await
    }
}

pub(crate) fn not_trusted() -> Refused {
    Refused::forbidden(
        "provider_unknown",
        "Your identity provider is no longer trusted here.",
    )
}

/// Keeps a token that was verified, where it is not older than the one that its device brought before.
pub(crate) fn keep_claims(
    tx: &mut Tx,
    binding: &BindingRow,
    token: &str,
    issued_at: UnixSecs,
) -> Newer {
    let known = claims_of(binding.claims_token.as_ref().unwrap_or(&binding.id_token));
    if known.is_some_and(|known| issued_at < self::issued_at(&known)) {
        return Newer::No;
    }
    tx.push(Write::RefreshBinding {
        id: binding.id,
        claims_token: token.to_owned(),
    });
    // Evidence brings the newest that the vote's own device brought: its nonce is that binding's.
    tx.push(Write::RefreshVotes {
        binding: binding.id,
        claims_token: token.to_owned(),
    });
    tx.push(Write::KeepClaims {
        person: binding.person.clone(),
        token: token.to_owned(),
        issued_at,
    });
    Newer::Yes
}

/// When a verified token was issued. Floats without a fraction were accepted then.
#[allow(clippy::cast_possible_truncation)] // whole, and within 2^53, when it was verified
pub(crate) fn issued_at(claims: &serde_json::Value) -> UnixSecs {
    let iat = claims.get("iat");
    let whole = || {
        iat.and_then(serde_json::Value::as_f64)
            .map(|secs| secs as i64)
    };
    let secs = iat.and_then(serde_json::Value::as_i64).or_else(whole);
    UnixSecs(secs.unwrap_or(i64::MIN))
}

//! A device key is bound to a person by the provider's own signature: step 5, and the server's check at the
//! token exchange. Specification: `docs/spec/binding.md`.

use countersign_model::{Digest, ServerId, UnixSecs};

use super::vote::ReadVote;
use super::{Refusal, SKEW_SECS, StepId, Trust, TrustedOp};
use crate::check::Check;
use crate::documents::{Statement, step_up_nonce};
use crate::op_token::{
    AsOf, IdToken, KeyBinding, KeyRule, NonceRule, OpConfig, OpKeys, OpTokenError, Refreshed,
    peek_issuer, peek_nonce, verify_id_token,
};

/// A sign-in counts for a binding only if the person signed in at most so long before the token was issued.
pub const MAX_SIGN_IN_AGE_SECS: i64 = 300;

/// A binding statement, and the ID token that commits to it. Only [`verify_binding`] makes one.
#[derive(Debug, Clone)]
pub struct Binding {
    statement: Statement,
    id: Digest,
    id_token: IdToken,
    auth_time: UnixSecs,
}

impl Binding {
    /// What is bound.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// `H(cic)`.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The ID token of the sign-in.
    pub fn id_token(&self) -> &IdToken {
        &self.id_token
    }

    /// When the person signed in.
    pub fn auth_time(&self) -> UnixSecs {
        self.auth_time
    }

    /// When a full sign-in is needed again.
    pub fn session_ends_at(&self, session_secs: u32) -> UnixSecs {
        self.auth_time + i64::from(session_secs)
    }
}

/// Verifies that this provider commits to this statement (protocol, section 3). The server uses it at the token
/// exchange with [`AsOf::At`], and itself refuses tokens older than five minutes.
pub fn verify_binding(
    cic: &[u8],
    id_token: &str,
    server: &ServerId,
    config: &OpConfig,
    keys: &OpKeys,
    as_of: impl Into<AsOf>,
) -> Result<Binding, Refusal> {
    let statement = Statement::from_bytes(cic).map_err(|error| {
        refuse(
            "binding_unreadable",
            format!("The binding statement is refused: {error}."),
        )
    })?;
    Check::BindingServer.that(
        statement.aud == *server,
        "The binding is for another server.",
    )?;
    let nonce = statement.nonce();
    let key = match config.key_binding {
        KeyBinding::Accepted => KeyRule::IfBound(&statement.key),
        KeyBinding::Required => KeyRule::Bound(&statement.key),
        KeyBinding::Refused => KeyRule::Unbound,
    };
    let nonce = NonceRule::Exactly(&nonce);
    let id_token = verify_id_token(id_token, config, keys, as_of, nonce, key).map_err(|error| {
        refuse(
            code(&error),
            format!("The sign-in's ID token is refused: {error}."),
        )
    })?;
    let auth_time = fresh_sign_in(&id_token)?;
    Ok(Binding {
        id: Digest::of(cic),
        statement,
        id_token,
        auth_time,
    })
}

/// A silent single-sign-on answer never makes a key.
fn fresh_sign_in(id_token: &IdToken) -> Result<UnixSecs, Refusal> {
    Check::AuthTimeThere.that(
        id_token.auth_time.is_some(),
        "The provider does not say when the person signed in (`auth_time`).",
    )?;
    let auth_time = id_token.auth_time.unwrap_or(id_token.iat);
    Check::AuthTimeFresh.that(
        id_token.iat - auth_time <= MAX_SIGN_IN_AGE_SECS,
        "The person did not sign in anew for this binding.",
    )?;
    Check::AuthTimeNotFuture.that(
        auth_time <= id_token.iat + SKEW_SECS,
        "The sign-in's time lies after its token's.",
    )?;
    Ok(auth_time)
}

/// Verifies a newer ID token of the same person: evidence of current claims only (protocol, section 3).
pub fn verify_claims_token(
    token: &str,
    binding: &Binding,
    config: &OpConfig,
    keys: &OpKeys,
    as_of: impl Into<AsOf>,
) -> Result<IdToken, Refusal> {
    let nonce = binding.statement.nonce();
    let rule = match config.refreshed {
        Refreshed::RepeatsNonce => NonceRule::Exactly(&nonce),
        Refreshed::MayLackNonce => NonceRule::ExactlyOrAbsent(&nonce),
    };
    newer_claims(
        token,
        (rule, refreshed_key(binding)),
        binding,
        config,
        keys,
        as_of.into(),
    )
}

/// What a refresh gives is bound as the sign-in's token is (Key Binding, section 5).
fn refreshed_key(binding: &Binding) -> KeyRule<'_> {
    if binding.id_token.bound {
        KeyRule::Bound(&binding.statement.key)
    } else {
        KeyRule::Unbound
    }
}

/// The same of a token that comes with a vote: it may also be the answer to a sign-in for this very vote.
pub(super) fn claims_with_vote(
    token: &str,
    vote_jws: &str,
    binding: &Binding,
    config: &OpConfig,
    keys: &OpKeys,
    as_of: AsOf,
) -> Result<IdToken, Refusal> {
    let nonce = step_up_nonce(vote_jws);
    if peek_nonce(token).as_deref() == Some(&*nonce) {
        newer_claims(
            token,
            // The sign-in for one vote asks for no binding: its nonce names the vote.
            (NonceRule::Exactly(&nonce), KeyRule::Unbound),
            binding,
            config,
            keys,
            as_of,
        )
    } else {
        verify_claims_token(token, binding, config, keys, as_of)
    }
}

fn newer_claims(
    token: &str,
    (nonce, key): (NonceRule<'_>, KeyRule<'_>),
    binding: &Binding,
    config: &OpConfig,
    keys: &OpKeys,
    as_of: AsOf,
) -> Result<IdToken, Refusal> {
    let refuse = |code, sentence: String| Refusal::new(StepId::People, code, sentence);
    let newer = verify_id_token(token, config, keys, as_of, nonce, key).map_err(|error| {
        refuse(
            "claims_token_refused",
            format!("The newer ID token is refused: {error}."),
        )
    })?;
    Check::ClaimsSubject.that(
        newer.subject == binding.id_token.subject,
        "The newer ID token is about somebody else.",
    )?;
    Check::ClaimsNewer.that(
        newer.iat >= binding.id_token.iat - SKEW_SECS,
        "The newer ID token is older than the sign-in's.",
    )?;
    Ok(newer)
}

/// What step 5 found for one vote.
pub(super) enum Bound<'t> {
    /// The provider commits to the key.
    Proven {
        binding: Box<Binding>,
        op: &'t TrustedOp,
        keys: &'t OpKeys,
        ends_at: UnixSecs,
    },
    /// This verifier was not given what it takes.
    Lacking {
        code: &'static str,
        sentence: &'static str,
    },
}

impl<'t> Bound<'t> {
    pub(super) fn auth_time(&self) -> Option<UnixSecs> {
        match self {
            Self::Proven { binding, .. } => Some(binding.auth_time),
            Self::Lacking { .. } => None,
        }
    }

    pub(super) fn lacking(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Proven { .. } => None,
            Self::Lacking { code, sentence } => Some((code, sentence)),
        }
    }

    pub(super) fn told(&self) -> String {
        match self {
            Self::Proven {
                binding, ends_at, ..
            } => {
                let Binding {
                    id_token: IdToken { subject, .. },
                    auth_time,
                    ..
                } = binding.as_ref();
                let (iss, sub) = (&subject.iss, &subject.sub);
                let twice = if binding.id_token.bound {
                    ", by the nonce and by the key itself"
                } else {
                    ""
                };
                format!(
                    "{iss} bound {sub}'s key{twice}; signed in on {}, good until {}.",
                    auth_time.utc(),
                    ends_at.utc()
                )
            }
            Self::Lacking { sentence, .. } => (*sentence).to_owned(),
        }
    }
}

/// Step 5 for one vote.
pub(super) fn bound<'t>(
    read: &ReadVote,
    trust: Option<&'t Trust<'t>>,
    now: UnixSecs,
) -> Result<Bound<'t>, Refusal> {
    let Some(id_token) = &read.id_token else {
        return Ok(Bound::Lacking {
            code: "id_token_missing",
            sentence: "This verifier was not given the voters' ID tokens.",
        });
    };
    let issuer = peek_issuer(id_token).map_err(|error| {
        refuse(
            code(&error),
            format!("The sign-in's ID token is refused: {error}."),
        )
    })?;
    Check::Voter.that(
        issuer == read.vote.sub_id.iss.as_str(),
        "A vote's ID token is from another provider than the vote names.",
    )?;
    let Some(trust) = trust else {
        if peek_nonce(id_token).as_deref() != Some(&read.statement.nonce()) {
            return Err(refuse(
                "binding_nonce",
                "The sign-in's ID token does not commit to the vote's key.",
            ));
        }
        return Ok(Bound::Lacking {
            code: "trust_missing",
            sentence: "Which providers and keys to trust was not given.",
        });
    };
    let op = trust
        .ops
        .iter()
        .find(|op| op.config.issuer.as_str() == issuer)
        .ok_or_else(|| {
            refuse(
                "op_not_trusted",
                format!(
                    "The provider `{}` is not trusted here.",
                    read.vote.sub_id.iss
                ),
            )
        })?;
    let Some(keys) = &op.keys else {
        return Ok(Bound::Lacking {
            code: "op_keys_missing",
            sentence: "The provider's keys were not given to this verifier.",
        });
    };
    let as_of = AsOf::Issue { now };
    // Step 2 has compared the statement's server with the request's, and that with mine.
    let server = &read.statement.aud;
    let binding = verify_binding(&read.cic, id_token, server, &op.config, keys, as_of)?;
    let ends_at = binding.session_ends_at(trust.session_secs);
    Check::Voter.that(
        binding.id_token.subject == read.vote.sub_id,
        "A vote names another person than its ID token.",
    )?;
    Check::SessionLasts.that(
        read.vote.iat <= ends_at,
        "A vote was cast after its binding's session ended.",
    )?;
    Check::VoteAfterBinding.that(
        read.vote.iat >= binding.id_token.iat - SKEW_SECS,
        "A vote is older than its binding.",
    )?;
    Ok(Bound::Proven {
        binding: Box::new(binding),
        op,
        keys,
        ends_at,
    })
}

fn code(error: &OpTokenError) -> &'static str {
    match error {
        OpTokenError::UnknownKey(_) => "binding_key_unknown",
        OpTokenError::Signature => "binding_signature",
        OpTokenError::Audience => "binding_audience",
        OpTokenError::Nonce => "binding_nonce",
        OpTokenError::OtherKey => "binding_other_key",
        OpTokenError::NotBound => "binding_not_bound",
        OpTokenError::Malformed
        | OpTokenError::Alg(_)
        | OpTokenError::Header(_)
        | OpTokenError::Typ
        | OpTokenError::Issuer
        | OpTokenError::Expired
        | OpTokenError::Future
        | OpTokenError::Claim(_)
        | OpTokenError::Foreign(_)
        | OpTokenError::ApproverClient
        | OpTokenError::Confirmation
        | OpTokenError::Bound
        | OpTokenError::Role(_)
        | OpTokenError::Keys(_) => error.code(),
    }
}

fn refuse(code: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(StepId::Bindings, code, sentence)
}

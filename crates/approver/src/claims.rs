//! Current claims of the signed-in person: a newer ID token by the refresh token, where the provider gives
//! one. Evidence for claims only; the key's evidence stays the sign-in's own ID token.

use std::sync::Arc;

use countersign_api::ipc::{Problem, ProblemCode};
use countersign_evidence::op_token::OpConfig;
use countersign_model::UnixSecs;
use countersign_oidc::{BoundSignIn, OidcError, Provider, refresh_claims};

use crate::problem::{of_oidc, problem};

/// Claims are made newer when they have fewer than this many seconds left at the vote.
const MARGIN_SECS: i64 = 20;

/// What is known of the person's claims.
#[derive(Debug)]
pub(crate) struct Claims {
    /// When the newest token was issued.
    pub(crate) iat: UnixSecs,
    /// The newest token, where it is not the sign-in's.
    pub(crate) token: Option<String>,
    /// For newer ones.
    pub(crate) refresh_token: Option<String>,
}

/// Whom to ask.
pub(crate) struct Source<'a> {
    pub(crate) provider: &'a Arc<Provider>,
    pub(crate) config: &'a OpConfig,
    /// Of the sign-in.
    pub(crate) nonce: &'a str,
    /// How it was bound to the device key.
    pub(crate) bound: BoundSignIn<'a>,
    pub(crate) sub: &'a str,
    /// By its name for people.
    pub(crate) name: &'a str,
}

impl Claims {
    /// Makes sure that the claims are at most `fresh_secs` old now. Whatever comes of it, the refresh token may be
    /// another one afterwards: the old one is used up then, and the caller keeps the new one.
    ///
    /// # Errors
    /// In words for the person, when they are older and the provider gives no newer ones without a sign-in.
    pub(crate) async fn freshen(
        &mut self,
        source: &Source<'_>,
        fresh_secs: u32,
        now: UnixSecs,
    ) -> Result<(), Problem> {
        let good_until = self.iat + i64::from(fresh_secs);
        if now + MARGIN_SECS < good_until {
            return Ok(());
        }
        let Some(refresh_token) = self.refresh_token.clone() else {
            return too_old(source, good_until, fresh_secs, now);
        };
        let (nonce, bound) = (source.nonce, source.bound);
        match refresh_claims(source.provider, source.config, &refresh_token, nonce, bound).await {
            Ok(refreshed) => {
                self.refresh_token = Some(refreshed.refresh_token);
                match refreshed.id_token {
                    Ok(Some((compact, read))) if read.subject.sub == source.sub => {
                        self.iat = read.iat;
                        self.token = Some(compact);
                        Ok(())
                    }
                    Ok(Some(_)) => Err(problem(
                        ProblemCode::Other,
                        "The identity provider answered with somebody else's claims. Sign out and sign in again.",
                    )),
                    Ok(None) => too_old(source, good_until, fresh_secs, now),
                    Err(error) => still_good(&error, good_until, now),
                }
            }
            // RFC 6749, 5.2. Any other code says that the provider cannot now, and the token may be good later.
            Err(OidcError::Refused { code }) if code == "invalid_grant" => {
                tracing::info!("the refresh token is no good any more");
                self.refresh_token = None;
                too_old(source, good_until, fresh_secs, now)
            }
            Err(error) => still_good(&error, good_until, now),
        }
    }
}

fn too_old(
    source: &Source<'_>,
    good_until: UnixSecs,
    fresh_secs: u32,
    now: UnixSecs,
) -> Result<(), Problem> {
    if now <= good_until {
        return Ok(());
    }
    let (minutes, name) = (fresh_secs.div_ceil(60), source.name);
    Err(problem(
        ProblemCode::SignedOut,
        format!(
            "The policy wants what {name} says about you to be at most {minutes} minutes old, and {name} gives nothing newer without a sign-in. Sign in again, then vote."
        ),
    ))
}

/// A refresh that failed costs nothing while the claims that are there are fresh enough.
fn still_good(error: &OidcError, good_until: UnixSecs, now: UnixSecs) -> Result<(), Problem> {
    if now <= good_until {
        tracing::warn!(
            code = error.code(),
            "claims not refreshed; they are still fresh enough"
        );
        Ok(())
    } else {
        Err(of_oidc(error))
    }
}

//! What a provider says outside any sign-in: sessions are over (OpenID CAEP and RISC, back-channel logout).
//!
//! Bindings of sign-ins up to then are revoked, streams close, votes that are not yet redeemed are void, and a
//! sign-in has to be later (protocol, section 8). All of it is durable before the provider is answered.

use std::collections::BTreeSet;

use countersign_api::stream::ServerBody;
use countersign_evidence::op_token::{
    EventRules, OpTokenError, Says, Whose, verify_logout_token, verify_security_event,
};
use countersign_model::{Digest, Issuer, Subject, UnixSecs};
use countersign_store::{BindingRow, Conflict, SpentKind, Tx, Write};
use serde_json::json;

use super::change::{entry_of, publish};
use super::{App, TrustedProvider};
use crate::refused::Refused;

/// How long a provider's word is known as said, in seconds. Later it ends nothing more either: what ends is up to
/// the time that it was issued.
const REMEMBER_SECS: i64 = 30 * 24 * 3600;

/// Why a provider's word is not taken.
#[derive(Debug)]
pub(crate) enum Unheard {
    /// The token is no good.
    Token(OpTokenError),
    /// It cannot be checked or kept now.
    Now(Refused),
}

impl From<OpTokenError> for Unheard {
    fn from(error: OpTokenError) -> Unheard {
        Unheard::Token(error)
    }
}

impl From<Refused> for Unheard {
    fn from(refused: Refused) -> Unheard {
        Unheard::Now(refused)
    }
}

/// Whose sessions end, by whose word.
struct SignOut<'a> {
    issuer: &'a Issuer,
    whose: Whose,
    event: &'static str,
    jti: String,
    iat: UnixSecs,
}

impl App {
    /// A logout token of this provider. The same again is the same answer.
    pub(crate) async fn logged_out(
        &self,
        provider: &TrustedProvider,
        token: &str,
    ) -> Result<(), Unheard> {
        let config = &provider.config.op;
        let keys = self.keys_for(provider, &[token]).await?;
        let token = verify_logout_token(token, config, &keys.current, self.now())?;
        let sign_out = SignOut {
            issuer: &config.issuer,
            whose: token.whose,
            event: "backchannel-logout",
            jti: token.jti,
            iat: token.iat,
        };
        Ok(self.sign_out(sign_out).await?)
    }

    /// A security event of this provider. The same again is the same answer.
    pub(crate) async fn security_event(
        &self,
        provider: &TrustedProvider,
        token: &str,
    ) -> Result<(), Unheard> {
        let config = &provider.config.op;
        let keys = self.keys_for(provider, &[token]).await?;
        let audience = &provider.config.events_audience;
        let rules = EventRules {
            transmitter: &config.issuer,
            audience: audience
                .as_deref()
                .unwrap_or(self.config.public_url.as_str()),
            speaks_of: &config.issuer,
            algorithms: &config.algorithms,
        };
        let event = verify_security_event(token, &rules, &keys.current, self.now())?;
        match event.says {
            Says::SignedOut { event: name, whose } => {
                let sign_out = SignOut {
                    issuer: &config.issuer,
                    whose,
                    event: name,
                    jti: event.jti,
                    iat: event.iat,
                };
                self.sign_out(sign_out).await?;
            }
            Says::Else => {
                tracing::info!(issuer = %config.issuer, "a security event ends nothing here")
            }
        }
        Ok(())
    }

    async fn sign_out(&self, sign_out: SignOut<'_>) -> Result<(), Refused> {
        let SignOut {
            issuer,
            whose,
            event,
            jti,
            iat,
        } = sign_out;
        let now = self.now();
        let people = self.people_of(issuer, &whose).await?;
        let mut tx = Tx::new();
        tx.push(Write::Spend {
            kind: SpentKind::SecurityEvent,
            value: format!("{issuer} {jti}"),
            until: now + REMEMBER_SECS,
        });
        let detail = json!({
            "event": event, "provider": issuer.as_str(), "jti": Digest::of(jti.as_bytes()).to_string(), "iat": iat.0,
        });
        tx.push(entry_of(now, None, "signed-out", &detail));
        for person in &people {
            for row in self.store.bindings_of(person, now).await? {
                if !ends(&row, &whose, iat) {
                    continue;
                }
                let body = ServerBody::BindingRevoked {
                    binding_id: row.id.to_string(),
                };
                tx.push(publish(now, None, Some(person), &body));
            }
            tx.push(Write::RevokeBindings {
                person: person.clone(),
                signed_in_until: iat,
                sid: whose.sid.clone(),
                at: now,
            });
            tx.push(Write::RevokePerson {
                person: person.clone(),
                at: iat,
            });
        }
        match self.commit(tx).await? {
            // Said before: what ended then has ended.
            Ok(()) | Err(Conflict::Spent(_)) => {}
            Err(_) => return Err(App::contended()),
        }
        for person in &people {
            self.close_streams(person).await?;
        }
        // CRASH: between the revocation and this, the job finds what is left; meanwhile nothing of it redeems.
        self.void_revoked().await
    }

    /// Whom it is about. A session that no device came from is nobody's.
    async fn people_of(
        &self,
        issuer: &Issuer,
        whose: &Whose,
    ) -> Result<BTreeSet<Subject>, Refused> {
        let Whose { subject, sid } = whose;
        if let Some(subject) = subject {
            return Ok(BTreeSet::from([subject.clone()]));
        }
        let Some(sid) = sid else {
            return Ok(BTreeSet::new());
        };
        let found = self.store.bindings_of_session(sid).await?;
        Ok(found
            .into_iter()
            .map(|row| row.person)
            .filter(|person| person.iss == *issuer)
            .collect())
    }

    /// Closes the streams of a person's devices that are revoked.
    async fn close_streams(&self, person: &Subject) -> Result<(), Refused> {
        for id in self.sockets.bindings_of(person) {
            let revoked = self
                .store
                .binding(id)
                .await?
                .is_none_or(|row| row.revoked_at.is_some());
            if revoked {
                self.sockets.revoked(id);
            }
        }
        Ok(())
    }
}

/// Whether a device's session is among those that end: as the store decides it too.
fn ends(row: &BindingRow, whose: &Whose, iat: UnixSecs) -> bool {
    let spared = match (&row.sid, &whose.sid) {
        (Some(known), Some(named)) => known != named,
        (None, _) | (_, None) => false,
    };
    row.auth_time <= iat && !spared
}

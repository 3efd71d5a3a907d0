//! What tests do to the provider behind its back, by the door that `op/control.mjs` opens: what an administrator, a
//! directory, a clock or a power cut would do.

use anyhow::{Context, Result};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::canaille::Canaille;
use crate::person;
use crate::provider::Op;

/// Where CAEP events are named.
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";

impl Op {
    /// Puts a person into these groups and no others, from now on.
    ///
    /// # Errors
    /// When the provider does not answer; as for all of these.
    pub async fn set_groups(&self, sub: &str, groups: &[&str]) -> Result<()> {
        let wish = json!({ "groups": groups });
        ask(&self.control, Method::PUT, &format!("people/{sub}"), wish)
            .await
            .map(drop)
    }

    /// Sets claims of a person over the usual ones, whatever their shape.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_claims(&self, sub: &str, claims: Value) -> Result<()> {
        let wish = json!({ "claims": claims });
        ask(&self.control, Method::PUT, &format!("people/{sub}"), wish)
            .await
            .map(drop)
    }

    /// What it does, from now on, about binding sign-ins to a key: `none`, `honest`, or `promised`, which is to say so and
    /// not do it.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_binding(&self, way: &str) -> Result<()> {
        let wish = json!({ "way": way });
        ask(&self.control, Method::PUT, "binding", wish)
            .await
            .map(drop)
    }

    /// What it says, from now on, of a program that asks in its own name.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_program_claims(&self, client_id: &str, claims: Value) -> Result<()> {
        let wish = json!({ "claims": claims });
        let what = format!("programs/{client_id}");
        ask(&self.control, Method::PUT, &what, wish).await.map(drop)
    }

    /// How far the provider's clock is ahead.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_clock(&self, secs: i64) -> Result<()> {
        ask(&self.control, Method::PUT, "clock", json!({ "secs": secs }))
            .await
            .map(drop)
    }

    /// What it does not honor from now on: `acr`, `sub`. Many providers honor neither.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn ignore(&self, what: &[&str]) -> Result<()> {
        let wish = json!({ "ignores": what });
        ask(&self.control, Method::PUT, "behavior", wish)
            .await
            .map(drop)
    }

    /// Nobody can reach it, until it is up again.
    ///
    /// # Errors
    /// When its door does not answer.
    pub async fn set_down(&self, down: bool) -> Result<()> {
        ask(&self.control, Method::PUT, "down", json!({ "down": down }))
            .await
            .map(drop)
    }

    /// A new signing key in place of the old one, which is gone at once.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn rotate_keys(&self) -> Result<()> {
        ask(&self.control, Method::POST, "keys", json!({}))
            .await
            .map(drop)
    }

    /// Signs a person out everywhere, and tells a server so by back-channel logout, where one is named.
    ///
    /// # Errors
    /// When the provider does not answer, or the server refuses the logout token.
    pub async fn sign_out(&self, sub: &str, tell: Option<&str>) -> Result<()> {
        let wish = json!({ "tell": tell });
        ask(
            &self.control,
            Method::DELETE,
            &format!("sessions/{sub}"),
            wish,
        )
        .await
        .map(drop)
    }

    /// Signs a security event token with the provider's key and pushes it (RFC 8935): status and body of the answer.
    ///
    /// # Errors
    /// When the provider does not answer, or cannot reach the receiver.
    pub async fn push(&self, to: &str, header: Value, claims: Value) -> Result<(u16, String)> {
        let wish = json!({ "to": to, "header": header, "claims": claims });
        let answer: Value = ask(&self.control, Method::POST, "events", wish)
            .await?
            .json()
            .await
            .context("read the receiver's answer")?;
        let status = answer["status"].as_u64().context("read the status")?;
        let body = answer["body"].as_str().unwrap_or_default().to_owned();
        Ok((u16::try_from(status).context("read the status")?, body))
    }

    /// The claims of a CAEP event about one of this provider's people, for [`Op::push`].
    #[must_use]
    pub fn caep(&self, audience: &str, event: &str, sub: &str, at: i64) -> Value {
        let mut events = serde_json::Map::new();
        events.insert(format!("{CAEP}/{event}"), json!({ "event_timestamp": at }));
        json!({
            "aud": audience,
            "sub_id": { "format": "iss_sub", "iss": self.issuer, "sub": sub },
            "events": events,
        })
    }

    /// The authorization requests so far, as the provider understood them.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn asked(&self) -> Result<Vec<Value>> {
        let answer = ask(&self.control, Method::GET, "asked", Value::Null).await?;
        answer.json().await.context("read what was asked")
    }
}

impl Canaille {
    /// Puts a person into these groups and no others, from now on.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_groups(&self, sub: &str, groups: &[&str]) -> Result<()> {
        let wish = json!({ "groups": groups });
        ask(&self.control, Method::PUT, &format!("people/{sub}"), wish)
            .await
            .map(drop)
    }
}

async fn ask(door: &str, method: Method, what: &str, wish: Value) -> Result<Response> {
    let mut request = person::client()?.request(method, format!("{door}/{what}"));
    if !wish.is_null() {
        request = request.body(wish.to_string());
    }
    request
        .send()
        .await
        .and_then(Response::error_for_status)
        .with_context(|| format!("ask the provider's door for `{what}`"))
}

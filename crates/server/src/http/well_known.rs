//! What the server says about itself, and whether it is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use countersign_api::http::{
    Endpoints, Keys, PepKey, ProviderKeyBinding, ProviderStepUp, WellKnown, WellKnownProvider,
};
use countersign_evidence::op_token::{AcrClaim, KeyBinding, OpRole, OpStepUp};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::app::App;

/// The vocabulary's version.
const VERSION: u32 = 1;

/// It runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// It can serve: the store answers.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.store
        .ready()
        .await
        .map_err(crate::refused::Refused::from)?;
    Ok("ready\n")
}

/// AuthZEN's metadata, with ARAP's capability.
pub(crate) async fn authzen(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "policy_decision_point": app.config.public_url.as_str(),
        "access_evaluation_endpoint": app.url("/access/v1/evaluation"),
        "access_evaluations_endpoint": app.url("/access/v1/evaluations"),
        "access_request_endpoint": app.url("/access/v1/requests"),
        "capabilities": ["access_request"],
    }))
}

/// For approvers' agents.
pub(crate) async fn countersign(State(app): State<Arc<App>>) -> Json<WellKnown> {
    let providers = app
        .config
        .providers
        .iter()
        .filter(|it| it.op.roles.contains(&OpRole::Approver))
        .map(|it| WellKnownProvider {
            issuer: it.op.issuer.to_string(),
            client_id: it.op.client_id.clone(),
            scopes: it.scopes.clone(),
            name: it.name.clone(),
            redirect_path: it.redirect_path.clone(),
            redirect_ports: it.redirect_ports.clone(),
            step_up: match it.op.step_up {
                OpStepUp::Oidc => ProviderStepUp::Oidc,
                OpStepUp::None { .. } => ProviderStepUp::None,
            },
            acr_claim: match it.op.acr_claim {
                AcrClaim::Acr => "acr".to_owned(),
                AcrClaim::Acrs => "acrs".to_owned(),
            },
            key_binding: match it.op.key_binding {
                KeyBinding::Accepted => ProviderKeyBinding::Accepted,
                KeyBinding::Required => ProviderKeyBinding::Required,
                KeyBinding::Refused => ProviderKeyBinding::Refused,
            },
        })
        .collect();
    let stream = app.url(crate::stream::PATH);
    Json(WellKnown {
        server: app.config.public_url.to_string(),
        providers,
        endpoints: Endpoints {
            nonce: app.url("/oauth/nonce"),
            token: app.url("/oauth/token"),
            requests: app.url("/approver/v1/requests"),
            history: app.url("/approver/v1/history"),
            bindings: app.url("/approver/v1/bindings"),
            claims: app.url("/approver/v1/claims"),
            absence: app.url("/approver/v1/absence"),
            colleagues: app.url("/approver/v1/colleagues"),
            stream: match stream.strip_prefix("http") {
                Some(rest) => format!("ws{rest}"),
                None => stream,
            },
        },
        jwks_uri: app.url("/.well-known/jwks.json"),
        version: VERSION,
    })
}

/// The server's keys and the registered gates'.
pub(crate) async fn keys(State(app): State<Arc<App>>) -> Json<Keys> {
    Json(Keys {
        server: vec![app.secrets.rk.public().to_jwk()],
        peps: app
            .config
            .peps
            .iter()
            .map(|pep| PepKey {
                pep: pep.id.to_string(),
                jwk: pep.key.to_jwk(),
            })
            .collect(),
    })
}

/// The server's keys as a JWK set (RFC 7517), with what stock clients expect to find.
pub(crate) async fn jwks(State(app): State<Arc<App>>) -> Json<Value> {
    let key = app.secrets.rk.public();
    let mut jwk = key.to_jwk();
    jwk["kid"] = json!(key.thumbprint());
    jwk["alg"] = json!(key.alg().as_str());
    jwk["use"] = json!("sig");
    Json(json!({ "keys": [jwk] }))
}

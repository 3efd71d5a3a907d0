//! The provider: its self-description, its keys, its tokens, as the test says.

use super::*;

pub(crate) async fn discovery(State(server): State<App>) -> Json<Value> {
    let issuer = format!("{}/op", server.id);
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
    }))
}

pub(crate) async fn jwks(State(server): State<App>) -> Json<Value> {
    let mut jwk = server.op.public().to_jwk();
    jwk["kid"] = server.op.public().thumbprint().into();
    Json(json!({"keys": [jwk]}))
}

pub(crate) async fn op_token(
    State(server): State<App>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let does = server.does.lock().unwrap();
    if form["grant_type"] == "refresh_token" {
        server.seen.lock().unwrap().refreshes += 1;
        if !does.refreshes {
            return (
                StatusCode::BAD_REQUEST,
                Json(json!({"error": "invalid_grant"})),
            )
                .into_response();
        }
    }
    if does.provider_down {
        return error(503);
    }
    let now = server.clock.now().0 + does.ahead_secs;
    let by_code = form["grant_type"] == "authorization_code";
    let nonce = if by_code {
        &does.nonce
    } else {
        &does.first_nonce
    };
    let issuer = format!("{}/op", server.id);
    let mut claims = json!({
        "iss": issuer, "sub": "elin", "aud": "approver", "iat": now, "exp": now + 3600,
        "auth_time": now - 5, "nonce": nonce, "name": "Elin Holm", "groups": ["dba"],
    });
    let asked = server.seen.lock().unwrap().asked.clone();
    let mut access_token = "x".to_owned();
    if let Some(resource) = asked.get("resource").filter(|_| by_code) {
        let scope = asked["scope"].replace("openid ", "");
        let consent = json!({
            "iss": issuer, "sub": "elin", "aud": resource, "client_id": "approver", "jti": "1", "iat": now,
            "exp": now + 600, "scope": scope,
        });
        access_token = countersign_evidence::jose::sign(&server.op, "at+jwt", &consent);
        use sha2::Digest as _;
        let hash = sha2::Sha512::digest(&access_token);
        claims["at_hash"] = b64u(&hash[..32]).into();
    }
    if let Some(changed) = does.claims.as_object().filter(|_| by_code) {
        for (name, value) in changed {
            claims[name] = value.clone();
        }
    }
    let id_token = countersign_evidence::jose::sign(&server.op, "JWT", &claims);
    Json(json!({"access_token": access_token, "token_type": "Bearer", "id_token": id_token, "refresh_token": format!("r{}", server.seen.lock().unwrap().refreshes)})).into_response()
}

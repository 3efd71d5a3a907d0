//! Sign-ins that the provider binds to the device key (OpenID Connect Key Binding 1.0), and providers that say so and
//! do something else. (A real provider that does it is driven in the workspace's `tests/`.)

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use countersign_evidence::op_token::{KeyBinding, OpConfig};
use countersign_evidence::{Alg, SecretKey, jose};
use countersign_model::{Clock, Digest, Issuer, UnixSecs, b64u_decode};
use countersign_oidc::{
    BoundSignIn, OidcError, Opener, Provider, SignInRequest, SignedIn, refresh_claims, sign_in,
};
use serde_json::{Value, json};
use url::Url;

/// The real time: hyper's `Date` is it too.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixSecs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        UnixSecs(i64::try_from(since.as_secs()).unwrap())
    }
}

/// For the key that it was asked to bind: the type and the `cnf` of the ID token.
type Binds = fn(&Value) -> (&'static str, Option<Value>);

/// What the provider does; by default what the draft says.
struct Manners {
    scopes: Value,
    algorithms: Value,
    /// What it grants; as asked for where it says nothing.
    granted: Option<&'static str>,
    /// Header `typ` and claim `cnf` of the ID token, of the key in the proof.
    id_token: Binds,
}

fn as_the_draft_says(jwk: &Value) -> (&'static str, Option<Value>) {
    ("dpop+id_token", Some(json!({ "jwk": jwk })))
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            scopes: json!(["openid", "bound_key"]),
            algorithms: json!(["ES256", "Ed25519"]),
            granted: None,
            id_token: as_the_draft_says,
        }
    }
}

struct Op {
    manners: Manners,
    issuer: String,
    key: SecretKey,
    /// The authorization request.
    asked: Mutex<HashMap<String, String>>,
    /// Payloads of the proofs at the token endpoint.
    proofs: Mutex<Vec<Value>>,
}

fn part(token: &str, n: usize) -> Value {
    let bytes = b64u_decode(token.split('.').nth(n).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn discovery(State(op): State<Arc<Op>>) -> Response {
    let issuer = &op.issuer;
    axum::Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
        "scopes_supported": op.manners.scopes,
        "dpop_signing_alg_values_supported": op.manners.algorithms,
    }))
    .into_response()
}

async fn jwks(State(op): State<Arc<Op>>) -> Response {
    let mut jwk = op.key.public().to_jwk();
    jwk["kid"] = op.key.public().thumbprint().into();
    axum::Json(json!({"keys": [jwk]})).into_response()
}

/// Refuses a proof as the draft has a provider do.
fn proof_of(op: &Op, headers: &HeaderMap, form: &HashMap<String, String>) -> Result<Value, ()> {
    let asked = op.asked.lock().unwrap();
    let Some(proof) = headers.get("dpop") else {
        return if asked.contains_key("dpop_jkt") {
            Err(())
        } else {
            Ok(Value::Null)
        };
    };
    let proof = proof.to_str().unwrap();
    let (jwk, payload) = (part(proof, 0)["jwk"].clone(), part(proof, 1));
    op.proofs.lock().unwrap().push(payload.clone());
    let key = countersign_evidence::PublicKey::from_jwk(&jwk).unwrap();
    let hash = |code: &String| Digest::of(code.as_bytes()).to_string();
    let names_code = payload["c_s256"].as_str().map(str::to_owned) == form.get("code").map(hash);
    let same_key = asked.get("dpop_jkt") == Some(&key.thumbprint());
    (names_code && same_key).then_some(jwk).ok_or(())
}

async fn token(
    State(op): State<Arc<Op>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let Ok(jwk) = proof_of(&op, &headers, &form) else {
        let error = json!({"error": "invalid_dpop_proof"});
        return (StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
    };
    let now = Now.now().0;
    let nonce = op.asked.lock().unwrap()["nonce"].clone();
    let mut claims = json!({
        "iss": op.issuer, "sub": "elin", "aud": "approver", "nonce": nonce,
        "iat": now, "exp": now + 300, "auth_time": now - 5,
    });
    let (typ, cnf) = if jwk.is_null() {
        ("JWT", None)
    } else {
        (op.manners.id_token)(&jwk)
    };
    if let Some(cnf) = cnf {
        claims["cnf"] = cnf;
    }
    let mut answer = json!({
        "access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "refresh_token": "again",
        "id_token": jose::sign(&op.key, typ, &claims),
    });
    if let Some(granted) = op.manners.granted {
        answer["scope"] = granted.into();
    }
    axum::Json(answer).into_response()
}

async fn start(manners: Manners) -> (Arc<Op>, Arc<Provider>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let op = Arc::new(Op {
        manners,
        issuer: issuer.clone(),
        key: SecretKey::generate([1; 32]),
        asked: Mutex::default(),
        proofs: Mutex::default(),
    });
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/token", post(token))
        .with_state(Arc::clone(&op));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let provider = Provider::new(Issuer::parse(&issuer).unwrap(), Arc::new(Now)).unwrap();
    (op, Arc::new(provider))
}

/// A browser in which the person says yes at once.
struct Browser(Arc<Op>);

impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let back = format!(
            "{}?code=c0de&state={}",
            asked["redirect_uri"], asked["state"]
        );
        *self.0.asked.lock().unwrap() = asked;
        tokio::spawn(async move { reqwest::get(back).await.unwrap() });
        Ok(())
    }
}

/// As the approver's program does it.
async fn signed_in(
    manners: Manners,
    key_binding: KeyBinding,
) -> (Arc<Op>, Arc<Provider>, Result<SignedIn, OidcError>) {
    let (op, provider) = start(manners).await;
    let mut config = OpConfig::new(provider.issuer().clone(), "approver");
    config.key_binding = key_binding;
    config.algorithms = vec!["Ed25519".to_owned()];
    let binds = match provider.binds_keys(&config).await {
        Ok(binds) => binds,
        Err(error) => return (op, provider, Err(error)),
    };
    let request = SignInRequest {
        config,
        scopes: vec!["openid".to_owned()],
        redirect_path: "/callback".to_owned(),
        nonce: "the-commitment".to_owned(),
        ports: vec![0],
        bound_key: binds.map(device),
    };
    let done = sign_in(&provider, &request, &Browser(Arc::clone(&op)), &|_| ()).await;
    (op, provider, done)
}

fn device(alg: Alg) -> SecretKey {
    match alg {
        Alg::Ed25519 => SecretKey::generate([9; 32]),
        Alg::Es256 => SecretKey::generate_es256([9; 32]),
    }
}

async fn code(manners: Manners) -> &'static str {
    let (_, _, done) = signed_in(manners, KeyBinding::Accepted).await;
    done.unwrap_err().code()
}

#[tokio::test]
async fn a_provider_that_binds_keys_is_asked_to_and_does() {
    for (algorithms, alg) in [
        (json!(["ES256", "Ed25519"]), Alg::Ed25519),
        (json!(["ES256"]), Alg::Es256),
    ] {
        let manners = Manners {
            algorithms,
            ..Manners::default()
        };
        let (op, provider, done) = signed_in(manners, KeyBinding::Accepted).await;
        let signed_in = done.unwrap();
        assert!(signed_in.person.bound);
        let asked = op.asked.lock().unwrap().clone();
        assert_eq!(asked["scope"], "openid bound_key");
        assert_eq!(asked["dpop_jkt"], device(alg).public().thumbprint());
        assert_eq!(asked["nonce"], "the-commitment", "beside it, not instead");
        let proof = op.proofs.lock().unwrap()[0].clone();
        assert_eq!(proof["c_s256"], Digest::of(b"c0de").to_string());
        // A refresh proves the same key, names no code, and gives what is bound to it.
        let config = OpConfig {
            algorithms: vec!["Ed25519".to_owned()],
            ..OpConfig::new(provider.issuer().clone(), "approver")
        };
        let key = device(alg);
        let bound = BoundSignIn::IdToken(&key);
        let again = refresh_claims(&provider, &config, "again", "the-commitment", bound).await;
        let (_, person) = again.unwrap().id_token.unwrap().unwrap();
        assert!(person.bound);
        assert_eq!(op.proofs.lock().unwrap()[1].get("c_s256"), None);
        // Without the proof it is refused, as a thief's would be.
        let bound = BoundSignIn::No;
        let refused = refresh_claims(&provider, &config, "again", "the-commitment", bound).await;
        assert_eq!(refused.unwrap_err().code(), "provider_refused");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_say_so_is_not_asked() {
    let manners = || Manners {
        scopes: json!(["openid"]),
        ..Manners::default()
    };
    let (op, _, done) = signed_in(manners(), KeyBinding::Accepted).await;
    assert!(!done.unwrap().person.bound);
    let asked = op.asked.lock().unwrap().clone();
    assert_eq!(asked["scope"], "openid");
    assert!(!asked.contains_key("dpop_jkt"));
    // Where the server wants it, that is said before any browser opens.
    let (op, _, done) = signed_in(manners(), KeyBinding::Required).await;
    assert_eq!(done.unwrap_err().code(), "not_bound");
    assert!(op.asked.lock().unwrap().is_empty());
    // And one that says so is not asked where nobody wants it.
    let (op, _, done) = signed_in(Manners::default(), KeyBinding::Refused).await;
    assert!(!done.unwrap().person.bound);
    assert_eq!(op.asked.lock().unwrap()["scope"], "openid");
}

#[tokio::test]
async fn a_provider_that_says_so_and_does_not_do_it_is_refused() {
    let plain = |_: &Value| ("JWT", None);
    let unbound = |granted| Manners {
        id_token: plain,
        granted,
        ..Manners::default()
    };
    assert_eq!(code(unbound(None)).await, "not_bound");
    assert_eq!(code(unbound(Some("openid bound_key"))).await, "not_bound");
    // It may decline openly, as RFC 6749 has it, unless it must not.
    let (_, _, done) = signed_in(unbound(Some("openid")), KeyBinding::Accepted).await;
    assert!(!done.unwrap().person.bound);
    let (_, _, done) = signed_in(unbound(Some("openid")), KeyBinding::Required).await;
    assert_eq!(done.unwrap_err().code(), "not_bound");
}

#[tokio::test]
async fn a_token_that_is_bound_otherwise_is_refused() {
    let cases: [(Binds, &str); 7] = [
        (
            |_| {
                let other = SecretKey::generate([8; 32]).public().to_jwk();
                ("dpop+id_token", Some(json!({ "jwk": other })))
            },
            "token_other_key",
        ),
        (
            |_| {
                let other = SecretKey::generate([8; 32]).public().thumbprint();
                ("dpop+id_token", Some(json!({ "jkt": other })))
            },
            "token_other_key",
        ),
        (|_| ("dpop+id_token", None), "token_cnf"),
        (
            |_| ("dpop+id_token", Some(json!({"kid": "device"}))),
            "token_cnf",
        ),
        (|jwk| ("JWT", Some(json!({ "jwk": jwk }))), "token_cnf"),
        (
            |jwk| ("id_token+cnf", Some(json!({ "jwk": jwk }))),
            "token_typ",
        ),
        (|jwk| ("dpop+jwt", Some(json!({ "jwk": jwk }))), "token_typ"),
    ];
    for (id_token, expected) in cases {
        let manners = Manners {
            id_token,
            ..Manners::default()
        };
        assert_eq!(code(manners).await, expected);
    }
    // Nobody asked for it.
    let manners = Manners {
        granted: Some("openid"),
        ..Manners::default()
    };
    assert_eq!(code(manners).await, "token_typ");
}

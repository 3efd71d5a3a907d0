//! A small provider with the manners that a test gives it, and a browser in which a person says yes at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_evidence::{PublicKey, SecretKey, dpop, jose};
use countersign_model::{Clock, Digest, Issuer, UnixSecs, b64u_decode};
use countersign_oidc::{BOUND_KEY, Opener, Provider};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

pub(crate) type Params = HashMap<String, String>;
pub(crate) type Change = Box<dyn Fn(&mut Value) + Send + Sync>;
/// For the key that it was asked to bind: header `typ` and claim `cnf` of the ID token.
pub(crate) type Binds = fn(&Value) -> (&'static str, Option<Value>);

/// What a token endpoint gives for more of the same, unlike anything else that is printed.
pub(crate) const REFRESH_TOKEN: &str = "more-of-the-same";

/// A clock that starts at the real time, because hyper's `Date` does, and moves when told.
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) fn now() -> Arc<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Arc::new(Self(AtomicI64::new(
            i64::try_from(since.as_secs()).unwrap(),
        )))
    }

    pub(crate) fn forward(&self, secs: i64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

/// How the provider behaves.
pub(crate) struct Manners {
    /// The discovery document.
    pub(crate) discovery: Change,
    /// The claims of ID tokens.
    pub(crate) claims: Change,
    /// The token endpoint's answer.
    pub(crate) answer: Change,
    /// Instead of that answer.
    pub(crate) token: Option<fn() -> Response>,
    /// Instead of taking a pushed request.
    pub(crate) par: Option<fn() -> Response>,
    /// The redirect's parameters, beside `state`.
    pub(crate) redirect: &'static str,
    /// It wants its nonce in proofs.
    pub(crate) wants_nonce: bool,
    /// How it binds an ID token to a key, where it is asked to.
    pub(crate) binds: Binds,
}

/// Good ones.
pub(crate) fn good() -> Manners {
    Manners {
        discovery: nothing(),
        claims: nothing(),
        answer: nothing(),
        token: None,
        par: None,
        redirect: "code=c0de",
        wants_nonce: false,
        binds: |jwk| ("dpop+id_token", Some(json!({ "jwk": jwk }))),
    }
}

fn nothing() -> Change {
    Box::new(|_| ())
}

/// A member set; taken out where the value is null.
pub(crate) fn member(name: &'static str, value: Value) -> Change {
    Box::new(move |object| {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    })
}

/// The running provider.
pub(crate) struct Op {
    manners: Manners,
    pub(crate) issuer: String,
    pub(crate) clock: Arc<Hands>,
    /// What it publishes; it signs with the last one.
    pub(crate) keys: Mutex<Vec<SecretKey>>,
    /// How often its keys were asked for.
    pub(crate) key_fetches: watch::Sender<usize>,
    /// Whoever holds it keeps the answer back.
    pub(crate) key_answers: tokio::sync::Mutex<()>,
    pub(crate) polls: AtomicUsize,
    /// What the authorization request asked for.
    pub(crate) asked: Mutex<Params>,
    /// What went through the browser.
    pub(crate) seen: Mutex<Params>,
    /// What the token endpoint was sent last.
    pub(crate) form: Mutex<Params>,
    /// Payloads of the proofs at the token endpoint.
    pub(crate) proofs: Mutex<Vec<Value>>,
}

impl Op {
    /// A token about Elin, by its newest key.
    pub(crate) fn jwt(&self, typ: &str, claims: Value) -> String {
        let mut claims = claims;
        let now = self.clock.now().0;
        claims["iss"] = self.issuer.clone().into();
        claims["sub"] = "elin".into();
        claims["iat"] = now.into();
        claims["exp"] = (now + 300).into();
        (self.manners.claims)(&mut claims);
        jose::sign(self.keys.lock().unwrap().last().unwrap(), typ, &claims)
    }

    pub(crate) fn fetches(&self) -> usize {
        *self.key_fetches.borrow()
    }

    /// The key that the token request proves; none where none was announced. Whatever does not fit is an error.
    fn proven(&self, headers: &HeaderMap, form: &Params) -> Result<Option<Value>, &'static str> {
        let asked = self.asked.lock().unwrap();
        let wrong = Err("invalid_dpop_proof");
        let proof = match (headers.get("dpop"), asked.get("dpop_jkt")) {
            (None, None) => return Ok(None),
            (Some(proof), Some(_)) => proof.to_str().unwrap(),
            (None, Some(_)) | (Some(_), None) => return wrong,
        };
        let (jwk, payload) = (part(proof, 0)["jwk"].clone(), part(proof, 1));
        self.proofs.lock().unwrap().push(payload.clone());
        if self.manners.wants_nonce && payload.get("nonce").is_none() {
            return Err("use_dpop_nonce");
        }
        // Key Binding, 2.3: with a code, the proof names it. Such a one is good at no server of ours.
        let code = form.get("code").filter(|_| binds_id_token(&asked));
        let named = code.map(|code| Digest::of(code.as_bytes()).to_string());
        let url = format!("{}/token", self.issuer);
        let now = self.clock.now();
        if named.is_none() && dpop::verify(proof, "POST", &url, None, now).is_err() {
            return wrong;
        }
        let key = PublicKey::from_jwk(&jwk).unwrap();
        let fits = payload.get("c_s256").and_then(Value::as_str) == named.as_deref()
            && (&payload["htm"], &payload["htu"]) == (&json!("POST"), &json!(url))
            && asked.get("dpop_jkt") == Some(&key.thumbprint());
        if fits { Ok(Some(jwk)) } else { wrong }
    }
}

fn binds_id_token(asked: &Params) -> bool {
    let scopes = asked.get("scope").map_or("", String::as_str);
    scopes.split(' ').any(|scope| scope == BOUND_KEY)
}

/// A part of a compact JWS.
fn part(token: &str, n: usize) -> Value {
    let bytes = b64u_decode(token.split('.').nth(n).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn discovery(State(op): State<Arc<Op>>) -> Json<Value> {
    let issuer = &op.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "dpop_signing_alg_values_supported": ["ES256", "Ed25519"],
    });
    (op.manners.discovery)(&mut document);
    Json(document)
}

async fn jwks(State(op): State<Arc<Op>>) -> Json<Value> {
    op.key_fetches.send_modify(|times| *times += 1);
    let _turn = op.key_answers.lock().await;
    let keys = op.keys.lock().unwrap();
    let published = keys.iter().map(|key| {
        let mut jwk = key.public().to_jwk();
        jwk["kid"] = key.public().thumbprint().into();
        jwk
    });
    Json(json!({ "keys": published.collect::<Vec<_>>() }))
}

async fn par(State(op): State<Arc<Op>>, Form(form): Form<Params>) -> Response {
    if let Some(par) = op.manners.par {
        return par();
    }
    *op.asked.lock().unwrap() = form;
    let answer = json!({"request_uri": PUSHED, "expires_in": 60});
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// The reference to what was pushed.
const PUSHED: &str = "urn:example:r1";

async fn token(
    State(op): State<Arc<Op>>,
    headers: HeaderMap,
    Form(form): Form<Params>,
) -> Response {
    op.form.lock().unwrap().clone_from(&form);
    if let Some(token) = op.manners.token {
        return token();
    }
    let refused = |error: &str| {
        let nonce = [("dpop-nonce", "n1")];
        (
            StatusCode::BAD_REQUEST,
            nonce,
            Json(json!({ "error": error })),
        )
            .into_response()
    };
    let by_device = form.get("grant_type").map(String::as_str)
        == Some("urn:ietf:params:oauth:grant-type:device_code");
    if by_device && op.polls.fetch_add(1, Ordering::SeqCst) < 2 {
        return refused("authorization_pending");
    }
    let key = match op.proven(&headers, &form) {
        Ok(key) => key,
        Err(error) => return refused(error),
    };
    let asked = op.asked.lock().unwrap().clone();
    let mut claims = json!({
        "aud": "approver", "nonce": asked.get("nonce"), "auth_time": op.clock.now().0, "acr": "mfa",
    });
    let typ = match &key {
        Some(jwk) if binds_id_token(&asked) => {
            let (typ, cnf) = (op.manners.binds)(jwk);
            if let Some(cnf) = cnf {
                claims["cnf"] = cnf;
            }
            typ
        }
        Some(_) | None => "JWT",
    };
    let mut answer = json!({
        "access_token": "an.access.token", "token_type": if key.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": 600, "scope": asked.get("scope"), "refresh_token": REFRESH_TOKEN,
        "id_token": op.jwt(typ, claims),
    });
    (op.manners.answer)(&mut answer);
    Json(answer).into_response()
}

async fn device(State(op): State<Arc<Op>>) -> Json<Value> {
    let issuer = &op.issuer;
    Json(json!({
        "device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": format!("{issuer}/d"),
        "verification_uri_complete": format!("{issuer}/d?code=ABCD-EFGH"), "expires_in": 300, "interval": 0,
    }))
}

/// Starts one, and the library's view of it, which has fetched nothing yet.
pub(crate) async fn start(manners: Manners) -> (Arc<Op>, Arc<Provider>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let op = Arc::new(Op {
        manners,
        issuer: format!("http://{}", listener.local_addr().unwrap()),
        clock: Hands::now(),
        keys: Mutex::new(vec![SecretKey::generate([1; 32])]),
        key_fetches: watch::Sender::new(0),
        key_answers: tokio::sync::Mutex::default(),
        polls: AtomicUsize::new(0),
        asked: Mutex::default(),
        seen: Mutex::default(),
        form: Mutex::default(),
        proofs: Mutex::default(),
    });
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/par", post(par))
        .route("/token", post(token))
        .route("/device", post(device))
        .with_state(Arc::clone(&op));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let provider = again(&op);
    (op, Arc::new(provider))
}

/// Another view of it, as after a restart.
pub(crate) fn again(op: &Op) -> Provider {
    Provider::new(Issuer::parse(&op.issuer).unwrap(), op.clock.clone()).unwrap()
}

/// The address of a provider that is not there. Nobody else gets its port while the value lives.
pub(crate) fn nobody() -> (tokio::net::TcpSocket, Issuer) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let issuer = format!("http://{}", held.local_addr().unwrap());
    (held, Issuer::parse(&issuer).unwrap())
}

/// A browser in which the person does as the provider's manners say.
pub(crate) struct Browser {
    op: Arc<Op>,
    page: Mutex<Option<JoinHandle<Page>>>,
}

/// The last page that it showed.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn at(op: &Arc<Op>) -> Self {
        Self {
            op: Arc::clone(op),
            page: Mutex::default(),
        }
    }

    pub(crate) async fn page(self) -> Page {
        let page = self.page.into_inner().unwrap();
        page.unwrap().await.unwrap()
    }
}

impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        let seen: Params = url.query_pairs().into_owned().collect();
        let mut asked = self.op.asked.lock().unwrap();
        if seen.get("request_uri").map(String::as_str) != Some(PUSHED) {
            *asked = seen.clone();
        }
        let redirect = self.op.manners.redirect;
        let back = format!(
            "{}?{redirect}&state={}",
            asked["redirect_uri"], asked["state"]
        );
        *self.op.seen.lock().unwrap() = seen;
        let page = async move {
            let answer = reqwest::get(back).await.unwrap();
            Page {
                url: answer.url().clone(),
                headers: answer.headers().clone(),
                text: answer.text().await.unwrap(),
            }
        };
        *self.page.lock().unwrap() = Some(tokio::spawn(page));
        Ok(())
    }
}

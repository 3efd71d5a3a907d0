//! An OpenID provider: discovery, keys that are counted, and tokens signed by it.

use super::*;

/// An OpenID provider: discovery, keys, and tokens signed by it.
#[derive(Clone)]
pub struct Op {
    pub issuer: Issuer,
    key: SecretKey,
    clock: Arc<TestClock>,
    published: Arc<Mutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl Op {
    pub async fn start(clock: &Arc<TestClock>) -> Self {
        Self::start_as(clock, 40).await
    }

    /// Another one, with a key of its own.
    pub async fn start_as(clock: &Arc<TestClock>, seed: u8) -> Self {
        let (listener, url) = listen().await;
        let key = SecretKey::generate([seed; 32]);
        let document = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
        });
        let keys = Arc::new(Mutex::new(vec![published(&key)]));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&keys), Arc::clone(&fetches));
        let jwks = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let keys = served.lock().unwrap().clone();
            std::future::ready(Json(json!({ "keys": keys })))
        };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { Json(document) }),
            )
            .route("/jwks", get(jwks))
            .layer(from_fn_with_state(Arc::clone(clock), dated));
        tokio::spawn(serve(router, listener));
        Self {
            issuer: Issuer::parse(&url).unwrap(),
            key,
            clock: Arc::clone(clock),
            published: keys,
            fetches,
        }
    }

    /// Publishes its key no more.
    pub fn withdraw_key(&self) {
        self.published.lock().unwrap().clear();
    }

    pub fn subject(&self, sub: &str) -> Subject {
        Subject::new(self.issuer.clone(), sub).unwrap()
    }

    pub fn id_token(&self, sub: &str, groups: &[&str], nonce: &str) -> String {
        self.id_token_by(&self.key, sub, groups, nonce)
    }

    /// As somebody else would sign it, in this provider's name.
    pub fn id_token_by(&self, key: &SecretKey, sub: &str, groups: &[&str], nonce: &str) -> String {
        let now = self.clock.now().0;
        jose::sign(
            key,
            "JWT",
            &json!({
                "iss": self.issuer.as_str(), "sub": sub, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 600,
                "auth_time": now - 5, "groups": groups, "name": sub,
            }),
        )
    }

    /// Any claims, signed.
    pub fn sign(&self, typ: &str, claims: Value) -> String {
        jose::sign(&self.key, typ, &claims)
    }

    pub fn access_token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.access_token_by(&self.key, change)
    }

    /// As somebody else would sign it, in this provider's name.
    pub fn access_token_by(&self, key: &SecretKey, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().0;
        let mut claims = json!({
            "iss": self.issuer.as_str(), "sub": "mara", "aud": "urn:orders", "client_id": "cli", "iat": now,
            "exp": now + 600, "jti": b64u(&rand::random::<[u8; 9]>()), "name": "Mara", "groups": ["orders-dev"],
        });
        change(&mut claims);
        jose::sign(key, "at+jwt", &claims)
    }

    /// A token of another type: what a CI system or a cluster gives to a workload.
    pub fn workload_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().0;
        let mut claims = json!({
            "iss": self.issuer.as_str(), "sub": "repo:orders/shop", "aud": "urn:orders", "iat": now, "exp": now + 300,
            "actor_id": "mara", "groups": ["orders-dev"],
        });
        change(&mut claims);
        jose::sign(&self.key, "JWT", &claims)
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Publishes another key, and this one no more.
    pub fn rotate_key(&mut self, seed: u8) {
        self.key = SecretKey::generate([seed; 32]);
        *self.published.lock().unwrap() = vec![published(&self.key)];
    }
}

/// A public key as a provider publishes it.
fn published(key: &SecretKey) -> Value {
    let mut jwk = key.public().to_jwk();
    jwk["kid"] = json!(key.public().thumbprint());
    jwk["alg"] = json!("Ed25519");
    jwk["use"] = json!("sig");
    jwk
}

//! Tokens that name unknown keys: what they cost a gate and the provider. The provider counts how often its keys are
//! fetched; the clock is moved, so that a minute takes none. Beside it: a token that verified a moment ago, and one
//! whose signature is verified.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use countersign_evidence::op_token::{AccessRules, OpConfig, OpRole};
use countersign_evidence::{SecretKey, jose};
use countersign_model::{Clock, Issuer, UnixSecs, b64u};
use countersign_oidc::{Provider, ResourceServer};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::measure::{Report, Series};

const ROUNDS: usize = 10;
/// In each of the rounds, one of which warms up: 11,000 in all.
const A_ROUND: usize = 1000;
const MINUTE: i64 = 60;

/// A clock that stands until it is moved.
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

/// A provider that counts.
struct Counting {
    issuer: Issuer,
    key: SecretKey,
    fetches: Arc<AtomicUsize>,
}

impl Counting {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let key = SecretKey::generate(rand::random());
        let mut jwk = key.public().to_jwk();
        jwk["kid"] = json!(key.public().thumbprint());
        let discovery = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"),
            "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
        })
        .to_string();
        let jwks = json!({ "keys": [jwk] }).to_string();
        let fetches = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&fetches);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (discovery, jwks) = (discovery.clone(), jwks.clone());
                let counted = Arc::clone(&counted);
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let body = if request.uri().path() == "/jwks" {
                        counted.fetch_add(1, Ordering::SeqCst);
                        jwks.clone()
                    } else {
                        discovery.clone()
                    };
                    async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(
                    async move { http.serve_connection(TokioIo::new(stream), service).await },
                );
            }
        });
        Ok(Self {
            issuer: Issuer::parse(&url)?,
            key,
            fetches,
        })
    }

    fn token(&self, now: i64, turn: usize) -> String {
        let claims = json!({
            "iss": self.issuer.as_str(), "sub": "mara", "aud": "urn:orders", "client_id": "cli", "iat": now,
            "exp": now + 86_400, "jti": turn.to_string(),
        });
        jose::sign(&self.key, "at+jwt", &claims)
    }
}

pub(crate) async fn run() -> Result<()> {
    let op = Counting::start().await?;
    let clock = Arc::new(Standing(AtomicI64::new(1_800_000_000)));
    let of_provider: Arc<dyn Clock> = clock.clone();
    let provider = Arc::new(Provider::new(op.issuer.clone(), of_provider)?);
    let config = OpConfig::new(op.issuer.clone(), "approver");
    let rules = AccessRules {
        issuer: op.issuer.clone(),
        audience: "urn:orders".to_owned(),
        algorithms: config.algorithms,
        approver_client_ids: vec![config.client_id],
        roles: [OpRole::Requester].into(),
    };
    let tokens = ResourceServer::new(vec![(provider, rules)]);

    let known = op.token(clock.now().0, 0);
    tokens.verify(&known).await?;
    let (_, signed) = known.split_once('.').unwrap_or_default();
    let mut remembered = Series::new("a token that verified before", "us");
    let mut verified = Series::new("a token whose signature is verified", "us");
    let mut unknown = Series::new("a token that names an unknown key", "us");
    for round in 0..=ROUNDS {
        let counted = round > 0;
        if counted {
            remembered.round();
            verified.round();
            unknown.round();
        }
        // Half of the rounds fall into a new minute.
        clock.0.fetch_add(MINUTE / 2, Ordering::SeqCst);
        for turn in 0..A_ROUND {
            let header =
                json!({ "alg": "Ed25519", "typ": "at+jwt", "kid": format!("{round}-{turn}") });
            let forged = format!("{}.{signed}", b64u(header.to_string().as_bytes()));
            let fresh = op.token(clock.now().0, round * A_ROUND + turn + 1);
            for (series, token, good) in [
                (&mut unknown, &forged, false),
                (&mut remembered, &known, true),
                (&mut verified, &fresh, true),
            ] {
                let begun = Instant::now();
                let answer = tokens.verify(token).await;
                let took = begun.elapsed();
                ensure!(answer.is_ok() == good, "{answer:?}");
                if counted {
                    series.push(took.as_secs_f64() * 1e6);
                }
            }
        }
    }
    let fetches = op.fetches.load(Ordering::SeqCst);
    let minutes = ROUNDS.div_ceil(2);
    let forged = (ROUNDS + 1) * A_ROUND;
    ensure!(
        fetches <= minutes + 1,
        "{fetches} fetches in {minutes} minutes"
    );
    println!(
        "{forged} tokens that named unknown keys, {minutes} minutes: {fetches} fetches of the provider's keys"
    );
    let mut report = Report::new(
        "jwks",
        "at most one fetch of keys a minute under 10,000 unknown kids",
    );
    report.ratio("unknown beside verified", &unknown, &verified);
    report.add(remembered);
    report.add(verified);
    report.add(unknown);
    report.finish()
}

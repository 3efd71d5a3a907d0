//! A person's device: its keys, its binding, its calls with DPoP.

use countersign_evidence::documents::{
    Choice, DisplayDigest, Pop, Request, Statement, Vote, jws_digest, step_up_nonce,
    step_up_resource,
};
use countersign_evidence::{SecretKey, dpop};
use countersign_model::{Digest, Issuer, Subject, Txn, b64u, b64u_decode};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, World};

pub(crate) struct Device {
    pub(crate) issuer: Issuer,
    pub(crate) sub: String,
    pub(crate) dk: SecretKey,
    pub(crate) sk: SecretKey,
    pub(crate) statement: Statement,
    pub(crate) id_token: String,
    pub(crate) access_token: String,
}

impl World {
    /// Keys and a sign-in, not yet bound. `change` alters the ID token's claims.
    pub(crate) fn unbound(&self, sub: &str, change: impl FnOnce(&mut Value)) -> Device {
        self.unbound_at(&self.issuer, sub, change)
    }

    /// The same, at either provider.
    pub(crate) fn unbound_at(
        &self,
        issuer: &Issuer,
        sub: &str,
        change: impl FnOnce(&mut Value),
    ) -> Device {
        let dk = SecretKey::generate(*self.fresh("dk").as_bytes());
        let sk = SecretKey::generate(*self.fresh("sk").as_bytes());
        let statement = Statement {
            aud: self.id.clone(),
            authenticators: Vec::new(),
            key: dk.public(),
            rz: b64u(self.fresh("rz").as_bytes()),
            session_jkt: Digest::parse(&sk.public().thumbprint()).unwrap(),
        };
        let id_token = self.id_token_of(issuer, sub, &statement.nonce(), change);
        Device {
            issuer: issuer.clone(),
            sub: sub.to_owned(),
            dk,
            sk,
            statement,
            id_token,
            access_token: String::new(),
        }
    }

    /// A signed-in device.
    pub(crate) async fn sign_in(&self, sub: &str) -> Device {
        let mut device = self.unbound(sub, |_| {});
        device.bind(self).await;
        device
    }
}

impl Device {
    pub(crate) fn subject(&self) -> Subject {
        Subject::new(self.issuer.clone(), &self.sub).unwrap()
    }

    pub(crate) async fn bind(&mut self, world: &World) {
        let answer = self.exchange(world).await.is(200);
        assert_eq!(answer["token_type"], "DPoP");
        assert_eq!(answer["binding_id"], self.statement.id().to_string());
        self.access_token = answer["access_token"].as_str().unwrap().to_owned();
    }

    pub(crate) async fn nonce(world: &World) -> String {
        let answer = Answer::of(world.http.post(world.url("/oauth/nonce")))
            .await
            .is(200);
        answer["nonce"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pop(&self, world: &World, nonce: &str) -> String {
        let pop = Pop {
            aud: world.id.clone(),
            nonce: nonce.to_owned(),
            cic_digest: self.statement.id(),
            iat: world.now(),
        };
        pop.sign(&self.dk)
    }

    pub(crate) fn exchange_form(&self, world: &World, nonce: &str) -> Vec<(&'static str, String)> {
        vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange".into(),
            ),
            ("subject_token", self.id_token.clone()),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token".into(),
            ),
            ("cic", b64u(&self.statement.to_bytes())),
            ("proof", self.pop(world, nonce)),
            ("device_name", "test laptop".into()),
        ]
    }

    pub(crate) async fn exchange(&self, world: &World) -> Answer {
        let nonce = Self::nonce(world).await;
        self.token(world, &self.exchange_form(world, &nonce)).await
    }

    pub(crate) async fn token(&self, world: &World, form: &[(&'static str, String)]) -> Answer {
        let url = world.url("/oauth/token");
        let proof = self.dpop(world, "POST", "/oauth/token", None);
        Answer::of(world.http.post(url).header("dpop", proof).form(form)).await
    }

    pub(crate) async fn renew(&mut self, world: &World, newer: Option<String>) -> Answer {
        let nonce = Self::nonce(world).await;
        let mut form = vec![
            (
                "grant_type",
                "urn:countersign:params:oauth:grant-type:binding".into(),
            ),
            ("binding_id", self.statement.id().to_string()),
            ("proof", self.pop(world, &nonce)),
        ];
        if let Some(token) = newer {
            form.push(("subject_token", token));
        }
        let answer = self.token(world, &form).await;
        if let Some(token) = answer.body["access_token"].as_str() {
            self.access_token = token.to_owned();
        }
        answer
    }

    pub(crate) fn dpop(
        &self,
        world: &World,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> String {
        let jti = world.fresh("jti").to_string();
        dpop::make(
            &self.sk,
            method,
            &world.url(path),
            token,
            None,
            world.now(),
            &jti,
        )
    }

    pub(crate) fn call(
        &self,
        world: &World,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let proof = self.dpop(world, method.as_str(), path, Some(&self.access_token));
        world
            .http
            .request(method, world.url(path))
            .header("authorization", format!("DPoP {}", self.access_token))
            .header("dpop", proof)
    }

    pub(crate) async fn get(&self, world: &World, path: &str) -> Answer {
        Answer::of(self.call(world, Method::GET, path)).await
    }

    pub(crate) async fn view(&self, world: &World, txn: &str) -> Value {
        self.get(world, &format!("/approver/v1/requests/{txn}"))
            .await
            .is(200)
    }

    /// The vote that this device would sign on what it sees.
    pub(crate) fn ballot(&self, world: &World, view: &Value, choice: Choice) -> Vote {
        let request_jws = view["request_jws"].as_str().unwrap();
        let (_, request) = Request::unverified(request_jws).unwrap();
        let operation = b64u_decode(view["operation_b64"].as_str().unwrap()).unwrap();
        Vote {
            key_thumbprint: Digest::parse(&self.dk.public().thumbprint()).unwrap(),
            sub_id: self.subject(),
            server: world.id.clone(),
            pep: request.pep,
            jti: world.fresh("vote").to_string(),
            iat: world.now(),
            exp: request.exp,
            txn: Txn::parse(view["txn"].as_str().unwrap()).unwrap(),
            vote: choice,
            operation_digest: Digest::of(&operation),
            request_jws_digest: jws_digest(request_jws),
            nonce: view["challenge"].as_str().unwrap_or("none").to_owned(),
            binding_id: self.statement.id(),
            policy_digest: request.policy_digest,
            stage: view["stage"]["name"].as_str().map(str::to_owned),
            prior: view["stage"]["prior"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| Digest::parse(it.as_str().unwrap()).unwrap())
                .collect(),
            consent_jkt: None,
            display: DisplayDigest {
                renderer: "test/1".into(),
                sha256: Digest::of(b"card"),
            },
            reason: Some("checked with sales".into()),
            match_words: None,
            supersedes: None,
        }
    }

    /// The thumbprint of a key made for one vote.
    pub(crate) fn consent_key(world: &World) -> Digest {
        let key = SecretKey::generate(*world.fresh("consent").as_bytes());
        Digest::parse(&key.public().thumbprint()).unwrap()
    }

    /// What the provider answers to a step-up for this vote. `change` alters the tokens' claims.
    pub(crate) fn step_up(
        &self,
        world: &World,
        vote: &Vote,
        jws: &str,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> Value {
        let now = world.now().0;
        let mut sign_in = json!({
            "iss": self.issuer.as_str(), "sub": self.sub, "aud": super::CLIENT, "iat": now, "exp": now + 300,
            "auth_time": now, "nonce": step_up_nonce(jws), "acr": "urn:test:mfa",
        });
        let mut consent = json!({
            "iss": self.issuer.as_str(), "sub": self.sub, "aud": step_up_resource(&world.id),
            "client_id": super::CLIENT, "iat": now, "exp": now + 300, "jti": world.fresh("jti").to_string(),
            "scope": "approve:customers.erase",
        });
        if let Some(key) = vote.consent_jkt {
            consent["cnf"] = json!({ "jkt": key.to_string() });
        }
        change(&mut sign_in, &mut consent);
        json!({
            "type": "oidc",
            "id_token": super::signed(&world.key_of(&self.issuer), "JWT", &sign_in),
            "access_token": super::signed(&world.key_of(&self.issuer), "at+jwt", &consent),
        })
    }

    pub(crate) async fn cast(&self, world: &World, txn: &str, jws: &str) -> Answer {
        self.cast_with(world, txn, &json!({ "vote": jws })).await
    }

    pub(crate) async fn cast_with(&self, world: &World, txn: &str, body: &Value) -> Answer {
        let path = format!("/approver/v1/requests/{txn}/votes");
        Answer::of(self.call(world, Method::POST, &path).json(body)).await
    }

    /// Reads the request and votes on it.
    pub(crate) async fn vote(&self, world: &World, txn: &str, choice: Choice) -> Answer {
        let ballot = self.ballot(world, &self.view(world, txn).await, choice);
        self.cast(world, txn, &ballot.sign(&self.dk)).await
    }
}

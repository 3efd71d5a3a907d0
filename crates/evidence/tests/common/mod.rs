//! A whole approval with fixed keys and times, made honestly, with a place to interfere before each signature.
//!
//! Whatever is edited early is carried on: an edited ask has its digest in the request, and so forth. So each
//! case breaks one thing, and nothing else is wrong.

#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use countersign_evidence::documents::{Authenticator, DisplayDigest, step_up_nonce};
use countersign_evidence::jose;
use countersign_evidence::op_token::{OpConfig, OpKeys};
use countersign_evidence::verify::{self, Refusal, Release, Trust, TrustedOp, Verified};
use countersign_evidence::{
    Alg, Ask, Choice, Evidence, EvidenceVote, Grant, GrantVote, PublicKey, Request, SecretKey,
    Statement, StepUpEvidence, Vote, jws_digest,
};
use countersign_model::{
    By, Digest, Issuer, MatchWords, NotifyButtons, Operation, PepId, PolicyAnswer, PolicyCheck,
    ReasonRule, Requirement, ServerId, Stage, StepUp, Subject, TokenRule, Txn, UnixSecs, Voter,
    b64u, json as strict, matching_words,
};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

pub const NOW: UnixSecs = UnixSecs(1_795_331_700);
pub const ASKED_AT: UnixSecs = UnixSecs(NOW.0 - 100);
pub const SESSION_SECS: u32 = 43_200;
pub const OP: &str = "https://op.example";
pub const SERVER: &str = "https://countersign.example";
pub const CLIENT: &str = "countersign-approver";
pub const RP_ID: &str = "countersign.example";

/// A key from one byte, the same in each run.
pub fn key(seed: u8) -> SecretKey {
    SecretKey::generate([seed; 32])
}

pub fn server_key() -> SecretKey {
    key(1)
}

pub fn pep_key() -> SecretKey {
    key(2)
}

pub fn subject(sub: &str) -> Subject {
    Subject::new(Issuer::parse(OP).unwrap(), sub).unwrap()
}

/// An OpenID provider's ES256 key.
pub fn op_key(seed: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub fn op_jwks(seed: u8) -> Value {
    let mut jwk = SecretKey::generate_es256([seed; 32]).public().to_jwk();
    jwk["kid"] = json!("op-1");
    jwk["alg"] = json!("ES256");
    jwk["use"] = json!("sig");
    json!({"keys": [jwk]})
}

/// What a provider signs. `signer` is its key's seed.
#[derive(Clone)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
    pub signer: u8,
}

impl Token {
    pub fn sign(&self) -> String {
        let part = |value: &Value| b64u(&serde_json::to_vec(&sorted(value)).unwrap());
        let message = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature: p256::ecdsa::Signature = op_key(self.signer).sign(message.as_bytes());
        format!("{message}.{}", b64u(&signature.to_bytes()))
    }
}

/// Members in one order, whichever map `serde_json` was built with: signatures must not depend on it.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

pub fn requirement() -> Requirement {
    Requirement {
        by: By::Others,
        approvals: 2,
        stages: Vec::new(),
        step_up: StepUp::None,
        acr: None,
        scope: None,
        match_words: MatchWords::None,
        hold: false,
        fresh_claims_secs: 300,
        release_claims_secs: None,
        reason: ReasonRule::OnDeny,
        notify_buttons: NotifyButtons::None,
        urgent: false,
        ttl_secs: 900,
        grant_secs: 120,
        irreversible: Some("Deleted customers cannot be restored.".into()),
        lift: vec!["/resource/id".into()],
    }
}

/// A policy as a gate's own configuration holds it.
pub struct TestPolicy {
    pub answer: PolicyAnswer,
    pub voters: &'static str,
}

impl PolicyCheck for TestPolicy {
    fn digest(&self) -> Digest {
        Digest::of(b"policy")
    }

    fn answer(&self, _: &Operation) -> PolicyAnswer {
        self.answer.clone()
    }

    fn may_vote(
        &self,
        voter: &Voter,
        operation: &Operation,
        stage: Option<&str>,
    ) -> Result<(), String> {
        let confirms = matches!(&self.answer, PolicyAnswer::Approve(it) if it.by == By::Requester);
        // Security is jonas alone.
        let in_stage = stage != Some("security") || voter.subject.sub == "jonas";
        let themselves = confirms && voter.subject == *operation.subject();
        if themselves || (voter.groups.contains(self.voters) && in_stage) {
            Ok(())
        } else {
            Err(format!("only {} may", self.voters))
        }
    }

    fn who_may_vote(&self, _: &Operation, _: Option<&str>) -> String {
        self.voters.to_owned()
    }

    fn token_rule(&self, _: &Operation) -> TokenRule {
        TokenRule::default()
    }
}

/// What a software authenticator makes of a vote, before it is signed.
#[derive(Clone)]
pub struct Assertion {
    pub client_data: Value,
    pub rp_id: String,
    pub flags: u8,
    pub counter: u32,
    /// Whose signature, and by which name the evidence calls it.
    pub signer: SecretKey,
    pub key: String,
    /// After the authenticator's data.
    pub more: Vec<u8>,
}

impl Assertion {
    pub fn evidence(&self) -> StepUpEvidence {
        let client_data = serde_json::to_vec(&sorted(&self.client_data)).unwrap();
        let mut data = Digest::of(self.rp_id.as_bytes()).as_bytes().to_vec();
        data.push(self.flags);
        data.extend(self.counter.to_be_bytes());
        data.extend(&self.more);
        let message = [data.as_slice(), Digest::of(&client_data).as_bytes()].concat();
        StepUpEvidence::Webauthn {
            authenticator_data: b64u(&data),
            client_data_json: b64u(&client_data),
            signature: b64u(&assertion_signature(&self.signer, &message)),
            key: self.key.clone(),
        }
    }
}

/// As an authenticator signs: ES256 in DER, Ed25519 as it is.
pub fn assertion_signature(key: &SecretKey, message: &[u8]) -> Vec<u8> {
    let d = countersign_model::b64u_decode(key.to_jwk()["d"].as_str().unwrap()).unwrap();
    match key.public().alg() {
        Alg::Es256 => {
            let key = p256::ecdsa::SigningKey::from_slice(&d).unwrap();
            let signature: p256::ecdsa::Signature = key.sign(message);
            signature.to_der().as_bytes().to_vec()
        }
        Alg::Ed25519 => {
            let key = ed25519_dalek::SigningKey::from_bytes(&d.try_into().unwrap());
            let signature: ed25519_dalek::Signature = key.sign(message);
            signature.to_bytes().to_vec()
        }
    }
}

/// How a provider ties an access token to a vote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    AtHash,
    Key,
    Neither,
}

/// One voter: device key, sign-in, and what comes of them.
pub struct Person {
    pub sub: &'static str,
    pub device: SecretKey,
    pub session: SecretKey,
    pub voted_at: UnixSecs,
    pub groups: Value,
    pub claims_token: Option<Token>,
    /// The stage that they vote in, on the votes before them.
    pub stage: Option<&'static str>,
    pub authenticator: SecretKey,
}

/// Where a test interferes.
pub enum Edit {
    Nothing,
    Operation(fn(&mut Value)),
    Ask(fn(&mut Ask)),
    Request(fn(&mut Request)),
    Statement(fn(&mut Statement)),
    IdToken(fn(&mut Token)),
    Vote(fn(&mut Vote)),
    /// The ID token of the step-up.
    SignIn(fn(&mut Token)),
    /// The access token of the step-up.
    Consent(fn(&mut Token)),
    Assertion(fn(&mut Assertion)),
    /// As signed, on its way into what commits to it.
    AskJws(fn(&mut String)),
    RequestJws(fn(&mut String)),
    GrantJws(fn(&mut String)),
    VoteJws(fn(&mut String)),
    Grant(fn(&mut Grant)),
    Evidence(fn(&mut Evidence)),
    Scene(fn(&mut Scene)),
}

/// The whole approval before it is signed. Edits of statement, ID token and vote apply to the first voter.
pub struct Scene {
    pub operation: Value,
    pub rebuilt: Option<Value>,
    pub requirement: Requirement,
    pub people: Vec<Person>,
    pub policy: Option<TestPolicy>,
    pub server: ServerId,
    pub server_keys: Vec<PublicKey>,
    pub pep: (PepId, PublicKey),
    pub me: PepId,
    pub op: OpConfig,
    pub more_ops: Vec<TrustedOp>,
    pub op_keys: Option<OpKeys>,
    pub ask_signer: SecretKey,
    pub request_signer: SecretKey,
    pub grant_signer: SecretKey,
    pub vote_signer: Option<SecretKey>,
    pub match_words: Option<&'static str>,
    pub tie: Tie,
    /// All voters name the same key for their consent.
    pub one_consent_key: bool,
    /// What becomes of the votes that a vote of a later stage names.
    pub prior_edit: Option<fn(&mut Vec<Digest>)>,
    /// As whom the gate asks.
    pub gate: &'static str,
    /// The server as the verifier's configuration has it, where it is another.
    pub trusted_server: Option<ServerId>,
    pub asked_at: UnixSecs,
    pub now: UnixSecs,
    pub edit: Edit,
}

pub fn operation() -> Value {
    json!({
        "subject": {"type": "user", "id": format!("{OP}|mara"), "properties": {
            "claims": {"name": "Mara Lindqvist", "email": "mara@orders.example", "groups": ["orders-dev"],
                       "auth_time": NOW.0 - 3_000}}},
        "action": {"name": "orders.customers.delete", "properties": {
            "kind": "http", "title": {"verb": "Delete", "thing": "customer 42"}, "method": "DELETE",
            "scheme": "http", "authority": "127.0.0.1:8080", "path": "/customers/42",
            "headers": [["accept", "*/*"]], "body": {"size": 0, "sha256": Digest::of(b"").to_string()}}},
        "resource": {"type": "orders.customer", "id": "42", "properties": {"service": "orders-api"}},
        "context": {"pep": "orders-gate", "nonce": "AAECAwQFBgcICQoLDA0ODw", "justification": "GDPR request 7"},
    })
}

impl Scene {
    pub fn new() -> Self {
        let person = |sub, seed, voted_at| Person {
            sub,
            device: key(seed),
            session: key(seed + 100),
            voted_at,
            groups: json!(["dba"]),
            claims_token: None,
            stage: None,
            authenticator: SecretKey::generate_es256([seed + 50; 32]),
        };
        let policy = TestPolicy {
            answer: PolicyAnswer::Approve(requirement()),
            voters: "https://op.example#dba",
        };
        Self {
            operation: operation(),
            rebuilt: None,
            requirement: requirement(),
            people: vec![person("elin", 11, NOW - 30), person("jonas", 12, NOW - 20)],
            policy: Some(policy),
            server: ServerId::parse(SERVER).unwrap(),
            server_keys: vec![server_key().public()],
            pep: (PepId::parse("orders-gate").unwrap(), pep_key().public()),
            me: PepId::parse("orders-gate").unwrap(),
            op: OpConfig::new(Issuer::parse(OP).unwrap(), CLIENT),
            more_ops: Vec::new(),
            op_keys: Some(OpKeys::from_jwks(&op_jwks(50)).unwrap()),
            ask_signer: pep_key(),
            request_signer: server_key(),
            grant_signer: server_key(),
            vote_signer: None,
            match_words: None,
            tie: Tie::Key,
            one_consent_key: false,
            prior_edit: None,
            gate: "orders-gate",
            trusted_server: None,
            asked_at: ASKED_AT,
            now: NOW,
            edit: Edit::Nothing,
        }
    }

    pub fn with(edit: Edit) -> Self {
        let mut scene = Self::new();
        if let Edit::Scene(change) = edit {
            change(&mut scene);
        } else {
            scene.edit = edit;
        }
        scene
    }

    /// A second voter with an account at another, trusted provider.
    pub fn other_op(&self) -> TrustedOp {
        let config = OpConfig::new(Issuer::parse("https://other.example").unwrap(), CLIENT);
        TrustedOp {
            config,
            keys: Some(OpKeys::from_jwks(&op_jwks(50)).unwrap()),
        }
    }

    fn statement(&self, person: &Person, first: bool) -> Statement {
        let mut statement = Statement {
            aud: self.server.clone(),
            authenticators: self.authenticators(person),
            key: person.device.public(),
            rz: b64u(Digest::of(person.sub.as_bytes()).as_bytes()),
            session_jkt: Digest::parse(&person.session.public().thumbprint()).unwrap(),
        };
        if let (Edit::Statement(change), true) = (&self.edit, first) {
            change(&mut statement);
        }
        statement
    }

    pub fn id_token(&self, person: &Person, nonce: &str, iat: UnixSecs) -> Token {
        Token {
            header: json!({"alg": "ES256", "kid": "op-1", "typ": "JWT"}),
            claims: json!({
                "iss": OP, "sub": person.sub, "aud": CLIENT, "nonce": nonce, "iat": iat.0, "exp": iat.0 + 3_600,
                "auth_time": NOW.0 - 200, "groups": person.groups, "name": person.sub,
                "email": format!("{}@orders.example", person.sub), "person": format!("p-{}", person.sub),
            }),
            signer: 50,
        }
    }

    /// Signs everything.
    pub fn evidence(&self) -> Evidence {
        let mut operation = self.operation.clone();
        if let Edit::Operation(change) = self.edit {
            change(&mut operation);
        }
        let operation_bytes = strict::canonical(&operation);
        let operation_digest = Digest::of(&operation_bytes);
        let requester = operation["subject"]["id"]
            .as_str()
            .and_then(|id| Subject::parse(id).ok());

        let mut ask = Ask {
            iss: PepId::parse(self.gate).unwrap(),
            aud: self.server.clone(),
            operation_digest,
            requirement: self.requirement.clone(),
            iat: ASKED_AT,
            exp: ASKED_AT + 60,
        };
        if let Edit::Ask(change) = self.edit {
            change(&mut ask);
        }
        let mut ask_jws = ask.sign(&self.ask_signer);
        if let Edit::AskJws(change) = self.edit {
            change(&mut ask_jws);
        }

        let mut request = Request {
            iss: self.server.clone(),
            jti: "jti-request".into(),
            iat: ASKED_AT + 1,
            exp: ASKED_AT + 1 + i64::from(self.requirement.ttl_secs),
            txn: Txn::parse("txn-1").unwrap(),
            operation_digest,
            ask_digest: jws_digest(&ask_jws),
            pep: PepId::parse(self.gate).unwrap(),
            sub_id: requester.unwrap_or_else(|| subject("mara")),
            requirement: self.requirement.clone(),
            policy_digest: Digest::of(b"policy"),
        };
        if let Edit::Request(change) = self.edit {
            change(&mut request);
        }
        let mut request_jws = request.sign(&self.request_signer);
        if let Edit::RequestJws(change) = self.edit {
            change(&mut request_jws);
        }

        let mut votes: Vec<EvidenceVote> = Vec::new();
        for (index, person) in self.people.iter().enumerate() {
            let prior = self.prior(index, &votes);
            votes.push(self.vote(person, prior, index == 0, &request, &request_jws));
        }
        let granted = |vote: &EvidenceVote| {
            let (_, read) = Vote::unverified(&vote.jws).unwrap();
            GrantVote {
                digest: jws_digest(&vote.jws),
                subject: read.sub_id,
                binding_id: read.binding_id,
            }
        };
        let mut grant = Grant {
            iss: self.server.clone(),
            aud: request.pep.clone(),
            jti: "jti-grant".into(),
            iat: NOW - 19,
            nbf: NOW - 19,
            exp: NOW + 100,
            txn: request.txn.clone(),
            operation_digest: request.operation_digest,
            request_jws_digest: jws_digest(&request_jws),
            votes: votes.iter().map(granted).collect(),
            policy_digest: request.policy_digest,
        };
        if let Edit::Grant(change) = self.edit {
            change(&mut grant);
        }
        let mut grant_jws = grant.sign(&self.grant_signer);
        if let Edit::GrantJws(change) = self.edit {
            change(&mut grant_jws);
        }
        let mut evidence = Evidence {
            operation_b64: b64u(&operation_bytes),
            ask_jws,
            request_jws,
            grant: grant_jws,
            votes,
        };
        if let Edit::Evidence(change) = self.edit {
            change(&mut evidence);
        }
        evidence
    }

    fn vote(
        &self,
        person: &Person,
        prior: Vec<Digest>,
        first: bool,
        request: &Request,
        request_jws: &str,
    ) -> EvidenceVote {
        let statement = self.statement(person, first);
        let mut id_token = self.id_token(person, &statement.nonce(), NOW - 190);
        if let (Edit::IdToken(change), true) = (&self.edit, first) {
            change(&mut id_token);
        }
        let words = matching_words(jws_digest(request_jws)).join(" ");
        let mut vote = Vote {
            key_thumbprint: Digest::parse(&statement.key.thumbprint()).unwrap(),
            sub_id: Subject::new(
                Issuer::parse(id_token.claims["iss"].as_str().unwrap()).unwrap(),
                person.sub,
            )
            .unwrap(),
            server: self.server.clone(),
            pep: request.pep.clone(),
            jti: format!("jti-vote-{}", person.sub),
            iat: person.voted_at,
            exp: person.voted_at + 60,
            txn: request.txn.clone(),
            vote: Choice::Approve,
            operation_digest: request.operation_digest,
            request_jws_digest: jws_digest(request_jws),
            nonce: format!("challenge-{}", person.sub),
            binding_id: statement.id(),
            policy_digest: request.policy_digest,
            stage: person.stage.map(str::to_owned),
            prior,
            consent_jkt: (self.tie == Tie::Key && self.requirement.scope.is_some()).then(|| {
                match self.one_consent_key {
                    true => Digest::of(b"one key"),
                    false => Digest::of(person.sub.as_bytes()),
                }
            }),
            display: DisplayDigest {
                renderer: "countersign-display/0.1.0".into(),
                sha256: Digest::of(b"card"),
            },
            reason: None,
            match_words: self.match_words.map(|text| {
                if text == "right" {
                    words
                } else {
                    text.to_owned()
                }
            }),
            supersedes: None,
        };
        if let (Edit::Vote(change), true) = (&self.edit, first) {
            change(&mut vote);
        }
        let signer = self
            .vote_signer
            .as_ref()
            .filter(|_| first)
            .unwrap_or(&person.device);
        let claims_token = person.claims_token.as_ref().map(|token| {
            let mut token = token.clone();
            if token.claims["nonce"] == "same" {
                token.claims["nonce"] = json!(statement.nonce());
            }
            token.sign()
        });
        let mut jws = vote.sign(signer);
        if let (Edit::VoteJws(change), true) = (&self.edit, first) {
            change(&mut jws);
        }
        let step_up = self.step_up(person, first, &vote, &jws);
        EvidenceVote {
            jws,
            cic: b64u(&statement.to_bytes()),
            id_token: Some(id_token.sign()),
            claims_token,
            step_up,
        }
    }

    /// The digests of the votes of the stage before this voter's.
    fn prior(&self, index: usize, votes: &[EvidenceVote]) -> Vec<Digest> {
        let stage = self.people[index].stage;
        let stages = &self.requirement.stages;
        let place = stages.iter().position(|it| Some(&*it.name) == stage);
        let before = place.and_then(|place| place.checked_sub(1));
        let Some(before) = before.map(|before| stages[before].name.as_str()) else {
            return Vec::new();
        };
        let of_before = self.people[..index].iter().zip(votes);
        let mut prior = of_before
            .filter(|(person, _)| person.stage == Some(before))
            .map(|(_, vote)| jws_digest(&vote.jws))
            .collect();
        if let Some(change) = self.prior_edit {
            change(&mut prior);
        }
        prior
    }

    fn authenticators(&self, person: &Person) -> Vec<Authenticator> {
        let authenticator = Authenticator {
            key: person.authenticator.public(),
            rp_id: RP_ID.to_owned(),
        };
        match self.requirement.step_up {
            StepUp::Webauthn => vec![authenticator],
            StepUp::None | StepUp::Oidc => Vec::new(),
        }
    }

    /// What this voter's provider, or their authenticator, answers to the vote.
    fn step_up(
        &self,
        person: &Person,
        first: bool,
        vote: &Vote,
        jws: &str,
    ) -> Option<StepUpEvidence> {
        let nonce = step_up_nonce(jws);
        match self.requirement.step_up {
            StepUp::None => None,
            StepUp::Oidc => Some(self.sign_in(person, first, vote, &nonce)),
            StepUp::Webauthn => {
                let mut assertion = Assertion {
                    client_data: json!({"type": "webauthn.get", "challenge": nonce,
                        "origin": format!("countersign:{SERVER}"), "crossOrigin": false}),
                    rp_id: RP_ID.to_owned(),
                    flags: 0x05,
                    counter: 7,
                    signer: person.authenticator.clone(),
                    key: person.authenticator.public().thumbprint(),
                    more: Vec::new(),
                };
                if let (Edit::Assertion(change), true) = (&self.edit, first) {
                    change(&mut assertion);
                }
                Some(assertion.evidence())
            }
        }
    }

    fn sign_in(&self, person: &Person, first: bool, vote: &Vote, nonce: &str) -> StepUpEvidence {
        let iat = vote.iat + 10;
        let iss = vote.sub_id.iss.as_str();
        let mut consent = Token {
            header: json!({"alg": "ES256", "kid": "op-1", "typ": "at+jwt"}),
            claims: json!({
                "iss": iss, "sub": person.sub, "aud": format!("{SERVER}/step-up"), "client_id": CLIENT,
                "scope": "approve:orders.delete", "iat": iat.0, "exp": iat.0 + 300, "jti": "at-1",
            }),
            signer: 50,
        };
        if let (Tie::Key, Some(thumbprint)) = (self.tie, vote.consent_jkt) {
            consent.claims["cnf"] = json!({"jkt": thumbprint.to_string()});
        }
        if let (Edit::Consent(change), true) = (&self.edit, first) {
            change(&mut consent);
        }
        let access_token = self.requirement.scope.as_ref().map(|_| consent.sign());
        let mut id_token = self.id_token(person, nonce, iat);
        id_token.claims["iss"] = json!(iss);
        id_token.claims["auth_time"] = json!(iat.0 - 2);
        if let Some(acr) = &self.requirement.acr {
            id_token.claims["acr"] = json!(acr);
        }
        if let (Tie::AtHash, Some(token)) = (self.tie, &access_token) {
            let hash = Digest::of(token.as_bytes());
            id_token.claims["at_hash"] = json!(b64u(&hash.as_bytes()[..16]));
        }
        if let (Edit::SignIn(change), true) = (&self.edit, first) {
            change(&mut id_token);
        }
        StepUpEvidence::Oidc {
            id_token: id_token.sign(),
            access_token,
        }
    }

    /// Asks for something, by policy and request alike.
    pub fn ask_for(&mut self, change: impl FnOnce(&mut Requirement)) {
        change(&mut self.requirement);
        self.policy = Some(TestPolicy {
            answer: PolicyAnswer::Approve(self.requirement.clone()),
            voters: "https://op.example#dba",
        });
    }

    /// Asks for a fresh sign-in, at a level and with consent.
    pub fn ask_for_consent(&mut self) {
        self.ask_for(|r| {
            r.step_up = StepUp::Oidc;
            r.acr = Some("urn:example:mfa".into());
            r.scope = Some("approve:orders.delete".into());
        });
    }

    /// Asks for one approval of the team, then one of security.
    pub fn ask_in_stages(&mut self) {
        let stage = |name: &str| Stage {
            name: name.to_owned(),
            approvals: 1,
        };
        self.ask_for(|r| r.stages = vec![stage("team"), stage("security")]);
        self.people[0].stage = Some("team");
        self.people[1].stage = Some("security");
    }

    /// Asks mara to confirm her own operation, which she does.
    pub fn ask_for_confirmation(&mut self) {
        self.ask_for(|r| {
            r.by = By::Requester;
            r.approvals = 1;
            r.step_up = StepUp::Oidc;
        });
        self.people.truncate(1);
        self.people[0].sub = "mara";
    }

    pub fn trust(&self) -> Trust<'_> {
        let mut ops = vec![TrustedOp {
            config: self.op.clone(),
            keys: self.op_keys.clone(),
        }];
        ops.extend(self.more_ops.iter().cloned());
        Trust {
            server: self.trusted_server.as_ref().unwrap_or(&self.server),
            server_keys: self.server_keys.clone(),
            pep: self.pep.clone(),
            ops,
            session_secs: SESSION_SECS,
            policy: self
                .policy
                .as_ref()
                .map(|policy| policy as &dyn PolicyCheck),
        }
    }

    /// As the gate judges it, about to execute.
    pub fn release(&self, evidence: &Evidence) -> Result<Verified, Refusal> {
        let rebuilt = Operation::build(self.rebuilt.clone().unwrap_or_else(operation)).unwrap();
        let release = Release {
            me: &self.me,
            rebuilt: &rebuilt,
            asked_at: self.asked_at,
        };
        verify::verify(evidence, &self.trust(), Some(&release), self.now)
    }

    /// As an auditor judges it, later.
    pub fn audit(&self, evidence: &Evidence) -> Result<Verified, Refusal> {
        verify::verify(evidence, &self.trust(), None, self.now)
    }

    /// The request as an agent gets it.
    pub fn open(&self, evidence: &Evidence) -> Result<verify::OpenRequest, Refusal> {
        verify::verify_request_bundle(
            &evidence.request_jws,
            &evidence.ask_jws,
            &countersign_model::b64u_decode(&evidence.operation_b64).unwrap(),
            &self.server,
            &self.server_keys,
            std::slice::from_ref(&self.pep),
            self.now,
        )
    }
}

/// Signs a payload as a document of a type, whatever it says.
pub fn raw(key: &SecretKey, typ: &str, payload: &Value) -> String {
    jose::sign(key, typ, payload)
}

//! The approval server, honest or not: what it answers. What it shows as evidence is in `papers`.

use super::*;

mod papers;

/// What the server does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: it is honest.
    None,
    /// Says approved, shows nothing.
    NoEvidence,
    /// Signs votes itself, with device keys bound by its own provider key.
    OwnOpKey,
    /// A vote with somebody's real binding, signed by another key in its name.
    ForgedVote,
    /// The same, and the vote names that other key.
    OtherKeysVote,
    /// A deny, counted as an approval.
    DenyAsApprove,
    /// Approved another operation, and grants this one.
    SwappedOperation,
    /// Approved another operation in full, and shows that.
    OtherOperation,
    /// Asked people for less.
    LoweredRequirement,
    /// One vote where two are needed.
    OneVote,
    /// One person's vote twice, from two devices.
    OnePersonTwice,
    /// The requester's own vote.
    Requester,
    /// Votes of people who may not vote.
    Outsiders,
    /// A real binding for another server.
    OtherServersBinding,
    /// Old votes, from before this gate asked.
    OldVotes,
    /// Another gate's grant.
    OtherGate,
    /// The grant signed by another key.
    OwnServerKey,
    /// Another request's evidence, complete and for the same operation bytes but another id.
    OtherTxn,
    /// No tokens in the evidence.
    NoTokens,
    /// Approved, but does not redeem.
    RefusesRedeem,
    /// Answers `true` to redeeming, without having redeemed.
    TrueWithoutRedeem,
    /// A vote without the step-up that is asked for.
    NoStepUp,
    /// The step-up of another vote.
    StepUpOfAnotherVote,
    /// A sign-in from before the vote.
    StepUpBeforeTheVote,
    /// Somebody else signed in.
    StepUpBySomebodyElse,
    /// A sign-in that does not reach the authentication context.
    StepUpTooWeak,
    /// No access token that shows consent.
    NoConsent,
    /// Consent to another scope.
    ConsentToAnotherScope,
    /// Consent that is tied to another vote's key.
    ConsentForAnotherVote,
    /// Somebody else confirms what the requester has to confirm in person.
    SomebodyElseConfirms,
    /// People of one stage in both.
    OneGroupInBothStages,
    /// Both votes in the first stage.
    StageOutOfTurn,
    /// A vote of the second stage that names none of the first.
    StageWithoutTheOneBefore,
    /// The provider says by now that a voter left the group.
    LeftTheGroup,
}

#[derive(Debug, Clone)]
struct Opened {
    operation: Operation,
    ask_jws: String,
    requirement: Requirement,
    status: &'static str,
    evidence: Option<Value>,
    redeemed: Option<String>,
    reason: Option<String>,
}

#[derive(Default)]
struct Book {
    opened: HashMap<String, Opened>,
    by_key: HashMap<String, String>,
    outcomes: Vec<Value>,
    cancelled: Vec<String>,
    away: Option<Value>,
    down: bool,
    calls: usize,
    polls: usize,
}

/// The approval server.
#[derive(Clone)]
pub struct Server {
    pub id: ServerId,
    pub lie: Arc<Mutex<Lie>>,
    key: SecretKey,
    pep_key: Arc<SecretKey>,
    policy: Arc<Policy>,
    op: Op,
    clock: Arc<TestClock>,
    book: Arc<Mutex<Book>>,
    changed: Arc<Notify>,
}

impl Server {
    pub async fn start(
        op: &Op,
        policy: Arc<Policy>,
        pep_key: Arc<SecretKey>,
        clock: &Arc<TestClock>,
    ) -> Self {
        let (listener, url) = listen().await;
        let server = Self {
            id: ServerId::parse(&url).unwrap(),
            lie: Arc::new(Mutex::new(Lie::None)),
            key: SecretKey::generate([41; 32]),
            pep_key,
            policy,
            op: op.clone(),
            clock: Arc::clone(clock),
            book: Arc::default(),
            changed: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/countersign/keys", get(keys))
            .route("/access/v1/requests", post(submit))
            .route("/access/v1/requests/{txn}", get(task).delete(cancel))
            .route("/access/v1/requests/{txn}/outcome", post(outcome))
            .route("/access/v1/evaluation", post(redeem))
            .layer(from_fn_with_state(server.clone(), gone))
            .layer(from_fn_with_state(Arc::clone(clock), dated))
            .with_state(server.clone());
        tokio::spawn(serve(router, listener));
        server
    }

    pub fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    pub fn down(&self, down: bool) {
        self.book.lock().unwrap().down = down;
    }

    /// These may vote, and are away; so many others can.
    pub fn away(&self, away: Value, others_can: u32) {
        self.book.lock().unwrap().away = Some(json!([away, others_can]));
    }

    pub fn calls(&self) -> usize {
        self.book.lock().unwrap().calls
    }

    pub fn outcomes(&self) -> Vec<Value> {
        self.book.lock().unwrap().outcomes.clone()
    }

    /// The ids of all requests that were ever opened.
    pub fn known(&self) -> Vec<String> {
        self.book.lock().unwrap().opened.keys().cloned().collect()
    }

    pub fn cancelled(&self) -> Vec<String> {
        self.book.lock().unwrap().cancelled.clone()
    }

    /// Waits until a request is open, and says which.
    pub async fn opened(&self) -> String {
        self.wait(|book| {
            book.opened
                .iter()
                .find(|(_, one)| one.status == "pending")
                .map(|(txn, _)| txn.clone())
        })
        .await
    }

    /// How often gates have looked for a decision.
    pub fn polls(&self) -> usize {
        self.book.lock().unwrap().polls
    }

    /// Waits until gates have looked for a decision so often. One gate heard the answer to each look but the last;
    /// the second look at a request is held until something changes.
    pub async fn polled(&self, count: usize) {
        self.wait(|book| (book.polls >= count).then_some(())).await;
    }

    /// Waits until this many were withdrawn.
    pub async fn withdrawn(&self, count: usize) {
        self.wait(|book| (book.cancelled.len() >= count).then_some(()))
            .await;
    }

    async fn wait<T>(&self, look: impl Fn(&Book) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&self.book.lock().unwrap()) {
                return found;
            }
            changed.await;
        }
    }

    /// People decide; how honestly, says [`Lie`].
    pub fn approve(&self, txn: &str) {
        let lie = *self.lie.lock().unwrap();
        let mut book = self.book.lock().unwrap();
        let opened = book.opened.get_mut(txn).unwrap();
        opened.status = "approved";
        opened.evidence =
            (lie != Lie::NoEvidence).then(|| self.evidence(txn, opened, lie).to_value());
        drop(book);
        self.changed.notify_waiters();
    }

    pub fn end(&self, txn: &str, status: &'static str, reason: Option<&str>) {
        let mut book = self.book.lock().unwrap();
        let opened = book.opened.get_mut(txn).unwrap();
        opened.status = status;
        opened.reason = reason.map(str::to_owned);
        drop(book);
        self.changed.notify_waiters();
    }

    fn task(&self, txn: &str, opened: &Opened, away: Option<&Value>) -> Value {
        let mut task = json!({
            "id": txn, "status": opened.status, "expires_at": self.clock.now().0 + 600,
            "links": { "self": "x", "cancel": "x", "events": "x" },
            "https://countersign.dev/arap/progress": {
                "words": ["amber", "falcon"], "approvals": 0, "needed": opened.requirement.approvals,
                "who_may_vote": "database approvers", "approved_by": [], "reason": opened.reason,
                "denied_by": (opened.status == "denied").then_some("Elin"),
            },
        });
        if let Some(away) = away {
            let progress = &mut task["https://countersign.dev/arap/progress"];
            progress["away"] = away[0].clone();
            progress["others_can"] = away[1].clone();
        }
        if opened.status == "approved" {
            let now = self.clock.now().0;
            task["result"] = json!({
                "mode": "reevaluate",
                "approval": { "id": txn, "approved_at": now, "approved_until": now + 120 },
            });
            if let Some(evidence) = &opened.evidence {
                task["result"]["https://countersign.dev/arap/evidence"] = evidence.clone();
            }
        }
        task
    }
}

async fn gone(
    State(server): State<Server>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let down = {
        let mut book = server.book.lock().unwrap();
        book.calls += 1;
        book.down
    };
    if down {
        StatusCode::BAD_GATEWAY.into_response()
    } else {
        next.run(request).await
    }
}

async fn keys(State(server): State<Server>) -> Json<Value> {
    Json(json!({ "server": [server.key.public().to_jwk()], "peps": [] }))
}

async fn submit(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut tuple = serde_json::Map::new();
    for member in ["subject", "action", "resource", "context"] {
        tuple.insert(member.to_owned(), body[member].clone());
    }
    let operation = Operation::build(Value::Object(tuple)).unwrap();
    let ask_jws = body["ask_jws"].as_str().unwrap().to_owned();
    let ask = Ask::verify(&ask_jws, &server.pep_key.public()).unwrap();
    assert_eq!(ask.operation_digest, operation.digest());
    let task = {
        let mut book = server.book.lock().unwrap();
        let fresh = b64u(&rand::random::<[u8; 12]>());
        let txn = book.by_key.entry(key).or_insert(fresh).clone();
        let away = book.away.clone();
        let opened = book.opened.entry(txn.clone()).or_insert_with(|| Opened {
            operation,
            ask_jws,
            requirement: ask.requirement,
            status: "pending",
            evidence: None,
            redeemed: None,
            reason: None,
        });
        server.task(&txn, opened, away.as_ref())
    };
    server.changed.notify_waiters();
    (StatusCode::ACCEPTED, Json(task)).into_response()
}

async fn task(
    State(server): State<Server>,
    headers: HeaderMap,
    Path(txn): Path<String>,
) -> Response {
    server.book.lock().unwrap().polls += 1;
    server.changed.notify_waiters();
    loop {
        let changed = server.changed.notified();
        {
            let book = server.book.lock().unwrap();
            let Some(opened) = book.opened.get(&txn) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            if opened.status != "pending" || !headers.contains_key("prefer") {
                return Json(server.task(&txn, opened, book.away.as_ref())).into_response();
            }
        }
        changed.await;
    }
}

async fn cancel(State(server): State<Server>, Path(txn): Path<String>) -> Response {
    {
        let mut book = server.book.lock().unwrap();
        book.cancelled.push(txn.clone());
        if let Some(opened) = book.opened.get_mut(&txn) {
            opened.status = "cancelled";
        }
    }
    server.changed.notify_waiters();
    StatusCode::OK.into_response()
}

async fn outcome(
    State(server): State<Server>,
    Path(_): Path<String>,
    Json(body): Json<Value>,
) -> StatusCode {
    server.book.lock().unwrap().outcomes.push(body);
    server.changed.notify_waiters();
    StatusCode::NO_CONTENT
}

async fn redeem(State(server): State<Server>, Json(body): Json<Value>) -> Json<Value> {
    let approval = &body["context"]["approval"];
    let (txn, id) = (
        approval["id"].as_str().unwrap(),
        approval["redemption_id"].as_str().unwrap(),
    );
    let lie = *server.lie.lock().unwrap();
    if lie == Lie::RefusesRedeem {
        return Json(json!({ "decision": false, "context": { "reason": "approval_used" } }));
    }
    if lie == Lie::TrueWithoutRedeem {
        return Json(json!({ "decision": true }));
    }
    let mut book = server.book.lock().unwrap();
    let opened = book.opened.get_mut(txn).unwrap();
    let first = opened.redeemed.get_or_insert_with(|| id.to_owned());
    if first == id {
        Json(json!({ "decision": true, "context": { "redeemed": true } }))
    } else {
        Json(json!({ "decision": false, "context": { "reason": "approval_used" } }))
    }
}

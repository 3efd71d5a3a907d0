//! HTTP bodies: AuthZEN evaluation, ARAP requests, tokens, the approver's calls.
//!
//! Evidence travels as a JSON value: `countersign-evidence` reads it with the strict parser.

mod absence;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use absence::{
    Absence, AbsenceAnswer, AbsenceRequest, AwayView, ColleagueList, ColleagueRef, ColleagueView,
    MAX_ABSENCE_SECS, MAX_AWAY, StandIn,
};

/// The largest body that the server reads, in bytes. An operation is at most 64 KiB; base64 and tokens come on top.
pub const MAX_BODY_BYTES: usize = 512 * 1024;

/// `GET /.well-known/countersign`: what an approver's agent needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WellKnown {
    /// The server id: its `public_url`.
    pub server: String,
    /// Providers that approvers sign in with.
    pub providers: Vec<WellKnownProvider>,
    /// Absolute URLs.
    pub endpoints: Endpoints,
    /// Where the server's keys (`rk`) and the registered gates' keys (`pk`) are.
    pub jwks_uri: String,
    /// The vocabulary's version.
    pub version: u32,
}

/// A provider that approvers sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WellKnownProvider {
    /// The issuer.
    pub issuer: String,
    /// The approver client at this provider.
    pub client_id: String,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// A name for people.
    pub name: String,
    /// The path of the loopback redirect, such as `/callback`.
    pub redirect_path: String,
    /// The only ports of that redirect that the provider takes. Any, where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_ports: Vec<u16>,
    /// How it does a step-up for a vote.
    #[serde(default)]
    pub step_up: ProviderStepUp,
    /// The claim in which it states the authentication context.
    #[serde(default = "acr")]
    pub acr_claim: String,
    /// Whether sign-ins are bound to the device key by the provider too.
    #[serde(default)]
    pub key_binding: ProviderKeyBinding,
}

/// Whether a provider's sign-ins are bound to the device key (OpenID Connect Key Binding), beside the nonce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKeyBinding {
    /// Where the provider offers it.
    #[default]
    Accepted,
    /// Always.
    Required,
    /// Never.
    Refused,
}

fn acr() -> String {
    "acr".to_owned()
}

/// How a provider does a step-up for a vote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStepUp {
    /// It cannot: its people step up with a security key.
    #[default]
    None,
    /// By a fresh sign-in, with consent where a scope is asked for.
    Oidc,
}

/// Absolute URLs of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `POST`: a nonce for a proof of possession.
    pub nonce: String,
    /// `POST`: token exchange and renewal.
    pub token: String,
    /// `GET`: list; below it the single requests.
    pub requests: String,
    /// `GET`: closed requests.
    pub history: String,
    /// `GET`, `DELETE` below it.
    pub bindings: String,
    /// `POST`: newer claims while an approval is open ([`ClaimsRequest`]). Empty: this server takes none.
    #[serde(default)]
    pub claims: String,
    /// `GET`, `PUT`, `DELETE`: being away ([`AbsenceAnswer`], [`AbsenceRequest`]). Empty: this server knows none.
    #[serde(default)]
    pub absence: String,
    /// `GET`: who may stand in ([`ColleagueList`]). Empty: this server knows none.
    #[serde(default)]
    pub colleagues: String,
    /// WebSocket.
    pub stream: String,
}

/// `GET /.well-known/countersign/keys`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    /// The server's keys (`rk`): public JWKs.
    pub server: Vec<Value>,
    /// The registered gates.
    pub peps: Vec<PepKey>,
}

/// A registered gate's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PepKey {
    /// The gate's id.
    pub pep: String,
    /// Its public JWK (`pk`).
    pub jwk: Value,
}

/// `POST /oauth/nonce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceAnswer {
    /// Good for one proof of possession.
    pub nonce: String,
    /// Its life, in seconds.
    pub expires_in: u32,
}

/// `POST /oauth/token`, form-encoded (RFC 8693; renewal by our own grant type).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// [`GRANT_EXCHANGE`] or [`GRANT_RENEW`].
    pub grant_type: String,
    /// Exchange: the ID token. Renewal: a refreshed one, where the provider gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_token: Option<String>,
    /// [`ID_TOKEN_TYPE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_token_type: Option<String>,
    /// Exchange: the binding statement's bytes, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cic: Option<String>,
    /// Renewal: the binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_id: Option<String>,
    /// Proof of possession by the device key, a compact JWS.
    pub proof: String,
    /// What the device calls itself; shown to its owner only. At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// RFC 8693's grant type.
pub const GRANT_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Renewal of an access token by a binding.
pub const GRANT_RENEW: &str = "urn:countersign:params:oauth:grant-type:binding";
/// RFC 8693, section 3.
pub const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
/// RFC 8693, section 3.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The answer of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// Bound to the session key by DPoP.
    pub access_token: String,
    /// Always `DPoP`.
    pub token_type: String,
    /// [`ACCESS_TOKEN_TYPE`].
    pub issued_token_type: String,
    /// Seconds.
    pub expires_in: u32,
    /// `b64u(SHA-256(cic))`.
    pub binding_id: String,
    /// When a full sign-in is needed. Unix seconds.
    pub session_ends_at: i64,
}

/// An error of the token endpoint (RFC 6749, 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenProblem {
    /// Such as `invalid_grant`.
    pub error: String,
    /// One sentence.
    #[serde(default)]
    pub error_description: String,
}

/// RFC 9457. Our extension members stand beside the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// An absolute URI, `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for each problem of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This one: what happened and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// A stable code: the rule that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Where a request stands, on the wire of the approver's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Open.
    Pending,
    /// Enough votes; not yet used.
    Approved,
    /// Used.
    Redeemed,
    /// Denied.
    Denied,
    /// Time ran out.
    Expired,
    /// Taken back.
    Withdrawn,
    /// A vote was revoked before the grant was used.
    Voided,
}

/// A request as an approver's agent gets it: bytes and signatures. The agent renders from the bytes only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestView {
    /// The request's id.
    pub txn: String,
    /// Signed by the server (`rk`).
    pub request_jws: String,
    /// Signed by the gate (`pk`).
    pub ask_jws: String,
    /// The operation's bytes, base64url.
    pub operation_b64: String,
    /// Goes into the vote as `nonce`. Absent where this person cannot vote now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// Where it stands.
    pub state: RequestState,
    /// When it ended. Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Cast votes, in order.
    pub votes: Vec<VoteView>,
    /// Who may vote, in the policy's words: with stages, in the one that is open.
    pub who_may_vote: String,
    /// The stages in order; empty where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageView>,
    /// The stage that is open, and what a vote in it says. Absent where there are none, or all are complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<OpenStage>,
    /// Why this person cannot vote, where they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
    /// Past requests of the same requester on the same resource, oldest first, at most 20.
    #[serde(default)]
    pub before: Vec<BeforeView>,
    /// What is unusual about it, by the server's history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noticed: Vec<Noticed>,
    /// The newest denial of the same operation, save for its nonce, justification and ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_before: Option<DeniedBefore>,
    /// What came of executing it, as the gate reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Others who may vote on it now and are away, at most [`MAX_AWAY`]. Only of an open request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<AwayView>,
    /// Where somebody is away: how many others with a live device may vote on it now. Absent: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_can: Option<u32>,
}

/// Why a person cannot vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locked {
    /// Their own request.
    OwnRequest,
    /// The policy does not let them.
    NotEligible,
    /// They have voted.
    Voted,
    /// Their stage is not open yet.
    NotYet,
    /// It is over.
    Closed,
}

/// A stage of a request's quorum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// Who may vote in it, in the policy's words.
    pub who_may_vote: String,
}

/// The stage that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStage {
    /// Its name: the vote's `stage`.
    pub name: String,
    /// The digests of the votes of the stage before: the vote's `prior`. Empty in the first.
    #[serde(default)]
    pub prior: Vec<String>,
}

/// What is unusual about a request, by the history that this server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noticed {
    /// The requester's first request here.
    FirstTimeRequester,
    /// Their first for this resource.
    FirstTimeResource,
    /// From a device that they have not asked from before.
    NewDevice,
    /// From a place that they have not asked from before.
    NewPlace,
    /// By a client that they have not asked by before.
    NewClient,
}

/// The same operation was denied before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedBefore {
    /// When. Unix seconds.
    pub at: i64,
    /// By whom, as their provider names them.
    pub by: String,
    /// The reason that they gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A past request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeView {
    /// How it ended.
    pub state: RequestState,
    /// When. Unix seconds.
    pub at: i64,
}

/// A cast vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteView {
    /// The vote itself.
    pub jws: String,
    /// The voter's name as their provider states it.
    pub name: String,
    /// The voter's issuer.
    pub iss: String,
    /// The voter's subject.
    pub sub: String,
    /// When the server counted it. Unix seconds.
    pub at: i64,
    /// How it was confirmed, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUpMeans>,
    /// It is an approval that counts no more: its device, its person's session or their claims have ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
}

/// How a vote was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepUpMeans {
    /// By a fresh sign-in at the provider.
    Oidc,
    /// By a security key.
    Webauthn,
}

/// `GET` on the list of open requests that this person sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestList {
    /// Most urgent first, at most 500.
    pub requests: Vec<RequestView>,
    /// The stream's position that this list is at least as new as.
    pub seq: u64,
}

/// Query of `GET /approver/v1/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Comma-separated [`RequestState`]s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Only what this person voted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only what closed or changed after this place: [`HistoryPage::newest`] of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most 100; 50 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of the history, what closed or changed last first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The requests.
    pub requests: Vec<RequestView>,
    /// Where the next page starts.
    pub next: Option<String>,
    /// The newest place there was when this was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// The day of the oldest request of this server, its first second: to tell how far one is. Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<i64>,
}

/// `POST` of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// The compact JWS.
    pub vote: String,
    /// The step-up for this very vote, where the requirement asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUp>,
    /// A newer ID token of the same person: evidence for current claims only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_token: Option<String>,
}

/// A step-up's evidence. `countersign-evidence` judges it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepUp {
    /// A fresh sign-in at the provider.
    Oidc {
        /// Its nonce signs the vote.
        id_token: String,
        /// With the scope that the requirement names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access_token: Option<String>,
    },
    /// A security key that the binding statement lists.
    Webauthn {
        /// Base64url.
        authenticator_data: String,
        /// Base64url.
        client_data_json: String,
        /// Base64url.
        signature: String,
        /// Which key: its thumbprint (RFC 7638).
        key: String,
    },
}

impl std::fmt::Debug for StepUp {
    /// The kind only: tokens never go to a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StepUp::Oidc { .. } => "StepUp::Oidc(..)",
            StepUp::Webauthn { .. } => "StepUp::Webauthn(..)",
        })
    }
}

/// `POST` of newer claims: answers 204. What the provider says newest counts from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimsRequest {
    /// A refreshed ID token of the signed-in person.
    pub claims_token: String,
}

/// The answer to a vote that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteAnswer {
    /// Where the request stands now.
    pub state: RequestState,
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
}

/// A device of the signed-in person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingView {
    /// `b64u(SHA-256(cic))`.
    pub binding_id: String,
    /// What the device calls itself.
    pub device_name: String,
    /// Unix seconds.
    pub bound_at: i64,
    /// Unix seconds.
    pub session_ends_at: i64,
    /// The algorithm of the device key, by its name in JOSE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// When its last vote was counted. Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voted_at: Option<i64>,
}

/// `GET` on bindings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingList {
    /// Live ones, newest first.
    pub bindings: Vec<BindingView>,
}

// --- gates and requesters: AuthZEN Authorization API 1.0 and ARAP -------------------------------

/// `POST /access/v1/evaluation`: the tuple of AuthZEN, plus an approval when redeeming.
///
/// The members stay JSON: the server turns them into an operation with the strict parser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRequest {
    /// AuthZEN.
    pub subject: Value,
    /// AuthZEN.
    pub action: Value,
    /// AuthZEN.
    pub resource: Value,
    /// AuthZEN. `approval` in it redeems: `{ id, redemption_id }`.
    #[serde(default)]
    pub context: Value,
}

/// The answer of AuthZEN evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationAnswer {
    /// The decision.
    pub decision: bool,
    /// Why, and how to ask where it can be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<EvaluationContext>,
}

/// `context` of an evaluation's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluationContext {
    /// A requestable denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_request: Option<AccessRequest>,
    /// Such as `policy_denied`, `approval_used`, `approval_expired`, `approval_unverifiable`, `out_of_scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `request`, `retry` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Redeeming: `true` when this very redemption opened the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed: Option<bool>,
}

/// How to ask for an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Where to submit.
    pub endpoint: String,
    /// Names the denial at submission.
    pub evaluation_id: String,
    /// Unix seconds.
    pub expires_at: i64,
}

/// `POST /access/v1/requests`, with `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// AuthZEN.
    pub subject: Value,
    /// AuthZEN.
    pub action: Value,
    /// AuthZEN.
    pub resource: Value,
    /// AuthZEN.
    pub context: Value,
    /// The denial that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// The gate's signed ask. Its digest must be the tuple's.
    pub ask_jws: String,
}

/// Names the denial that a submission answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// As the evaluation gave it.
    pub evaluation_id: String,
}

/// ARAP's task: `POST` answers 202 with it, `GET` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The request's id.
    pub id: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// The deadline for voting. Unix seconds.
    pub expires_at: i64,
    /// Where to read, cancel and watch it.
    pub links: TaskLinks,
    /// Present once approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// What the requester may be told.
    #[serde(rename = "https://countersign.dev/arap/progress")]
    pub progress: Progress,
}

/// ARAP's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Open.
    Pending,
    /// Approved.
    Approved,
    /// Denied.
    Denied,
    /// Time ran out.
    Expired,
    /// Withdrawn.
    Cancelled,
    /// It can never be approved any more (voided).
    Failed,
}

/// Links of a task, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLinks {
    /// Itself.
    #[serde(rename = "self")]
    pub this: String,
    /// `POST` withdraws.
    pub cancel: String,
    /// Server-sent events.
    pub events: String,
}

/// How a task ended well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Always `reevaluate`.
    pub mode: String,
    /// The approval.
    pub approval: Approval,
    /// The evidence, for the gate only.
    #[serde(
        rename = "https://countersign.dev/arap/evidence",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub evidence: Option<Value>,
}

/// ARAP's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The request's id.
    pub id: String,
    /// Unix seconds.
    pub approved_at: i64,
    /// Unix seconds.
    pub approved_until: i64,
}

/// What a requester is told while waiting, and at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The two matching words.
    pub words: [String; 2],
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// Who can approve, in the policy's words: with stages, in the one that is open.
    pub who_may_vote: String,
    /// The stage that is open, where there are stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Names of those who approved.
    #[serde(default)]
    pub approved_by: Vec<String>,
    /// Who denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<String>,
    /// The reason given with the deny, else with the last approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who may vote on it now and is away, at most [`MAX_AWAY`]. Only of an open request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<AwayView>,
    /// Where somebody is away: how many others with a live device may vote on it now. Absent: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_can: Option<u32>,
}

/// `POST …/outcome`: what came of executing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Executed, or not.
    pub executed: bool,
    /// For HTTP, the upstream's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The rule of the gate that refused, or what went wrong on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The gate's own policy digest.
    pub policy_digest: String,
}

// --- administrators and providers ---------------------------------------------------------------

/// `GET /admin/v1/devices`: live devices, newest first, at most 500.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// The devices.
    pub devices: Vec<DeviceView>,
}

/// A person's device, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// `b64u(SHA-256(cic))`.
    pub binding_id: String,
    /// Whose: the issuer.
    pub iss: String,
    /// Whose: the subject there.
    pub sub: String,
    /// Their name as their provider states it.
    pub name: String,
    /// What the device calls itself.
    pub device_name: String,
    /// Unix seconds.
    pub bound_at: i64,
    /// Unix seconds.
    pub session_ends_at: i64,
}

/// Why a security event token is refused (RFC 8935, 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventProblem {
    /// One of the RFC's codes, such as `invalid_key`.
    pub err: String,
    /// One sentence.
    pub description: String,
}

//! Rows, as the rest of the server sees them.

use countersign_lifecycle::{Choice, Kind, State};
use countersign_model::{Digest, PepId, Subject, Txn, UnixSecs};

/// A request's place: monotonic, so that newer rows stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub i64);

/// The two matching words, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Words(pub [String; 2]);

/// How many open requests (pending or approved) there may be; the writer holds the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLimits {
    /// Of one PEP.
    pub per_pep: u32,
    /// Of one requester.
    pub per_requester: u32,
}

/// A request to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRequest {
    /// Its id.
    pub txn: Txn,
    /// Who asked for it technically.
    pub pep: PepId,
    /// The operation's subject.
    pub requester: Subject,
    /// The operation's resource type.
    pub resource_type: String,
    /// The operation's resource id.
    pub resource_id: String,
    /// The operation's bytes.
    pub operation: Vec<u8>,
    /// Signed by the PEP.
    pub ask_jws: String,
    /// Signed by the server.
    pub request_jws: String,
    /// Its matching words: unique among open requests.
    pub words: Words,
    /// When it was opened.
    pub opened_at: UnixSecs,
    /// When voting ends.
    pub vote_until: UnixSecs,
    /// Digest of what it asks for, apart from its nonce, justification and ticket.
    pub same: Digest,
    /// What of it may be there for the first time. The writer finds out what was.
    pub seen: Vec<(SeenKind, String)>,
    /// Bounds.
    pub limits: OpenLimits,
}

/// What a requester may come with for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeenKind {
    /// Themselves.
    Requester,
    /// A resource that they ask for.
    Resource,
    /// A device.
    Device,
    /// A place.
    Place,
    /// A client.
    Client,
}

impl SeenKind {
    /// Every one.
    pub const ALL: [SeenKind; 5] = [
        SeenKind::Requester,
        SeenKind::Resource,
        SeenKind::Device,
        SeenKind::Place,
        SeenKind::Client,
    ];

    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            SeenKind::Requester => "requester",
            SeenKind::Resource => "resource",
            SeenKind::Device => "device",
            SeenKind::Place => "place",
            SeenKind::Client => "client",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<SeenKind> {
        SeenKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A request with its votes.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRow {
    /// Its place.
    pub key: RequestKey,
    /// Goes up with each change.
    pub version: i64,
    /// See [`NewRequest::txn`].
    pub txn: Txn,
    /// See [`NewRequest::pep`].
    pub pep: PepId,
    /// See [`NewRequest::requester`].
    pub requester: Subject,
    /// See [`NewRequest::resource_type`].
    pub resource_type: String,
    /// See [`NewRequest::resource_id`].
    pub resource_id: String,
    /// See [`NewRequest::operation`].
    pub operation: Vec<u8>,
    /// See [`NewRequest::ask_jws`].
    pub ask_jws: String,
    /// See [`NewRequest::request_jws`].
    pub request_jws: String,
    /// See [`NewRequest::words`].
    pub words: Words,
    /// See [`NewRequest::opened_at`].
    pub opened_at: UnixSecs,
    /// See [`NewRequest::vote_until`].
    pub vote_until: UnixSecs,
    /// Where it stands.
    pub state: State,
    /// Signed by the server, once approved.
    pub grant_jws: Option<String>,
    /// The PEP's report, as JSON.
    pub outcome: Option<String>,
    /// See [`NewRequest::same`].
    pub same: Digest,
    /// What of it was there for the first time when it was opened.
    pub first: Vec<SeenKind>,
    /// Every vote that was counted, in order, also those that no longer are.
    pub votes: Vec<VoteRow>,
}

/// A change of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestUpdate {
    /// Which.
    pub key: RequestKey,
    /// The version that it was judged by.
    pub expected_version: i64,
    /// The new state.
    pub state: State,
    /// When time alone changes it next.
    pub deadline: Option<UnixSecs>,
    /// Set with the quorum; kept when `None`.
    pub grant_jws: Option<String>,
    /// Set with the report; kept when `None`.
    pub outcome: Option<String>,
    /// What a search finds it by from now on; as before when `None`. What is pending is not searched.
    pub search: Option<String>,
}

/// A vote to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVote {
    /// On which request.
    pub request: RequestKey,
    /// Whose.
    pub person: Subject,
    /// Their name, as their provider states it.
    pub name: String,
    /// What they say.
    pub choice: Choice,
    /// SHA-256 of the JWS.
    pub digest: Digest,
    /// The vote.
    pub jws: String,
    /// The reason in it.
    pub reason: Option<String>,
    /// The binding that signed it.
    pub binding: Digest,
    /// The newer ID token that it was judged by, if not the binding's own.
    pub claims_token: Option<String>,
    /// What confirms it, as JSON.
    pub step_up: Option<String>,
    /// When the server counted it.
    pub at: UnixSecs,
}

/// A kept vote with its binding's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct VoteRow {
    /// See [`NewVote::person`].
    pub person: Subject,
    /// See [`NewVote::name`].
    pub name: String,
    /// See [`NewVote::choice`].
    pub choice: Choice,
    /// See [`NewVote::digest`].
    pub digest: Digest,
    /// See [`NewVote::jws`].
    pub jws: String,
    /// See [`NewVote::reason`].
    pub reason: Option<String>,
    /// See [`NewVote::binding`].
    pub binding: Digest,
    /// See [`NewVote::claims_token`]. Newer ones of its device replace it until the request is closed.
    pub claims_token: Option<String>,
    /// See [`NewVote::step_up`].
    pub step_up: Option<String>,
    /// See [`NewVote::at`].
    pub at: UnixSecs,
    /// The binding statement's bytes.
    pub cic: Vec<u8>,
    /// The binding's ID token.
    pub id_token: String,
}

/// A binding to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBinding {
    /// SHA-256 of the statement.
    pub id: Digest,
    /// Whose.
    pub person: Subject,
    /// The statement's bytes.
    pub cic: Vec<u8>,
    /// The ID token that commits to it.
    pub id_token: String,
    /// When the token was issued: the newest claims of a person count.
    pub issued_at: UnixSecs,
    /// When the person signed in. The writer refuses it after a newer revocation of the person.
    pub auth_time: UnixSecs,
    /// The provider's session, where the token names it.
    pub sid: Option<String>,
    /// Thumbprint of the session key.
    pub session_jkt: String,
    /// What the device calls itself.
    pub device_name: String,
    /// When it was bound.
    pub bound_at: UnixSecs,
    /// When its session ends.
    pub session_ends_at: UnixSecs,
    /// The most live bindings that a person may have; the writer holds the line.
    pub max_live: u32,
}

/// A kept binding.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingRow {
    /// See [`NewBinding::id`].
    pub id: Digest,
    /// See [`NewBinding::person`].
    pub person: Subject,
    /// See [`NewBinding::cic`].
    pub cic: Vec<u8>,
    /// See [`NewBinding::id_token`].
    pub id_token: String,
    /// The newest refreshed ID token: current claims only.
    pub claims_token: Option<String>,
    /// See [`NewBinding::session_jkt`].
    pub session_jkt: String,
    /// See [`NewBinding::device_name`].
    pub device_name: String,
    /// See [`NewBinding::bound_at`].
    pub bound_at: UnixSecs,
    /// See [`NewBinding::session_ends_at`].
    pub session_ends_at: UnixSecs,
    /// When it was revoked.
    pub revoked_at: Option<UnixSecs>,
    /// See [`NewBinding::auth_time`].
    pub auth_time: UnixSecs,
    /// See [`NewBinding::sid`].
    pub sid: Option<String>,
}

impl BindingRow {
    /// Neither revoked nor over.
    pub fn is_live(&self, now: UnixSecs) -> bool {
        self.revoked_at.is_none() && now < self.session_ends_at
    }
}

/// The newest ID token of a person, whichever device brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimsRow {
    /// The token.
    pub token: String,
    /// When it was issued.
    pub issued_at: UnixSecs,
}

/// Somebody is away, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsenceRow {
    /// Who.
    pub person: Subject,
    /// From when on.
    pub from: UnixSecs,
    /// Until when.
    pub until: UnixSecs,
    /// Whom they named.
    pub stand_in: Option<Subject>,
    /// The binding by which they said so.
    pub binding: Digest,
    /// Its beginning was told.
    pub begun: bool,
}

/// A denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRow {
    /// When.
    pub at: UnixSecs,
    /// The denier's name.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What serves once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpentKind {
    /// A nonce for a proof of possession.
    PopNonce,
    /// A PEP's token.
    PepToken,
    /// An ask.
    Ask,
    /// A person's fresh sign-in for a vote.
    StepUp,
    /// A key that ties consent to a vote.
    ConsentKey,
    /// A provider's word about a person (a security event, a logout).
    SecurityEvent,
}

impl SpentKind {
    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            SpentKind::PopNonce => "pop_nonce",
            SpentKind::PepToken => "pep_token",
            SpentKind::Ask => "ask",
            SpentKind::StepUp => "step_up",
            SpentKind::ConsentKey => "consent_key",
            SpentKind::SecurityEvent => "security_event",
        }
    }
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 of the body that it came with.
    pub body: Digest,
    /// The request that it opened.
    pub txn: Txn,
}

/// Which of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Words that all have to occur, each as the beginning of a word.
    pub text: Option<String>,
    /// Only these; empty: all that are no longer pending.
    pub kinds: Vec<Kind>,
    /// Only where this person has voted.
    pub voter: Option<Subject>,
    /// Only what closed or changed before this place was taken.
    pub before: Option<HistoryPlace>,
    /// Only what closed or changed after it.
    pub after: Option<HistoryPlace>,
    /// At most so many.
    pub limit: usize,
    /// At most so many are looked at; [`HistoryFilter::MAX_LOOKED_AT`] unless told.
    pub look_at: Option<u32>,
}

impl HistoryFilter {
    /// Rows that one call looks at.
    pub const MAX_LOOKED_AT: u32 = 20_000;
}

/// A place in the history: goes up with each request that closes, and with each change of a closed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryPlace(pub i64);

/// A part of the history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistorySlice {
    /// With their places, newest first.
    pub rows: Vec<(HistoryPlace, RequestRow)>,
    /// What is older is before this place. None: there is nothing older.
    pub next: Option<HistoryPlace>,
}

/// An event for the approvers' streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number, never used twice.
    pub seq: u64,
    /// About which request.
    pub txn: Option<Txn>,
    /// For this person only; `None`: for all who may see the request.
    pub person: Option<Subject>,
    /// What to say, as JSON.
    pub body: String,
}

/// An audit entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Its number.
    pub number: i64,
    /// When.
    pub at: UnixSecs,
    /// About which request.
    pub txn: Option<Txn>,
    /// What, such as `vote` or `vote-refused`.
    pub kind: String,
    /// More of it, as JSON: digests and codes, never operations or tokens.
    pub detail: String,
}

//! A transaction as a value.

use countersign_model::{Digest, PepId, Subject, Txn, UnixSecs};

use crate::rows::{
    AbsenceRow, NewBinding, NewRequest, NewVote, RequestKey, RequestUpdate, SpentKind,
};

/// Everything that one use case changes, with what it expects to find. All of it happens, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tx {
    writes: Vec<Write>,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Opens a request. Expects free words, and bounds that hold.
    OpenRequest(Box<NewRequest>),
    /// Changes a request. Expects its version. With its end its votes are no longer live.
    UpdateRequest(Box<RequestUpdate>),
    /// Keeps a vote.
    CastVote(Box<NewVote>),
    /// A vote no longer counts.
    EndVote {
        /// On which request.
        request: RequestKey,
        /// Which.
        vote: Digest,
    },
    /// Keeps a binding, and its token as the person's newest claims unless newer ones are known. Expects that it
    /// is new, a bound that holds, and a sign-in after the person's newest revocation.
    AddBinding(Box<NewBinding>),
    /// Keeps a newer ID token for a binding. Expects it to be live.
    RefreshBinding {
        /// Which.
        id: Digest,
        /// The token.
        claims_token: String,
    },
    /// Keeps a person's newest claims, unless newer ones are known.
    KeepClaims {
        /// Whose.
        person: Subject,
        /// The token.
        token: String,
        /// When it was issued.
        issued_at: UnixSecs,
    },
    /// Keeps a newer ID token with the live votes of this binding.
    RefreshVotes {
        /// Whose votes.
        binding: Digest,
        /// The token.
        claims_token: String,
    },
    /// Expects that a person's newest claims are not newer than these.
    ExpectClaims {
        /// Whose.
        person: Subject,
        /// When those were issued that were judged.
        issued_at: UnixSecs,
    },
    /// Ends every binding of a person that was made by a sign-in up to a moment.
    RevokeBindings {
        /// Whose.
        person: Subject,
        /// Sign-ins up to this moment.
        signed_in_until: UnixSecs,
        /// Only those of this session at the provider, and those whose session is not known.
        sid: Option<String>,
        /// When.
        at: UnixSecs,
    },
    /// Ends a binding. Expects it not to be revoked.
    RevokeBinding {
        /// Which.
        id: Digest,
        /// When.
        at: UnixSecs,
    },
    /// Sign-ins of this person up to this moment no longer make bindings.
    RevokePerson {
        /// Who.
        person: Subject,
        /// The moment.
        at: UnixSecs,
    },
    /// Somebody is away: in place of what was known of them.
    SetAbsence(AbsenceRow),
    /// The beginning of a person's absence is told. Expects that it was not.
    BeginAbsence(Subject),
    /// A person is back. Expects that they are away, or will be.
    EndAbsence(Subject),
    /// Expects that a binding is not revoked.
    ExpectUnrevoked(Digest),
    /// Uses up what serves once. Expects that it was not.
    Spend {
        /// What it is.
        kind: SpentKind,
        /// Its value.
        value: String,
        /// Until when it has to be remembered.
        until: UnixSecs,
    },
    /// Keeps the counter of a security key. Expects that it has grown, or always was 0: the key does not count.
    CountAssertion {
        /// The key's thumbprint.
        key: String,
        /// What it counted.
        count: u32,
    },
    /// Remembers an idempotency key. Expects that it is new.
    Remember {
        /// Whose key.
        pep: PepId,
        /// The key.
        key: String,
        /// SHA-256 of the body.
        body: Digest,
        /// What it opened.
        txn: Txn,
        /// Until when.
        until: UnixSecs,
    },
    /// An audit entry.
    Entry {
        /// When.
        at: UnixSecs,
        /// About which request.
        txn: Option<Txn>,
        /// What.
        kind: &'static str,
        /// More of it, as JSON.
        detail: String,
    },
    /// An event for the streams: the outbox row, numbered by the store.
    Publish {
        /// When.
        at: UnixSecs,
        /// About which request.
        txn: Option<Txn>,
        /// For whom only.
        person: Option<Subject>,
        /// What to say, as JSON.
        body: String,
    },
    /// The clock has shown this: it does not go back.
    ClockShows(UnixSecs),
    /// Forgets what is over: spent values and keys past their time, events before a moment.
    Prune {
        /// Now.
        now: UnixSecs,
        /// Events older than this go.
        events_before: UnixSecs,
    },
}

impl Tx {
    /// An empty one.
    pub fn new() -> Tx {
        Tx::default()
    }

    /// Adds a write; they happen in order.
    pub fn push(&mut self, write: Write) -> &mut Tx {
        self.writes.push(write);
        self
    }

    /// Its writes.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// All of it is durable.
    Committed,
    /// Nothing of it was kept: an expectation did not hold. Read again, judge again.
    Conflict(Conflict),
}

/// Which expectation did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The request has changed since it was read.
    Version,
    /// The words are those of another open request, or the id is known.
    Words,
    /// This PEP has too many open requests.
    OpenPerPep,
    /// This requester has too many open requests.
    OpenPerRequester,
    /// The binding is known, or this very vote is.
    Exists,
    /// The person has too many live bindings.
    TooManyBindings,
    /// The binding is revoked.
    Revoked,
    /// The person was signed out after this sign-in.
    SignedOut,
    /// Newer claims of the person are known.
    Claims,
    /// The person is not away.
    NotAway,
    /// It was spent.
    Spent(SpentKind),
    /// The security key has counted further before: it is not the only one of its kind.
    Counter,
    /// The idempotency key is known.
    Remembered,
}

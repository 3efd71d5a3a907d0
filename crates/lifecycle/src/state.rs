//! What an approval is at a moment: the terms it was opened with, and its state.

use std::collections::BTreeSet;

use countersign_model::{By, Digest, Person, Stage, Subject, UnixSecs};

/// What an approval was opened with. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Who votes: others, or the requester in person.
    pub by: By,
    /// How many distinct people must approve. At least 1.
    pub approvals: u32,
    /// Where they are given in stages: in order, and `approvals` is their sum. Empty where there are none.
    pub stages: Vec<Stage>,
    /// The operation's subject.
    pub requester: Subject,
    /// Everyone in the operation's chain of actors: they count as requesters too.
    pub acting: BTreeSet<Subject>,
    /// Voting ends here: at this second it is over.
    pub vote_until: UnixSecs,
    /// How long after its newest vote a grant may be redeemed, in seconds.
    pub grant_secs: u32,
}

impl Terms {
    /// Whether this account asked for it, in person or through an actor.
    pub fn is_requester(&self, account: &Subject) -> bool {
        *account == self.requester || self.acting.contains(account)
    }

    /// The place of the first stage that these votes do not complete.
    pub(crate) fn open_stage(&self, votes: &[CountedVote]) -> Option<usize> {
        self.stages
            .iter()
            .position(|stage| votes_of(stage, votes).count() < stage.approvals as usize)
    }

    /// What a vote of this stage has to name: the votes of the stage before.
    pub(crate) fn prior_of(&self, stage: usize, votes: &[CountedVote]) -> Vec<Digest> {
        let before = stage
            .checked_sub(1)
            .and_then(|before| self.stages.get(before));
        before.map_or_else(Vec::new, |before| {
            votes_of(before, votes).map(|vote| vote.digest).collect()
        })
    }
}

fn votes_of<'v>(
    stage: &'v Stage,
    votes: &'v [CountedVote],
) -> impl Iterator<Item = &'v CountedVote> {
    votes
        .iter()
        .filter(|vote| vote.stage.as_deref() == Some(&*stage.name))
}

/// An approve that counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountedVote {
    /// Whose account it is.
    pub subject: Subject,
    /// Whom it counts for: two accounts may be one person.
    pub person: Person,
    /// Its stage, where there are stages.
    pub stage: Option<String>,
    /// The votes of the stage before, as this one names them. It falls with any of them.
    pub prior: Vec<Digest>,
    /// SHA-256 of the vote's compact JWS.
    pub digest: Digest,
    /// The device's binding that signed it.
    pub binding: Digest,
    /// When it was signed.
    pub signed_at: UnixSecs,
}

/// Where an approval stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Open for votes.
    Pending(Pending),
    /// Enough approves; not yet used.
    Approved(Approved),
    /// Used.
    Redeemed(Redeemed),
    /// Somebody denied.
    Denied(Denied),
    /// Time ran out, for votes or for the grant.
    Expired(Expired),
    /// Taken back.
    Withdrawn(Withdrawn),
    /// A vote was revoked before the grant was used.
    Voided(Voided),
}

/// Open for votes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pending {
    /// Approves so far, in order. A deny is never among them: it closes.
    pub votes: Vec<CountedVote>,
}

/// Enough approves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Approved {
    /// The quorum.
    pub votes: Vec<CountedVote>,
    /// When it was complete.
    pub at: UnixSecs,
    /// Redeemable before this second.
    pub until: UnixSecs,
}

/// Used, once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Redeemed {
    /// The quorum.
    pub votes: Vec<CountedVote>,
    /// When it was complete.
    pub approved_at: UnixSecs,
    /// When the grant's time would have ended.
    pub until: UnixSecs,
    /// When it was used.
    pub at: UnixSecs,
    /// By which redemption of the PEP.
    pub redemption_id: String,
    /// Digest of what the PEP reported of executing it, once it did.
    pub outcome: Option<Digest>,
}

/// Denied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Denied {
    /// Approves that had been counted.
    pub votes: Vec<CountedVote>,
    /// Who denied.
    pub by: Subject,
    /// The deny itself.
    pub deny: Digest,
    /// When it was counted.
    pub at: UnixSecs,
}

/// Expired.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expired {
    /// Approves that had been counted.
    pub votes: Vec<CountedVote>,
    /// The deadline that passed.
    pub at: UnixSecs,
}

/// Withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Withdrawn {
    /// Approves that had been counted.
    pub votes: Vec<CountedVote>,
    /// By whom.
    pub by: WithdrawnBy,
    /// When.
    pub at: UnixSecs,
}

/// Who took a request back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WithdrawnBy {
    /// The person who asked.
    Requester,
    /// The PEP, because its caller went away.
    Pep,
}

/// Void: approved, then a vote lost its ground.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Voided {
    /// The votes that still stood.
    pub votes: Vec<CountedVote>,
    /// The vote that lost its ground.
    pub vote: Digest,
    /// When.
    pub at: UnixSecs,
}

/// A state without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// See [`State::Pending`].
    Pending,
    /// See [`State::Approved`].
    Approved,
    /// See [`State::Redeemed`].
    Redeemed,
    /// See [`State::Denied`].
    Denied,
    /// See [`State::Expired`].
    Expired,
    /// See [`State::Withdrawn`].
    Withdrawn,
    /// See [`State::Voided`].
    Voided,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 7] = [
        Kind::Pending,
        Kind::Approved,
        Kind::Redeemed,
        Kind::Denied,
        Kind::Expired,
        Kind::Withdrawn,
        Kind::Voided,
    ];

    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Pending => "pending",
            Kind::Approved => "approved",
            Kind::Redeemed => "redeemed",
            Kind::Denied => "denied",
            Kind::Expired => "expired",
            Kind::Withdrawn => "withdrawn",
            Kind::Voided => "voided",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether nothing can follow it.
    pub fn is_final(self) -> bool {
        match self {
            Kind::Pending | Kind::Approved => false,
            Kind::Redeemed | Kind::Denied | Kind::Expired | Kind::Withdrawn | Kind::Voided => true,
        }
    }
}

impl State {
    /// A request that was just opened.
    pub fn opened() -> State {
        State::Pending(Pending::default())
    }

    /// Which state it is.
    pub fn kind(&self) -> Kind {
        match self {
            State::Pending(_) => Kind::Pending,
            State::Approved(_) => Kind::Approved,
            State::Redeemed(_) => Kind::Redeemed,
            State::Denied(_) => Kind::Denied,
            State::Expired(_) => Kind::Expired,
            State::Withdrawn(_) => Kind::Withdrawn,
            State::Voided(_) => Kind::Voided,
        }
    }

    /// The approves that count, or counted when it ended.
    pub fn votes(&self) -> &[CountedVote] {
        match self {
            State::Pending(it) => &it.votes,
            State::Approved(it) => &it.votes,
            State::Redeemed(it) => &it.votes,
            State::Denied(it) => &it.votes,
            State::Expired(it) => &it.votes,
            State::Withdrawn(it) => &it.votes,
            State::Voided(it) => &it.votes,
        }
    }

    /// The stage that votes are for now; none where there are no stages, or nothing is open.
    pub fn open_stage<'t>(&self, terms: &'t Terms) -> Option<&'t Stage> {
        let State::Pending(Pending { votes }) = self else {
            return None;
        };
        terms
            .open_stage(votes)
            .and_then(|place| terms.stages.get(place))
    }

    /// What the next vote has to name: the votes of the stage before the open one.
    pub fn prior(&self, terms: &Terms) -> Vec<Digest> {
        let open = terms.open_stage(self.votes());
        open.map_or_else(Vec::new, |place| terms.prior_of(place, self.votes()))
    }

    /// When it was decided or closed. `None` while it is pending. A redeemed one ended when it was used.
    pub fn ended_at(&self) -> Option<UnixSecs> {
        match self {
            State::Pending(_) => None,
            State::Approved(it) => Some(it.at),
            State::Redeemed(it) => Some(it.at),
            State::Denied(it) => Some(it.at),
            State::Expired(it) => Some(it.at),
            State::Withdrawn(it) => Some(it.at),
            State::Voided(it) => Some(it.at),
        }
    }

    /// When time alone changes it next.
    pub fn deadline(&self, terms: &Terms) -> Option<UnixSecs> {
        match self {
            State::Pending(_) => Some(terms.vote_until),
            State::Approved(it) => Some(it.until),
            State::Redeemed(_)
            | State::Denied(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_) => None,
        }
    }
}

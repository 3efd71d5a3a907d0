//! The card of one request, and the ballot on it: what the window draws, and nothing that is signed.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{AwayLine, Choice, Execution, KeyWaits, Line, Outcome, Problem, Row};

/// Everything on the sheet of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Card {
    /// The row of the same request.
    pub row: Row,
    /// The gate that asks.
    pub gate: Line,
    /// The sentence: who asks to verb from thing in resource.
    pub sentence: Line,
    /// The policy's words about undoing, such as `Cannot be undone`.
    pub stamp: Option<Line>,
    /// Fields lifted to the head by the policy.
    pub lifted: Vec<Field>,
    /// How many characters on the card were made visible.
    pub made_visible: u32,
    /// The operation.
    pub exhibit: Exhibit,
    /// What of it is new, where it can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// Who asks, as the provider vouches.
    pub who: Identity,
    /// The requester's own words and what the client says: nobody has checked them.
    pub why: Vec<Field>,
    /// Past requests of this person on this resource, oldest first.
    pub before: Vec<Before>,
    /// What is unusual about it, according to the server.
    pub noticed: Vec<Noticed>,
    /// The same was denied before, according to the server.
    pub denied_before: Option<DeniedBefore>,
    /// The stages of the approval, in order; none where it has none.
    pub stages: Vec<StageLine>,
    /// Who votes on it.
    pub by: By,
    /// This person's approval counts, and a deny can still take it back.
    pub take_back: bool,
    /// Cast votes, in order.
    pub votes: Vec<VoteLine>,
    /// What came of running it, once the gate has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// Who may vote, in the policy's words.
    pub who_may_vote: Line,
    /// Who may vote and is away, according to the server.
    pub away: Vec<AwayLine>,
    /// Where somebody is away: how many others may vote and have a device that is signed in, as far as the server counted.
    pub others_can: Option<u32>,
    /// Digests, policy, requirement.
    pub record: Vec<Field>,
    /// The operation's bytes as text, made visible, one line each.
    pub raw: Vec<Line>,
    /// The two matching words. Absent when they have to be typed.
    pub words: Option<Vec<String>>,
    /// Whether, and how, this person can vote on it now.
    pub ballot: Ballot,
    /// SHA-256 of the plain-text card (base64url): goes into the vote, and back with `Call::Vote`.
    pub display_digest: String,
}

/// A label and its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Field {
    /// Stable name: the window's catalogue may translate it, else it is shown as it is.
    pub label: String,
    /// The content.
    pub lines: Vec<Line>,
}

/// The operation itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Exhibit {
    /// The line on top: method and address, or the like.
    pub title: Line,
    /// All of it.
    pub lines: Vec<Line>,
    /// What else is sent on: headers, size and digest of the body.
    pub details: Vec<Field>,
}

/// What is new beside the last operation like it (of the same requester, action and resource) that this person approved
/// from this device, and that was run. A help for the eye and nothing else: all of it is shown, and signed for, all the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Since {
    /// When that one was run. Unix seconds.
    #[ts(type = "number")]
    pub at: i64,
    /// Spans that it did not have: from, and up to but not including, counted through the title, the lines and the lines of
    /// the details of the exhibit. None: it is the same, but for what is gone.
    pub fresh: Vec<(u32, u32)>,
    /// How many of its spans are not here.
    pub gone: u32,
}

/// A party, as somebody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Identity {
    /// What kind of party it is.
    pub party: Party,
    /// Who vouches: the provider's issuer.
    pub issuer: Line,
    /// Through whom we know: the gate that checked the token.
    pub according_to: Line,
    /// The person's name, or what the provider states instead.
    pub name: Line,
    /// The subject.
    pub sub: Line,
    /// How and when they signed in.
    pub authenticated: Authenticated,
    /// Who acts on their behalf, outermost first (RFC 8693, `act`): programs, AI agents, other people.
    pub actors: Vec<Actor>,
    /// Claims, in a fixed order; one that is missing has no lines. The same as above is among them.
    pub claims: Vec<Field>,
    /// What the gate says by itself about device and place: no provider vouches for it.
    pub reported: Vec<Field>,
}

/// What kind of party somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// A person.
    Person,
    /// A program with an identity of its own: a CI job, a service.
    Workload,
}

/// How and when the requester signed in, as the provider says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Authenticated {
    /// When. Unix seconds.
    #[ts(type = "number | null")]
    pub auth_time: Option<i64>,
    /// By what means.
    pub amr: Vec<Line>,
    /// To which level.
    pub acr: Option<Line>,
}

/// One who acts on the requester's behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Actor {
    /// The subject.
    pub name: Line,
    /// Who vouches for it.
    pub issuer: Line,
}

/// An earlier denial of the same operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DeniedBefore {
    /// When. Unix seconds.
    #[ts(type = "number")]
    pub at: i64,
    /// By whom.
    pub by: Line,
    /// The reason that they gave.
    pub reason: Option<Line>,
}

/// Something unusual about a request, from the server's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Noticed {
    /// The requester never asked for this resource before.
    FirstTimeResource,
    /// Nobody has seen this requester before.
    FirstTimeRequester,
    /// A device that this requester did not use before.
    NewDevice,
    /// A place that this requester was not at before.
    NewPlace,
    /// A program that this requester did not use before.
    NewClient,
}

/// One stage of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct StageLine {
    /// Its name in the policy.
    pub name: Line,
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// Who votes in it, in the policy's words.
    pub who: Line,
    /// Where it stands.
    pub state: StageState,
    /// It is the one that this person's vote counts in.
    pub mine: bool,
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// It has its approvals.
    Complete,
    /// It is the one that is voted on now.
    Open,
    /// A stage before it comes first.
    Waiting,
}

/// What approving takes beside the click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct StepUpAsked {
    /// How.
    pub means: Means,
    /// Where: the provider's name for people.
    pub provider_name: String,
    /// The level that the sign-in must reach.
    pub acr: Option<Line>,
    /// The scope that the provider asks consent for.
    pub scope: Option<Line>,
}

/// How a vote is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// By a fresh sign-in at the provider, in the browser.
    Oidc,
    /// By a security key.
    Webauthn,
}

/// Who votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Others than the requester.
    Others,
    /// The requester in person, who confirms their own operation.
    Requester,
}

/// A past request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Before {
    /// How it ended.
    pub outcome: Outcome,
    /// When. Unix seconds.
    #[ts(type = "number")]
    pub at: i64,
}

/// A cast vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct VoteLine {
    /// Who.
    pub name: Line,
    /// Subject and issuer.
    pub subject: Line,
    /// What.
    pub choice: Choice,
    /// When. Unix seconds.
    #[ts(type = "number")]
    pub at: i64,
    /// What they said.
    pub reason: Option<Line>,
    /// The device's binding, and its kind of key.
    pub device: Line,
    /// It is this person's.
    pub mine: bool,
    /// The stage that it was cast in.
    pub stage: Option<Line>,
    /// How it was confirmed, where it was, according to the server.
    pub step_up: Option<Means>,
}

/// Whether and how this person can vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "ballot", rename_all = "snake_case")]
pub enum Ballot {
    /// They can.
    Open {
        /// Whether the words must be typed.
        type_words: bool,
        /// Whether Approve is held down, not clicked.
        hold: bool,
        /// When a reason is needed.
        reason: ReasonRule,
        /// What approving takes beside the click, where the policy asks for a confirmation.
        step_up: Option<StepUpAsked>,
    },
    /// They approved, and the confirmation that the policy asks for is under way: nothing counts before it is done.
    StepUp {
        /// What it takes.
        asked: StepUpAsked,
        /// Where it stands.
        phase: StepUpPhase,
    },
    /// They cannot now; the sentence says why.
    Locked {
        /// Why.
        why: WhyLocked,
        /// In plain words.
        sentence: String,
    },
}

/// Where the confirmation of a vote stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum StepUpPhase {
    /// The vote is signed; the browser is about to open, or the security key to ask.
    Preparing,
    /// The browser is open at the provider.
    WaitingForBrowser {
        /// For a person whose browser did not open: the address to open by hand.
        url: String,
        /// Since when. Unix seconds.
        #[ts(type = "number")]
        since: i64,
    },
    /// The security key waits for the person.
    WaitingForKey {
        /// What for.
        waits: KeyWaits,
        /// Since when. Unix seconds.
        #[ts(type = "number")]
        since: i64,
    },
    /// It was confirmed; the vote is on its way.
    Sending,
    /// It did not work. Nothing was approved.
    Failed {
        /// What happened, and what to do.
        problem: Problem,
        /// `Call::RetryStepUp` may help: the signed vote is kept.
        retry: bool,
    },
}

/// Why a vote is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum WhyLocked {
    /// They asked for it themselves.
    OwnRequest,
    /// The policy does not let them vote.
    NotEligible,
    /// They have voted.
    Voted,
    /// The stage that they vote in is not open yet.
    NotYet,
    /// It is over.
    Closed,
    /// No connection: nothing is voted from stale data.
    Offline,
    /// It needs a confirmation that this account cannot give: a provider that cannot, a security key that is not there.
    NotSupported,
}

/// When a reason is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ReasonRule {
    /// Never.
    Optional,
    /// To deny.
    OnDeny,
    /// Always.
    Always,
}

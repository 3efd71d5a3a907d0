//! One request, verified before anything of it is shown, and its row and card.
//!
//! INVARIANT: rows, cards and display digests come from the [`OpenRequest`] alone, which only verification
//! makes; what the server merely says (names of voters, who may vote, past requests) stands beside it and is
//! never part of what is signed. Of that only the open stage goes into a vote, where it is checked against the
//! votes themselves by every gate.

mod entry;

use std::collections::BTreeSet;

use countersign_api::http::{
    AwayView, BeforeView, DeniedBefore, Locked, Noticed, OpenStage, RequestState, RequestView,
    StageView, VoteView,
};
use countersign_api::ipc::{
    self, Ballot, Before, Card, Choice, Connection, Kind, Outcome, Party, Problem, ReasonRule, Row,
    StageLine, StageState, StepUpAsked, StepUpPhase, VoteLine, WhyLocked,
};
use countersign_display as display;
use countersign_evidence::PublicKey;
use countersign_evidence::documents::{Request, Vote, vote};
use countersign_evidence::jose;
use countersign_evidence::verify::{OpenRequest, read_request_bundle, verify_request_bundle};
use countersign_model::{
    By, Digest, MatchWords, PepId, Requirement, ServerId, StepUp, Subject, UnixSecs, b64u_decode,
};

use crate::problem::not_genuine;
use crate::wire;

/// Whose signatures count.
pub(crate) struct Pins<'a> {
    /// Whose request it is: the account's name in calls.
    pub(crate) account: &'a str,
    pub(crate) server: &'a ServerId,
    pub(crate) server_keys: &'a [PublicKey],
    pub(crate) pep_keys: &'a [(PepId, PublicKey)],
    /// This device's own binding, and its key.
    pub(crate) device: (Digest, &'a PublicKey),
}

/// A request, as it was last read.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) txn: String,
    pub(crate) content: Content,
    pub(crate) state: RequestState,
    pub(crate) challenge: Option<String>,
    pub(crate) locked: Option<Locked>,
    /// The stage that is open, and the votes that a vote in it builds on.
    pub(crate) stage: Option<Stage>,
    said: Said,
    row: Row,
}

/// What a vote in the open stage says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) prior: Vec<Digest>,
}

/// What the server says beside the request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    who_may_vote: String,
    stages: Vec<StageView>,
    before: Vec<BeforeView>,
    noticed: Vec<Noticed>,
    denied_before: Option<DeniedBefore>,
    away: Vec<AwayView>,
    others_can: Option<u32>,
    execution: Option<ipc::Execution>,
}

/// What a card shows beside its request.
pub(crate) struct Around<'a> {
    /// Who looks at it.
    pub(crate) me: &'a Subject,
    pub(crate) now: UnixSecs,
    pub(crate) connection: Connection,
    /// The person's provider, by its name for people.
    pub(crate) provider_name: &'a str,
    /// Why this account cannot give the confirmation that the requirement asks for.
    pub(crate) cannot_confirm: Option<String>,
    /// A confirmation that is under way, or failed.
    pub(crate) phase: Option<StepUpPhase>,
}

/// What came of verifying it.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// It holds.
    Genuine(Box<Genuine>),
    /// It does not, and nothing of it is shown.
    NotGenuine {
        /// Why.
        sentence: String,
        /// When it claims to end: good for sorting rows.
        claimed_end: i64,
    },
}

/// A request that holds.
#[derive(Debug, Clone)]
pub(crate) struct Genuine {
    pub(crate) open: OpenRequest,
    /// Over the plain text of its card.
    pub(crate) display_digest: Digest,
    votes: Vec<CastVote>,
}

/// A vote, and what the server says about the voter.
#[derive(Debug, Clone)]
struct CastVote {
    vote: Vote,
    alg: &'static str,
    name: String,
    at: i64,
    digest: Digest,
    step_up: Option<ipc::Means>,
    /// The server says that it counts no more.
    void: bool,
    /// It bears the signature of this device.
    from_here: bool,
}

/// Whether a pending request can still be voted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timely {
    InTime,
    Over,
}

/// What the server sent of it.
struct Parts<'a> {
    txn: &'a str,
    request_jws: &'a str,
    ask_jws: &'a str,
    operation_b64: &'a str,
}

impl Item {
    /// Reads and verifies what the server sent.
    pub(crate) fn read(view: RequestView, pins: &Pins<'_>, now: UnixSecs) -> Self {
        let RequestView {
            txn,
            request_jws,
            ask_jws,
            operation_b64,
            challenge,
            state,
            ended_at,
            votes,
            who_may_vote,
            stages,
            stage,
            locked,
            before,
            noticed,
            denied_before,
            away,
            others_can,
            outcome: ran,
        } = view;
        let mut state = state;
        let parts = Parts {
            txn: &txn,
            request_jws: &request_jws,
            ask_jws: &ask_jws,
            operation_b64: &operation_b64,
        };
        let content = match genuine(&parts, votes, pins, state, now) {
            Ok((genuine, Timely::InTime)) => Content::Genuine(Box::new(genuine)),
            Ok((genuine, Timely::Over)) => {
                // The server will say so in a moment; nobody votes meanwhile.
                state = RequestState::Expired;
                Content::Genuine(Box::new(genuine))
            }
            Err(sentence) => {
                tracing::warn!(%txn, "a request does not verify: {sentence}");
                let claimed_end =
                    Request::unverified(&request_jws).map_or(now.0, |(_, request)| request.exp.0);
                Content::NotGenuine {
                    sentence,
                    claimed_end,
                }
            }
        };
        let row = row(&txn, pins.account, &content, state, ended_at);
        Self {
            txn,
            content,
            state,
            challenge,
            locked,
            stage: stage.and_then(Stage::read),
            said: Said {
                who_may_vote,
                stages,
                before,
                noticed,
                denied_before,
                away,
                others_can,
                execution: ran.map(wire::execution),
            },
            row,
        }
    }

    /// Whether a person would see the same.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        self.row == other.row
            && self.locked == other.locked
            && self.challenge.is_some() == other.challenge.is_some()
            && self.said == other.said
            && self.stage == other.stage
            && self.genuine().map(|genuine| genuine.display_digest).ok()
                == other.genuine().map(|genuine| genuine.display_digest).ok()
    }

    /// The verified content, or the refusal that stands for its card.
    pub(crate) fn genuine(&self) -> Result<&Genuine, Problem> {
        match &self.content {
            Content::Genuine(genuine) => Ok(genuine),
            Content::NotGenuine { sentence, .. } => Err(not_genuine(sentence)),
        }
    }

    /// Waiting for this person.
    pub(crate) fn is_for_me(&self) -> bool {
        self.state == RequestState::Pending && self.locked.is_none()
    }

    /// Whose approval was the last one, where it was approved.
    pub(crate) fn completed_by(&self) -> Option<ipc::Line> {
        let approved = matches!(self.state, RequestState::Approved | RequestState::Redeemed);
        let votes = self.genuine().ok().filter(|_| approved)?.votes.iter();
        let last = votes
            .filter(|cast| cast.vote.vote == vote::Choice::Approve && !cast.void)
            .max_by_key(|cast| cast.at)?;
        Some(wire::safe(&last.name, display::Role::Name))
    }

    /// Its row in a list.
    pub(crate) fn row(&self) -> Row {
        self.row.clone()
    }

    /// Its card.
    pub(crate) fn card(&self, around: Around<'_>) -> Result<Card, Problem> {
        let genuine = self.genuine()?;
        let display::Card {
            kind: _, // In the row.
            gate,
            sentence,
            stamp,
            lifted,
            made_visible,
            exhibit,
            who,
            why,
            record,
            raw,
            words,
            .. // The requirement's canonical form is for the plain text only.
        } = genuine.render();
        let requirement = &genuine.open.request().requirement;
        let typed = requirement.match_words == MatchWords::Words;
        let Said {
            who_may_vote,
            stages,
            before,
            noticed,
            denied_before,
            away,
            others_can,
            execution,
        } = &self.said;
        // Whose time is over meanwhile is back, whether or not the server could say so.
        let away: Vec<_> = away
            .iter()
            .filter(|away| away.until > around.now.0)
            .collect();
        Ok(Card {
            row: self.row(),
            gate: wire::line(gate),
            sentence: wire::line(sentence),
            stamp: stamp.map(wire::line),
            lifted: wire::fields(lifted),
            made_visible,
            exhibit: wire::exhibit(exhibit),
            since: None, // Beside the request: `crate::since`.
            who: wire::identity(who),
            why: wire::fields(why),
            before: before
                .iter()
                .map(|BeforeView { state, at }| Before {
                    outcome: outcome(*state),
                    at: *at,
                })
                .collect(),
            noticed: noticed.iter().copied().map(wire::noticed).collect(),
            denied_before: denied_before.as_ref().map(wire::denied_before),
            stages: stages.iter().map(|stage| self.stage_line(stage)).collect(),
            by: match requirement.by {
                By::Others => ipc::By::Others,
                By::Requester => ipc::By::Requester,
            },
            take_back: self.can_be_taken_back(around.me),
            votes: genuine
                .votes
                .iter()
                .map(|cast| cast.line(around.me))
                .collect(),
            execution: execution.clone(),
            who_may_vote: wire::safe(who_may_vote, display::Role::Data),
            others_can: others_can.filter(|_| !away.is_empty()),
            away: away.into_iter().map(wire::away).collect(),
            record: wire::fields(record)
                .into_iter()
                .chain([ipc::Field {
                    label: "policy_digest".to_owned(),
                    lines: vec![wire::safe(
                        &genuine.open.request().policy_digest.to_string(),
                        display::Role::Data,
                    )],
                }])
                .collect(),
            raw: wire::lines(raw),
            words: (!typed).then(|| words.to_vec()),
            ballot: self.ballot(&genuine.open, around),
            display_digest: genuine.display_digest.to_string(),
        })
    }

    /// This person's approval counts, and the server still takes a deny in its place.
    pub(crate) fn can_be_taken_back(&self, me: &Subject) -> bool {
        let open = match (self.state, self.locked) {
            (RequestState::Pending, Some(Locked::Voted)) => true,
            // Closed for votes, but not used: the challenge says that a deny is still taken.
            (RequestState::Approved, Some(Locked::Voted | Locked::Closed)) => {
                self.challenge.is_some()
            }
            (
                RequestState::Pending
                | RequestState::Approved
                | RequestState::Redeemed
                | RequestState::Denied
                | RequestState::Expired
                | RequestState::Withdrawn
                | RequestState::Voided,
                _,
            ) => false,
        };
        open && self
            .genuine()
            .is_ok_and(|genuine| genuine.approved_by(me).is_some())
    }

    fn stage_line(&self, stage: &StageView) -> StageLine {
        let StageView {
            name,
            approvals,
            needed,
            who_may_vote,
        } = stage;
        let is_open = self.stage.as_ref().is_some_and(|open| open.name == *name);
        StageLine {
            name: wire::safe(name, display::Role::Name),
            approvals: *approvals,
            needed: *needed,
            who: wire::safe(who_may_vote, display::Role::Data),
            state: if approvals >= needed {
                StageState::Complete
            } else if is_open {
                StageState::Open
            } else {
                StageState::Waiting
            },
            mine: is_open && self.is_for_me(),
        }
    }

    fn ballot(&self, open: &OpenRequest, around: Around<'_>) -> Ballot {
        let requirement = &open.request().requirement;
        let locked = |why, sentence: &str| Ballot::Locked {
            why,
            sentence: sentence.to_owned(),
        };
        match self.locked {
            Some(Locked::OwnRequest) => {
                return locked(
                    WhyLocked::OwnRequest,
                    "You asked for this yourself: somebody else decides.",
                );
            }
            Some(Locked::NotEligible) => {
                return locked(
                    WhyLocked::NotEligible,
                    "The policy does not let you vote on this.",
                );
            }
            Some(Locked::Voted) => return locked(WhyLocked::Voted, "You have voted."),
            Some(Locked::NotYet) => {
                return locked(
                    WhyLocked::NotYet,
                    "Others vote first. You are told when it is your turn.",
                );
            }
            Some(Locked::Closed) => return locked(WhyLocked::Closed, ended(self.state)),
            None if self.state != RequestState::Pending => {
                return locked(WhyLocked::Closed, ended(self.state));
            }
            None => {}
        }
        if self.challenge.is_none() {
            return locked(
                WhyLocked::NotEligible,
                "The server does not let you vote on this now.",
            );
        }
        let asked = confirmation(requirement).map(|means| StepUpAsked {
            means,
            provider_name: around.provider_name.to_owned(),
            acr: requirement
                .acr
                .as_deref()
                .map(|acr| wire::safe(acr, display::Role::Data)),
            scope: requirement
                .scope
                .as_deref()
                .map(|scope| wire::safe(scope, display::Role::Data)),
        });
        if let Some(phase) = around.phase {
            // Without a requirement it is the claims that the provider renews only in the browser.
            let asked = asked.unwrap_or_else(|| StepUpAsked {
                means: ipc::Means::Oidc,
                provider_name: around.provider_name.to_owned(),
                acr: None,
                scope: None,
            });
            return Ballot::StepUp { asked, phase };
        }
        if let (Some(_), Some(sentence)) = (&asked, around.cannot_confirm) {
            return locked(WhyLocked::NotSupported, &sentence);
        }
        match around.connection {
            Connection::Connected => Ballot::Open {
                type_words: requirement.match_words == MatchWords::Words,
                hold: requirement.hold,
                reason: match requirement.reason {
                    countersign_model::ReasonRule::Optional => ReasonRule::Optional,
                    countersign_model::ReasonRule::OnDeny => ReasonRule::OnDeny,
                    countersign_model::ReasonRule::Always => ReasonRule::Always,
                },
                step_up: asked,
            },
            Connection::SignedOut | Connection::Connecting | Connection::Reconnecting => locked(
                WhyLocked::Offline,
                "There is no connection to the server. Voting opens again when it is back.",
            ),
        }
    }
}

impl Stage {
    /// `None` when the server names something that no vote can say: the vote then says nothing, and is refused.
    fn read(stage: OpenStage) -> Option<Self> {
        let OpenStage { name, prior } = stage;
        let prior = prior.iter().map(|digest| Digest::parse(digest).ok());
        Some(Self {
            name: Some(name).filter(|name| countersign_model::Stage::is_name(name))?,
            prior: prior.collect::<Option<Vec<_>>>()?,
        })
    }
}

/// How an approval has to be confirmed, where it has.
pub(crate) fn confirmation(requirement: &Requirement) -> Option<ipc::Means> {
    match requirement.step_up {
        StepUp::Oidc => Some(ipc::Means::Oidc),
        StepUp::Webauthn => Some(ipc::Means::Webauthn),
        StepUp::None => None,
    }
}

fn row(
    txn: &str,
    account: &str,
    content: &Content,
    state: RequestState,
    ended_at: Option<i64>,
) -> Row {
    let (txn, account, outcome) = (txn.to_owned(), account.to_owned(), outcome(state));
    match content {
        Content::Genuine(genuine) => {
            let operation = genuine.open.operation();
            let request = genuine.open.request();
            Row {
                txn,
                account,
                kind: wire::kind(display::kind(operation)),
                requester: wire::short(display::requester(operation)),
                requester_id: Some(person_id(operation.subject())),
                initials: display::initials(display::stated_name(operation)),
                party: wire::party(display::party(operation)),
                summary: wire::short(display::summary(operation)),
                resource: wire::short(display::resource(operation)),
                asked_at: request.iat.0,
                expires_at: request.exp.0,
                approvals: genuine.approvals(),
                needed: request.requirement.approvals,
                irreversible: request.requirement.irreversible.is_some(),
                outcome,
                ended_at,
                ended_by: genuine
                    .denied_by()
                    .map(|name| wire::short(display::safe_line(name, display::Role::Name))),
            }
        }
        Content::NotGenuine { claimed_end, .. } => Row {
            txn,
            account,
            kind: Kind::Other,
            requester: wire::ours("Unknown"),
            requester_id: None,
            initials: "?".to_owned(),
            party: Party::Person,
            summary: wire::ours("Not genuine: what the server sent does not verify"),
            resource: wire::ours("not shown"),
            asked_at: *claimed_end,
            expires_at: *claimed_end,
            approvals: 0,
            needed: 1,
            irreversible: false,
            outcome,
            ended_at,
            ended_by: None,
        },
    }
}

/// As [`ipc::PersonChoice::id`].
fn person_id(subject: &Subject) -> String {
    format!("{}\n{}", subject.iss.as_str(), subject.sub)
}

impl Genuine {
    pub(crate) fn render(&self) -> display::Card {
        render(&self.open)
    }

    /// Distinct people who approved.
    pub(crate) fn approvals(&self) -> u32 {
        let people: BTreeSet<&Subject> = self
            .votes
            .iter()
            .filter(|cast| cast.vote.vote == vote::Choice::Approve && !cast.void)
            .map(|cast| &cast.vote.sub_id)
            .collect();
        u32::try_from(people.len()).unwrap_or(u32::MAX)
    }

    fn denied_by(&self) -> Option<&str> {
        self.votes
            .iter()
            .find(|cast| cast.vote.vote == vote::Choice::Deny)
            .map(|cast| cast.name.as_str())
    }

    /// This person approved what is drawn here, from this device.
    fn is_approved_from_here(&self) -> bool {
        self.votes.iter().any(|cast| {
            cast.from_here
                && cast.vote.vote == vote::Choice::Approve
                && cast.vote.display.sha256 == self.display_digest
        })
    }

    /// This person's own approval, which a deny may replace.
    pub(crate) fn approved_by(&self, me: &Subject) -> Option<Digest> {
        let mine = |cast: &&CastVote| {
            cast.vote.sub_id == *me && cast.vote.vote == vote::Choice::Approve && !cast.void
        };
        self.votes.iter().rev().find(mine).map(|cast| cast.digest)
    }
}

fn render(open: &OpenRequest) -> display::Card {
    let request = open.request();
    display::card(
        open.operation(),
        &request.requirement,
        open.words(),
        request.pep.as_str(),
    )
}

impl CastVote {
    fn line(&self, me: &Subject) -> VoteLine {
        let Self {
            vote,
            alg,
            name,
            at,
            digest: _,
            step_up,
            void,
            from_here: _,
        } = self;
        VoteLine {
            name: wire::safe(name, display::Role::Name),
            subject: wire::safe(&vote.sub_id.to_string(), display::Role::Data),
            choice: match vote.vote {
                vote::Choice::Approve => Choice::Approve,
                vote::Choice::Deny => Choice::Deny,
            },
            at: *at,
            reason: vote
                .reason
                .as_deref()
                .map(|reason| wire::safe(reason, display::Role::Data)),
            device: device(vote.binding_id, alg, *void),
            mine: vote.sub_id == *me,
            stage: vote
                .stage
                .as_deref()
                .map(|stage| wire::safe(stage, display::Role::Name)),
            step_up: *step_up,
        }
    }
}

/// `device kAP02FfySr…, Ed25519 key`: our words apart from the data, so that a window can say them in its language.
fn device(binding: Digest, alg: &str, void: bool) -> ipc::Line {
    let binding: String = binding.to_string().chars().take(10).collect();
    let data = |text: &str| wire::safe(text, display::Role::Data);
    let ours = |text: &str| wire::ours(text);
    let counts = void.then(|| ours(", no longer counts"));
    let mut line = ours("device ");
    for part in [
        data(&format!("{binding}…")),
        ours(", "),
        data(alg),
        ours(" key"),
    ] {
        line.spans.extend(part.spans);
    }
    line.spans
        .extend(counts.into_iter().flat_map(|counts| counts.spans));
    line
}

fn genuine(
    parts: &Parts<'_>,
    votes: Vec<VoteView>,
    pins: &Pins<'_>,
    state: RequestState,
    now: UnixSecs,
) -> Result<(Genuine, Timely), String> {
    let Parts {
        txn,
        request_jws,
        ask_jws,
        operation_b64,
    } = parts;
    let bytes = b64u_decode(operation_b64)
        .map_err(|_| "The operation is not canonical base64url.".to_owned())?;
    let Pins {
        account: _,
        server,
        server_keys,
        pep_keys,
        device,
    } = pins;
    let of_any_age =
        || read_request_bundle(request_jws, ask_jws, &bytes, server, server_keys, pep_keys);
    let (open, timely) = if state == RequestState::Pending {
        match verify_request_bundle(
            request_jws,
            ask_jws,
            &bytes,
            server,
            server_keys,
            pep_keys,
            now,
        ) {
            Ok(open) => (Ok(open), Timely::InTime),
            Err(refusal) if refusal.code == "request_expired" => (of_any_age(), Timely::Over),
            Err(refusal) => (Err(refusal), Timely::InTime),
        }
    } else {
        (of_any_age(), Timely::InTime)
    };
    let open = open.map_err(|refusal| refusal.sentence)?;
    if open.request().txn.as_str() != *txn {
        return Err("The server sent another request than the one that was asked for.".to_owned());
    }
    let votes = votes
        .into_iter()
        .map(|view| cast(view, &open, *device))
        .collect::<Result<_, _>>()?;
    let display_digest = Digest::of(render(&open).plain_text().as_bytes());
    Ok((
        Genuine {
            open,
            display_digest,
            votes,
        },
        timely,
    ))
}

/// A vote that stands beside a request must be about it and by whom the server says. Its signature is proven
/// by the evidence, which brings the key: here it is only told about, save for this device's own.
fn cast(
    view: VoteView,
    open: &OpenRequest,
    (binding, key): (Digest, &PublicKey),
) -> Result<CastVote, String> {
    let VoteView {
        jws,
        name,
        iss,
        sub,
        at,
        step_up,
        void,
    } = view;
    let unreadable = || "A vote on it cannot be read.".to_owned();
    let peeked = jose::peek(&jws, Vote::TYP).map_err(|_| unreadable())?;
    let vote = Vote::from_value(&peeked.payload).map_err(|_| unreadable())?;
    if vote.request_jws_digest != open.request_jws_digest() || vote.txn != open.request().txn {
        return Err("A vote that comes with it is about another request.".to_owned());
    }
    if vote.sub_id.iss.as_str() != iss || vote.sub_id.sub != sub {
        return Err("A vote on it is by somebody else than the server says.".to_owned());
    }
    let digest = countersign_evidence::jws_digest(&jws);
    Ok(CastVote {
        from_here: vote.binding_id == binding && Vote::verify(&jws, key).is_ok(),
        vote,
        alg: peeked.alg.as_str(),
        name,
        at,
        digest,
        step_up: step_up.map(wire::means),
        void,
    })
}

pub(crate) fn outcome(state: RequestState) -> Outcome {
    match state {
        RequestState::Pending => Outcome::Pending,
        RequestState::Approved => Outcome::Approved,
        RequestState::Redeemed => Outcome::Redeemed,
        RequestState::Denied => Outcome::Denied,
        RequestState::Expired => Outcome::Expired,
        RequestState::Withdrawn => Outcome::Withdrawn,
        RequestState::Voided => Outcome::Voided,
    }
}

/// How a request ended, as a sentence.
pub(crate) fn ended(state: RequestState) -> &'static str {
    match state {
        RequestState::Pending => "It is still open.",
        RequestState::Approved => "It has been approved.",
        RequestState::Redeemed => "It has been approved and used.",
        RequestState::Denied => "It has been denied.",
        RequestState::Expired => "Its time ran out.",
        RequestState::Withdrawn => "The requester took it back.",
        RequestState::Voided => "It was approved, but a vote was revoked before it was used.",
    }
}

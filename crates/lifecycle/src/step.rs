//! The transitions: one `match` over state and input.

use countersign_model::{By, Digest, Subject, UnixSecs};

use crate::input::{Choice, Effect, Event, Input, Refused};
use crate::state::{
    Approved, CountedVote, Denied, Expired, Pending, Redeemed, State, Terms, Voided, Withdrawn,
};

/// What an input yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state from now on. Without events it is the one before: the input was a repetition.
    pub state: State,
    /// Log entries, in order.
    pub events: Vec<Event>,
    /// Outbox rows, in order.
    pub effects: Vec<Effect>,
}

impl Step {
    fn unchanged(state: State) -> Step {
        Step {
            state,
            events: Vec::new(),
            effects: Vec::new(),
        }
    }
}

/// What time alone does: an open approval past its deadline is expired. Anything else stays.
pub fn advance(terms: &Terms, state: State, now: UnixSecs) -> Step {
    let (votes, at) = match state {
        State::Pending(Pending { votes }) if now >= terms.vote_until => (votes, terms.vote_until),
        State::Approved(Approved { votes, until, .. }) if now >= until => (votes, until),
        state @ (State::Pending(_)
        | State::Approved(_)
        | State::Redeemed(_)
        | State::Denied(_)
        | State::Expired(_)
        | State::Withdrawn(_)
        | State::Voided(_)) => return Step::unchanged(state),
    };
    Step {
        state: State::Expired(Expired { votes, at }),
        events: vec![Event::Expired { at }],
        effects: vec![Effect::TellClosed { by: None }],
    }
}

/// What an input does at `now`.
///
/// The state is advanced first; when time had run out, the step's events say so before anything else.
///
/// # Errors
/// [`Refused`], and nothing changes (save what time did: the caller's [`advance`] yields it).
pub fn step(terms: &Terms, state: State, input: Input, now: UnixSecs) -> Result<Step, Refused> {
    let Step {
        state,
        mut events,
        mut effects,
    } = advance(terms, state, now);
    let next = transition(terms, state, input, now)?;
    events.extend(next.events);
    effects.extend(next.effects);
    Ok(Step {
        state: next.state,
        events,
        effects,
    })
}

fn transition(terms: &Terms, state: State, input: Input, now: UnixSecs) -> Result<Step, Refused> {
    match (state, input) {
        (
            State::Pending(pending),
            Input::CastVote {
                choice,
                vote,
                supersedes,
            },
        ) => vote_while_pending(terms, pending, choice, vote, supersedes, now),
        (
            State::Approved(approved),
            Input::CastVote {
                choice,
                vote,
                supersedes,
            },
        ) => vote_while_approved(terms, approved, choice, vote, supersedes, now),
        // The same vote again, or a late one: nothing changes either way.
        (state @ State::Redeemed(_), Input::CastVote { vote, .. }) => {
            repeated(state, &vote, Refused::Closed)
        }
        (State::Denied(denied), Input::CastVote { vote, .. }) if vote.digest == denied.deny => {
            Ok(Step::unchanged(State::Denied(denied)))
        }
        (
            state @ (State::Denied(_) | State::Withdrawn(_) | State::Voided(_)),
            Input::CastVote { vote, .. },
        ) => repeated(state, &vote, Refused::Closed),
        (state @ State::Expired(_), Input::CastVote { vote, .. }) => {
            repeated(state, &vote, Refused::Expired)
        }

        (
            State::Pending(Pending { votes }) | State::Approved(Approved { votes, .. }),
            Input::Withdraw { by },
        ) => Ok(Step {
            state: State::Withdrawn(Withdrawn { votes, by, at: now }),
            events: vec![Event::Withdrawn { by }],
            effects: vec![Effect::TellClosed { by: None }],
        }),
        (state @ State::Withdrawn(_), Input::Withdraw { .. }) => Ok(Step::unchanged(state)),
        (State::Expired(_), Input::Withdraw { .. }) => Err(Refused::Expired),
        (State::Redeemed(_) | State::Denied(_) | State::Voided(_), Input::Withdraw { .. }) => {
            Err(Refused::Closed)
        }

        (State::Approved(Approved { votes, at, until }), Input::Redeem { redemption_id }) => {
            Ok(Step {
                state: State::Redeemed(Redeemed {
                    votes,
                    approved_at: at,
                    until,
                    at: now,
                    redemption_id: redemption_id.clone(),
                    outcome: None,
                }),
                events: vec![Event::Redeemed { redemption_id }],
                effects: vec![Effect::TellUpdated],
            })
        }
        (State::Redeemed(redeemed), Input::Redeem { redemption_id }) => {
            if redeemed.redemption_id == redemption_id {
                Ok(Step::unchanged(State::Redeemed(redeemed)))
            } else {
                Err(Refused::ApprovalUsed)
            }
        }
        (State::Pending(_), Input::Redeem { .. }) => Err(Refused::NotApproved),
        (State::Expired(_), Input::Redeem { .. }) => Err(Refused::Expired),
        (State::Denied(_) | State::Withdrawn(_) | State::Voided(_), Input::Redeem { .. }) => {
            Err(Refused::Closed)
        }

        (State::Pending(Pending { votes }), Input::VoidVote { vote }) => {
            let (void, votes) = without(votes, vote);
            let effects = if void.is_empty() {
                Vec::new()
            } else {
                vec![Effect::TellUpdated]
            };
            let events = void
                .into_iter()
                .map(|vote| Event::VoteVoided { vote })
                .collect();
            Ok(Step {
                state: State::Pending(Pending { votes }),
                events,
                effects,
            })
        }
        (State::Approved(approved), Input::VoidVote { vote }) => {
            Ok(void_grant(approved, vote, now))
        }
        (
            state @ (State::Redeemed(_)
            | State::Denied(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_)),
            Input::VoidVote { .. },
        ) => Ok(Step::unchanged(state)),

        (State::Redeemed(redeemed), Input::ReportOutcome { outcome }) => match redeemed.outcome {
            None => Ok(Step {
                state: State::Redeemed(Redeemed {
                    outcome: Some(outcome),
                    ..redeemed
                }),
                events: vec![Event::OutcomeReported { outcome }],
                effects: vec![Effect::TellUpdated],
            }),
            Some(known) if known == outcome => Ok(Step::unchanged(State::Redeemed(redeemed))),
            Some(_) => Err(Refused::OutcomeReported),
        },
        (
            State::Pending(_)
            | State::Approved(_)
            | State::Denied(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_),
            Input::ReportOutcome { .. },
        ) => Err(Refused::NotRedeemed),
    }
}

/// A vote that counted before is answered as it was then; a new one is refused.
fn repeated(state: State, vote: &CountedVote, otherwise: Refused) -> Result<Step, Refused> {
    if state
        .votes()
        .iter()
        .any(|known| known.digest == vote.digest)
    {
        Ok(Step::unchanged(state))
    } else {
        Err(otherwise)
    }
}

fn vote_while_pending(
    terms: &Terms,
    Pending { mut votes }: Pending,
    choice: Choice,
    vote: CountedVote,
    supersedes: Option<Digest>,
    now: UnixSecs,
) -> Result<Step, Refused> {
    if votes.iter().any(|known| known.digest == vote.digest) {
        return Ok(Step::unchanged(State::Pending(Pending { votes })));
    }
    may_count(terms, &vote.subject)?;
    let mut events = Vec::new();
    if let Some(old) = replaced(&votes, choice, &vote, supersedes)? {
        events.push(Event::VoteSuperseded {
            vote: votes.remove(old),
        });
    } else {
        is_for_open_stage(terms, &votes, choice, &vote)?;
    }
    match choice {
        Choice::Deny => Ok(denied(votes, vote, events, now)),
        Choice::Approve => {
            events.push(Event::VoteCast {
                choice,
                vote: vote.clone(),
            });
            votes.push(vote);
            if votes.len() < terms.approvals.max(1) as usize {
                return Ok(Step {
                    state: State::Pending(Pending { votes }),
                    events,
                    effects: vec![Effect::TellUpdated],
                });
            }
            // The time of a grant starts at its newest vote, as every PEP reckons it.
            let newest = votes.iter().map(|vote| vote.signed_at).max().unwrap_or(now);
            let until = UnixSecs(newest.0.saturating_add(i64::from(terms.grant_secs)));
            events.push(Event::Approved { until });
            let effects = vec![
                Effect::IssueGrant {
                    votes: votes.clone(),
                    until,
                },
                Effect::TellClosed { by: None },
            ];
            Ok(Step {
                state: State::Approved(Approved {
                    votes,
                    at: now,
                    until,
                }),
                events,
                effects,
            })
        }
    }
}

/// After the quorum only one thing is open to a voter: to take their own approve back by a deny.
fn vote_while_approved(
    terms: &Terms,
    approved: Approved,
    choice: Choice,
    vote: CountedVote,
    supersedes: Option<Digest>,
    now: UnixSecs,
) -> Result<Step, Refused> {
    if approved
        .votes
        .iter()
        .any(|known| known.digest == vote.digest)
    {
        return Ok(Step::unchanged(State::Approved(approved)));
    }
    may_count(terms, &vote.subject)?;
    let Some(old) = replaced(&approved.votes, choice, &vote, supersedes)? else {
        return Err(Refused::Closed);
    };
    if now >= terms.vote_until {
        return Err(Refused::Expired);
    }
    let mut votes = approved.votes;
    let events = vec![Event::VoteSuperseded {
        vote: votes.remove(old),
    }];
    Ok(denied(votes, vote, events, now))
}

/// The requester's own account never counts among others. That a person with another account is the requester,
/// or has to be, was settled by the vote's verification: it knows persons.
fn may_count(terms: &Terms, account: &Subject) -> Result<(), Refused> {
    match terms.by {
        By::Others if terms.is_requester(account) => Err(Refused::OwnRequest),
        By::Others | By::Requester => Ok(()),
    }
}

/// INVARIANT: an approve of a stage is built on all approves of the stage before, which is complete.
fn is_for_open_stage(
    terms: &Terms,
    votes: &[CountedVote],
    choice: Choice,
    vote: &CountedVote,
) -> Result<(), Refused> {
    let open = terms.open_stage(votes);
    let name = open.and_then(|place| terms.stages.get(place));
    if vote.stage.as_deref() != name.map(|stage| &*stage.name) {
        return Err(Refused::StageNotOpen);
    }
    let wanted = open.map_or_else(Vec::new, |place| terms.prior_of(place, votes));
    let same = || {
        let (mut wanted, mut named) = (wanted, vote.prior.clone());
        wanted.sort_unstable();
        named.sort_unstable();
        wanted == named
    };
    match choice {
        // A deny closes it, on whatever votes.
        Choice::Deny => Ok(()),
        Choice::Approve if same() => Ok(()),
        Choice::Approve => Err(Refused::StageNotOpen),
    }
}

/// The place of the person's own vote that this one replaces. INVARIANT: one live vote per person.
fn replaced(
    votes: &[CountedVote],
    choice: Choice,
    vote: &CountedVote,
    supersedes: Option<Digest>,
) -> Result<Option<usize>, Refused> {
    let mut own = None;
    for (place, known) in votes.iter().enumerate() {
        let same = match (known.person.same(&vote.person), choice) {
            _ if known.subject == vote.subject => true,
            (Some(same), _) => same,
            // A deny needs no count.
            (None, Choice::Deny) => false,
            (None, Choice::Approve) => return Err(Refused::PersonUnknown),
        };
        if same {
            own = Some(place);
        }
    }
    match (own, supersedes, choice) {
        (None, None, Choice::Approve | Choice::Deny) => Ok(None),
        (Some(place), Some(named), Choice::Deny)
            if votes.get(place).is_some_and(|it| it.digest == named) =>
        {
            Ok(Some(place))
        }
        (None, Some(_), Choice::Approve | Choice::Deny) | (Some(_), Some(_), Choice::Deny) => {
            Err(Refused::NothingToSupersede)
        }
        (Some(_), None, Choice::Approve | Choice::Deny) | (Some(_), Some(_), Choice::Approve) => {
            Err(Refused::AlreadyVoted)
        }
    }
}

fn denied(
    votes: Vec<CountedVote>,
    vote: CountedVote,
    mut events: Vec<Event>,
    now: UnixSecs,
) -> Step {
    let by = vote.subject.clone();
    let deny = vote.digest;
    events.push(Event::VoteCast {
        choice: Choice::Deny,
        vote,
    });
    events.push(Event::Denied { by: by.clone() });
    Step {
        state: State::Denied(Denied {
            votes,
            by: by.clone(),
            deny,
            at: now,
        }),
        events,
        effects: vec![Effect::TellClosed { by: Some(by) }],
    }
}

/// These votes apart: the void one with all that were built on it, and the rest.
fn without(votes: Vec<CountedVote>, void: Digest) -> (Vec<CountedVote>, Vec<CountedVote>) {
    let mut fallen = vec![void];
    // In order, a vote comes after those that it names.
    votes.into_iter().partition(|vote| {
        let falls =
            fallen.contains(&vote.digest) || vote.prior.iter().any(|prior| fallen.contains(prior));
        if falls {
            fallen.push(vote.digest);
        }
        falls
    })
}

/// A grant names its votes, so it falls with any of them.
fn void_grant(approved: Approved, vote: Digest, now: UnixSecs) -> Step {
    let (void, votes) = without(approved.votes.clone(), vote);
    if void.is_empty() {
        return Step::unchanged(State::Approved(approved));
    }
    let mut events: Vec<_> = void
        .into_iter()
        .map(|vote| Event::VoteVoided { vote })
        .collect();
    events.push(Event::Voided { vote });
    Step {
        state: State::Voided(Voided {
            votes,
            vote,
            at: now,
        }),
        events,
        effects: vec![Effect::TellClosed { by: None }],
    }
}

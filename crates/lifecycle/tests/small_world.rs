//! Every state that a small world reaches, and the invariants that an auditor would name, checked on each edge.
//!
//! The world: a requester and two voters, two votes each way per person, a quorum of two, a few moments of
//! time on both sides of each deadline, every input in every state.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, VecDeque};

use countersign_lifecycle::{
    Choice, CountedVote, Event, Input, Kind, Refused, State, Step, Terms, WithdrawnBy, advance,
    step,
};
use countersign_model::{By, Digest, Subject, UnixSecs};

const PEOPLE: [&str; 3] = ["requester", "ann", "ben"];
const VOTE_UNTIL: i64 = 20;
const GRANT_SECS: u32 = 10;
/// Before, at and after both deadlines (a vote of second 0 or 19 gives a grant until 10 or 29).
const MOMENTS: [i64; 7] = [0, 9, 10, 19, 20, 29, 30];

fn person(name: &str) -> Subject {
    Subject::parse(&format!("https://op.example|{name}")).unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn terms(by: By, approvals: u32) -> Terms {
    Terms {
        by,
        approvals,
        requester: person("requester"),
        acting: BTreeSet::from([person("acting")]),
        vote_until: UnixSecs(VOTE_UNTIL),
        grant_secs: GRANT_SECS,
    }
}

fn cast(name: &str, choice: Choice, which: u32, at: i64, supersedes: Option<Digest>) -> Input {
    Input::CastVote {
        choice,
        vote: CountedVote {
            person: person(name),
            digest: vote_digest(name, choice, which),
            binding: digest(&format!("binding of {name}")),
            signed_at: UnixSecs(at),
        },
        supersedes,
    }
}

fn vote_digest(name: &str, choice: Choice, which: u32) -> Digest {
    digest(&format!("{name} {choice:?} {which}"))
}

fn inputs(at: i64) -> Vec<Input> {
    let mut all = vec![
        Input::Withdraw {
            by: WithdrawnBy::Requester,
        },
        Input::Withdraw {
            by: WithdrawnBy::Pep,
        },
        Input::Redeem {
            redemption_id: "one".into(),
        },
        Input::Redeem {
            redemption_id: "two".into(),
        },
        Input::ReportOutcome {
            outcome: digest("done"),
        },
        Input::ReportOutcome {
            outcome: digest("failed"),
        },
    ];
    for name in PEOPLE {
        all.push(Input::VoidVote {
            binding: digest(&format!("binding of {name}")),
        });
        for choice in [Choice::Approve, Choice::Deny] {
            for which in [1, 2] {
                all.push(cast(name, choice, which, at, None));
                all.push(cast(
                    name,
                    choice,
                    which,
                    at,
                    Some(vote_digest(name, Choice::Approve, 1)),
                ));
                all.push(cast(
                    name,
                    choice,
                    which,
                    at,
                    Some(vote_digest("ann", Choice::Approve, 2)),
                ));
            }
        }
    }
    all
}

fn distinct(votes: &[CountedVote]) -> usize {
    votes
        .iter()
        .map(|vote| &vote.person)
        .collect::<BTreeSet<_>>()
        .len()
}

/// What must hold of any state by itself.
fn check_state(terms: &Terms, state: &State) {
    let votes = state.votes();
    assert_eq!(
        distinct(votes),
        votes.len(),
        "one live vote per person: {state:?}"
    );
    for vote in votes {
        match terms.by {
            By::Others => assert!(
                !terms.is_requester(&vote.person),
                "the requester never counts: {state:?}"
            ),
            By::Requester => assert_eq!(
                vote.person, terms.requester,
                "only the requester counts: {state:?}"
            ),
        }
    }
    let quorum = terms.approvals as usize;
    match state {
        State::Pending(it) => assert!(
            it.votes.len() < quorum,
            "a quorum does not stay pending: {state:?}"
        ),
        State::Approved(it) => {
            assert_eq!(it.votes.len(), quorum);
            let newest = it.votes.iter().map(|vote| vote.signed_at.0).max().unwrap();
            assert_eq!(it.until.0, newest + i64::from(terms.grant_secs));
        }
        State::Redeemed(it) => {
            assert_eq!(
                it.votes.len(),
                quorum,
                "nothing is redeemed without its quorum: {state:?}"
            );
            assert!(
                it.at < it.until,
                "nothing is redeemed after its time: {state:?}"
            );
        }
        State::Voided(it) => assert!(it.votes.len() < quorum),
        State::Denied(_) | State::Expired(_) | State::Withdrawn(_) => {}
    }
}

/// What must hold of a change.
fn check_edge(
    terms: &Terms,
    before: &State,
    input: &Input,
    now: UnixSecs,
    result: &Result<Step, Refused>,
) {
    let Ok(Step {
        state: after,
        events,
        effects,
    }) = result
    else {
        return;
    };
    assert_eq!(
        events.is_empty(),
        after == before,
        "each change of state has its entries, and only a change has: {before:?} {input:?} {after:?}"
    );
    assert!(
        effects.is_empty() || !events.is_empty(),
        "no entry, no effect"
    );
    if before.kind().is_final() {
        let outcome_added = match (before, after) {
            (State::Redeemed(b), State::Redeemed(a)) => {
                b.outcome.is_none()
                    && a.redemption_id == b.redemption_id
                    && a.at == b.at
                    && a.votes == b.votes
            }
            _ => false,
        };
        assert!(
            after == before || outcome_added,
            "final states never change: {before:?} {input:?} {after:?}"
        );
    }
    let over = before
        .deadline(terms)
        .is_some_and(|deadline| now >= deadline);
    if over {
        assert_eq!(
            after.kind(),
            Kind::Expired,
            "after its deadline it is expired, whatever comes: {input:?}"
        );
    }
    if let (
        Input::CastVote {
            choice: Choice::Deny,
            ..
        },
        false,
    ) = (input, before.kind().is_final())
    {
        assert!(
            matches!(after.kind(), Kind::Denied | Kind::Expired),
            "a deny that counts wins"
        );
    }
    if after.kind() == Kind::Redeemed && before.kind() != Kind::Redeemed {
        assert_eq!(
            before.kind(),
            Kind::Approved,
            "only what is approved is redeemed"
        );
        assert!(matches!(input, Input::Redeem { .. }));
    }
    if after.kind() == Kind::Approved && before.kind() != Kind::Approved {
        assert!(matches!(
            input,
            Input::CastVote {
                choice: Choice::Approve,
                ..
            }
        ));
        assert!(now < terms.vote_until, "no quorum after the deadline");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Approved { .. }))
        );
    }
}

fn search(terms: &Terms) -> BTreeSet<(State, usize)> {
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([(State::opened(), 0)]);
    while let Some((state, moment)) = queue.pop_front() {
        if !seen.insert((state.clone(), moment)) {
            continue;
        }
        check_state(terms, &state);
        let now = UnixSecs(MOMENTS[moment]);
        for input in inputs(now.0) {
            let result = step(terms, state.clone(), input.clone(), now);
            check_edge(terms, &state, &input, now, &result);
            if let Ok(next) = result {
                let again = step(terms, next.state.clone(), input.clone(), now);
                // Repeating what was accepted changes nothing.
                if let Ok(again) = again {
                    assert_eq!(again.state, next.state, "{input:?} is idempotent");
                    assert!(again.events.is_empty() && again.effects.is_empty());
                } else {
                    assert_ne!(next.state, state, "an accepted repetition stays accepted");
                    panic!("{input:?} was accepted once and refused when repeated: {again:?}");
                }
                queue.push_back((next.state, moment));
            }
        }
        if moment + 1 < MOMENTS.len() {
            let later = advance(terms, state.clone(), UnixSecs(MOMENTS[moment + 1]));
            assert_eq!(later.events.is_empty(), later.state == state);
            queue.push_back((later.state, moment + 1));
        }
    }
    seen
}

#[test]
fn every_state_of_a_quorum_of_two_keeps_the_invariants() {
    let seen = search(&terms(By::Others, 2));
    let kinds: BTreeSet<_> = seen.iter().map(|(state, _)| state.kind()).collect();
    assert_eq!(
        kinds,
        Kind::ALL.into_iter().collect(),
        "the search reaches every kind of state"
    );
}

#[test]
fn every_state_of_a_self_confirmation_keeps_the_invariants() {
    let seen = search(&terms(By::Requester, 1));
    assert!(seen.iter().any(|(state, _)| state.kind() == Kind::Redeemed));
}

#[test]
fn refusals_name_their_rule() {
    let terms = terms(By::Others, 2);
    let one = step(
        &terms,
        State::opened(),
        cast("ann", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    let two = step(
        &terms,
        one.clone(),
        cast("ben", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    let used = step(
        &terms,
        two.clone(),
        Input::Redeem {
            redemption_id: "one".into(),
        },
        UnixSecs(1),
    )
    .unwrap()
    .state;
    let refused =
        |state: &State, input, now| step(&terms, state.clone(), input, UnixSecs(now)).unwrap_err();
    let ann = Some(vote_digest("ann", Choice::Approve, 1));
    let redeem = |id: &str| Input::Redeem {
        redemption_id: id.into(),
    };

    assert_eq!(
        refused(&one, cast("requester", Choice::Approve, 1, 0, None), 0),
        Refused::OwnRequest
    );
    assert_eq!(
        refused(&one, cast("requester", Choice::Deny, 1, 0, None), 0),
        Refused::OwnRequest
    );
    assert_eq!(
        refused(&one, cast("acting", Choice::Approve, 1, 0, None), 0),
        Refused::OwnRequest
    );
    assert_eq!(
        refused(&one, cast("ann", Choice::Approve, 2, 0, None), 0),
        Refused::AlreadyVoted
    );
    assert_eq!(
        refused(&one, cast("ann", Choice::Deny, 1, 0, None), 0),
        Refused::AlreadyVoted
    );
    assert_eq!(
        refused(&one, cast("ann", Choice::Approve, 2, 0, ann), 0),
        Refused::AlreadyVoted
    );
    assert_eq!(
        refused(&one, cast("ben", Choice::Deny, 1, 0, ann), 0),
        Refused::NothingToSupersede
    );
    assert_eq!(
        refused(&one, cast("ben", Choice::Approve, 1, 0, None), 20),
        Refused::Expired
    );
    assert_eq!(refused(&one, redeem("one"), 0), Refused::NotApproved);
    assert_eq!(
        refused(&two, cast("cleo", Choice::Deny, 1, 0, None), 0),
        Refused::Closed
    );
    assert_eq!(refused(&two, redeem("one"), 10), Refused::Expired);
    assert_eq!(refused(&used, redeem("two"), 1), Refused::ApprovalUsed);
    assert_eq!(
        refused(&used, cast("ann", Choice::Deny, 1, 0, ann), 1),
        Refused::Closed
    );
    assert_eq!(
        refused(
            &used,
            Input::Withdraw {
                by: WithdrawnBy::Pep
            },
            1
        ),
        Refused::Closed
    );
    assert_eq!(
        refused(
            &two,
            Input::ReportOutcome {
                outcome: digest("done")
            },
            1
        ),
        Refused::NotRedeemed
    );
}

#[test]
fn a_deny_supersedes_ones_own_approve_until_redeem() {
    let terms = terms(By::Others, 2);
    let ann = Some(vote_digest("ann", Choice::Approve, 1));
    let one = step(
        &terms,
        State::opened(),
        cast("ann", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    let two = step(
        &terms,
        one.clone(),
        cast("ben", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    for state in [one, two] {
        let denied = step(
            &terms,
            state,
            cast("ann", Choice::Deny, 1, 0, ann),
            UnixSecs(5),
        )
        .unwrap();
        let State::Denied(it) = &denied.state else {
            panic!("{:?}", denied.state)
        };
        assert_eq!(it.by, person("ann"));
        assert!(it.votes.iter().all(|vote| vote.person != person("ann")));
        // The deny, repeated, is the same answer; the approve that it replaced is history.
        let again = step(
            &terms,
            denied.state.clone(),
            cast("ann", Choice::Deny, 1, 0, ann),
            UnixSecs(6),
        )
        .unwrap();
        assert!(again.events.is_empty());
        let stale = step(
            &terms,
            denied.state,
            cast("ann", Choice::Approve, 1, 0, None),
            UnixSecs(6),
        );
        assert_eq!(stale.unwrap_err(), Refused::Closed);
    }
}

#[test]
fn a_revoked_binding_voids_its_votes_before_redeem_and_not_after() {
    let terms = terms(By::Others, 2);
    let void = || Input::VoidVote {
        binding: digest("binding of ann"),
    };
    let one = step(
        &terms,
        State::opened(),
        cast("ann", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    assert_eq!(
        step(&terms, one.clone(), void(), UnixSecs(1))
            .unwrap()
            .state,
        State::opened()
    );
    let two = step(
        &terms,
        one,
        cast("ben", Choice::Approve, 1, 0, None),
        UnixSecs(0),
    )
    .unwrap()
    .state;
    assert_eq!(
        step(&terms, two.clone(), void(), UnixSecs(1))
            .unwrap()
            .state
            .kind(),
        Kind::Voided
    );
    let used = step(
        &terms,
        two,
        Input::Redeem {
            redemption_id: "one".into(),
        },
        UnixSecs(1),
    )
    .unwrap()
    .state;
    assert_eq!(
        step(&terms, used.clone(), void(), UnixSecs(1))
            .unwrap()
            .state,
        used
    );
}

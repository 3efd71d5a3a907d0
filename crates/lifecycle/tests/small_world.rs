//! Every state that a small world reaches, and the invariants that an auditor would name, checked on each edge.
//!
//! The world: a requester and two voters, two votes each way per person, a quorum of two, a few moments of
//! time on both sides of each deadline, every input in every state. With stages each voter also votes in each
//! stage, on each other's votes and on none.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, VecDeque};

use countersign_lifecycle::{
    Choice, CountedVote, Event, Input, Kind, Refused, State, Step, Terms, WithdrawnBy, advance,
    step,
};
use countersign_model::{By, Digest, Person, Stage, Subject, UnixSecs};

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
        stages: Vec::new(),
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
            subject: person(name),
            person: Person::Account(person(name)),
            stage: None,
            prior: Vec::new(),
            digest: vote_digest(name, choice, which),
            binding: digest(&format!("binding of {name}")),
            signed_at: UnixSecs(at),
        },
        supersedes,
    }
}

/// One approval of the team, then one of security.
fn staged() -> Terms {
    let stage = |name: &str| Stage {
        name: name.to_owned(),
        approvals: 1,
    };
    Terms {
        stages: vec![stage("team"), stage("security")],
        ..terms(By::Others, 2)
    }
}

/// The same vote, for a stage and on these votes.
fn in_stage(input: Input, stage: &str, prior: &[Digest]) -> Input {
    let Input::CastVote {
        choice,
        mut vote,
        supersedes,
    } = input
    else {
        panic!("{input:?}")
    };
    vote.digest = digest(&format!("{} in {stage} on {prior:?}", vote.digest));
    vote.stage = Some(stage.to_owned());
    vote.prior = prior.to_vec();
    Input::CastVote {
        choice,
        vote,
        supersedes,
    }
}

fn digest_of(input: &Input) -> Digest {
    let Input::CastVote { vote, .. } = input else {
        panic!("{input:?}")
    };
    vote.digest
}

/// Every vote that the staged world knows: each person, each way, in each stage, on nothing, on one vote of the
/// first stage, on both.
fn staged_votes(at: i64) -> Vec<Input> {
    let team = |name| in_stage(cast(name, Choice::Approve, 1, at, None), "team", &[]);
    let on: Vec<Digest> = ["ann", "ben"].map(|name| digest_of(&team(name))).to_vec();
    let mut all = Vec::new();
    for name in PEOPLE {
        for choice in [Choice::Approve, Choice::Deny] {
            let own = digest_of(&team(name));
            for supersedes in [None, Some(own)] {
                let vote = || cast(name, choice, 1, at, supersedes);
                all.push(vote());
                for prior in [&[][..], &on[..1], &on[1..], &on[..]] {
                    all.push(in_stage(vote(), "team", prior));
                    all.push(in_stage(vote(), "security", prior));
                }
            }
        }
    }
    all
}

fn vote_digest(name: &str, choice: Choice, which: u32) -> Digest {
    digest(&format!("{name} {choice:?} {which}"))
}

fn inputs(terms: &Terms, state: &State, at: i64) -> Vec<Input> {
    let mut all = others();
    // Every vote that counts, and one that never was.
    let counted = state.votes().iter().map(|vote| vote.digest);
    all.extend(
        counted
            .chain([digest("no vote")])
            .map(|vote| Input::VoidVote { vote }),
    );
    all.extend(if terms.stages.is_empty() {
        votes(at)
    } else {
        staged_votes(at)
    });
    all
}

fn others() -> Vec<Input> {
    vec![
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
    ]
}

fn votes(at: i64) -> Vec<Input> {
    let mut all = Vec::new();
    for name in PEOPLE {
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
        .map(|vote| &vote.subject)
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
                !terms.is_requester(&vote.subject),
                "the requester never counts: {state:?}"
            ),
            // Who may confirm it is settled before it comes here.
            By::Requester => {}
        }
    }
    match state {
        State::Pending(_) | State::Approved(_) | State::Redeemed(_) => check_stages(terms, votes),
        // A vote may have been taken out from under others when it ended.
        State::Denied(_) | State::Expired(_) | State::Withdrawn(_) | State::Voided(_) => {}
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

/// No stage begins before the one before it is complete, and each vote names exactly what it is built on.
fn check_stages(terms: &Terms, votes: &[CountedVote]) {
    if terms.stages.is_empty() {
        let plain = |vote: &CountedVote| vote.stage.is_none() && vote.prior.is_empty();
        assert!(votes.iter().all(plain), "{votes:?}");
        return;
    }
    let mut before: Option<BTreeSet<Digest>> = Some(BTreeSet::new());
    let mut seen = 0;
    for stage in &terms.stages {
        let of: Vec<_> = votes
            .iter()
            .filter(|vote| vote.stage.as_ref() == Some(&stage.name))
            .collect();
        seen += of.len();
        assert!(of.len() <= stage.approvals as usize, "{votes:?}");
        for vote in &of {
            let named: BTreeSet<Digest> = vote.prior.iter().copied().collect();
            assert_eq!(Some(&named), before.as_ref(), "{votes:?}");
        }
        let complete = of.len() == stage.approvals as usize;
        before = complete.then(|| of.iter().map(|vote| vote.digest).collect());
    }
    assert_eq!(seen, votes.len(), "each vote is of a stage: {votes:?}");
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
        for input in inputs(terms, &state, now.0) {
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
fn every_state_of_two_stages_keeps_the_invariants() {
    let seen = search(&staged());
    let kinds: BTreeSet<_> = seen.iter().map(|(state, _)| state.kind()).collect();
    assert_eq!(kinds, Kind::ALL.into_iter().collect());
}

#[test]
fn a_stage_opens_when_the_one_before_is_complete() {
    let terms = staged();
    let at = UnixSecs(0);
    let opened = State::opened();
    assert_eq!(opened.open_stage(&terms).unwrap().name, "team");
    assert_eq!(opened.prior(&terms), []);
    let refused = |state: &State, input| step(&terms, state.clone(), input, at).unwrap_err();
    let approve = |name| cast(name, Choice::Approve, 1, 0, None);

    // Not yet open; without a stage; a stage that there is not.
    let early = in_stage(approve("ann"), "security", &[]);
    assert_eq!(refused(&opened, early), Refused::StageNotOpen);
    assert_eq!(refused(&opened, approve("ann")), Refused::StageNotOpen);
    let unknown = in_stage(approve("ann"), "board", &[]);
    assert_eq!(refused(&opened, unknown), Refused::StageNotOpen);
    let early = in_stage(cast("ben", Choice::Deny, 1, 0, None), "security", &[]);
    assert_eq!(refused(&opened, early), Refused::StageNotOpen);

    let team = in_stage(approve("ann"), "team", &[]);
    let prior = [digest_of(&team)];
    let one = step(&terms, opened, team, at).unwrap().state;
    assert_eq!(one.open_stage(&terms).unwrap().name, "security");
    assert_eq!(one.prior(&terms), prior);
    // The first stage is complete; the second wants to be built on it, by somebody else.
    let late = in_stage(approve("ben"), "team", &[]);
    assert_eq!(refused(&one, late), Refused::StageNotOpen);
    for wrong in [&[][..], &[digest("x")], &[prior[0], digest("x")]] {
        let blind = in_stage(approve("ben"), "security", wrong);
        assert_eq!(refused(&one, blind), Refused::StageNotOpen);
    }
    let again = in_stage(approve("ann"), "security", &prior);
    assert_eq!(refused(&one, again), Refused::AlreadyVoted);
    let two = in_stage(approve("ben"), "security", &prior);
    let two = step(&terms, one, two, at).unwrap().state;
    assert_eq!(two.kind(), Kind::Approved);
    assert!(two.open_stage(&terms).is_none());
}

#[test]
fn a_vote_falls_with_those_that_it_was_built_on() {
    let mut terms = staged();
    terms.stages[1].approvals = 2;
    terms.approvals = 3;
    let at = UnixSecs(0);
    let approve = |name| cast(name, Choice::Approve, 1, 0, None);
    let team = in_stage(approve("ann"), "team", &[]);
    let ann = digest_of(&team);
    let one = step(&terms, State::opened(), team, at).unwrap().state;
    let security = in_stage(approve("ben"), "security", &[ann]);
    let ben = digest_of(&security);
    let two = step(&terms, one.clone(), security, at).unwrap().state;
    let after = |vote| step(&terms, two.clone(), Input::VoidVote { vote }, at).unwrap();
    assert_eq!(after(ben).state, one);
    assert_eq!(after(ann).state, State::opened());
    assert_eq!(after(ann).events.len(), 2);
}

#[test]
fn two_accounts_of_one_person_are_one_vote() {
    let terms = terms(By::Others, 2);
    let at = UnixSecs(0);
    let with = |name: &str, person: Person| {
        let Input::CastVote { mut vote, .. } = cast(name, Choice::Approve, 1, 0, None) else {
            unreachable!("a vote")
        };
        vote.person = person;
        Input::CastVote {
            choice: Choice::Approve,
            vote,
            supersedes: None,
        }
    };
    let claim = |value: &str| Person::Claims([("oid".to_owned(), value.to_owned())].into());
    let one = step(&terms, State::opened(), with("ann", claim("1")), at)
        .unwrap()
        .state;
    let then = |input| step(&terms, one.clone(), input, at).map(|step| step.state.kind());
    assert_eq!(then(with("ben", claim("1"))), Err(Refused::AlreadyVoted));
    assert_eq!(
        then(with("ben", Person::Account(person("ben")))),
        Err(Refused::PersonUnknown)
    );
    assert_eq!(then(with("ben", claim("2"))), Ok(Kind::Approved));
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
        assert!(it.votes.iter().all(|vote| vote.subject != person("ann")));
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
fn a_vote_that_lost_its_ground_is_void_before_redeem_and_not_after() {
    let terms = terms(By::Others, 2);
    let void = || Input::VoidVote {
        vote: vote_digest("ann", Choice::Approve, 1),
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

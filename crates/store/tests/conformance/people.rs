//! What is known of people: their newest claims, the end of their sessions, what they come with for the first time.

use countersign_lifecycle::{Approved, Denied, State};
use countersign_model::UnixSecs;
use countersign_store::{
    AbsenceRow, ClaimsRow, Conflict, DenialRow, NewBinding, NewRequest, NewVote, SeenKind,
    SpentKind, Store, Words, Write,
};

use super::{binding, conflict, counted, digest, done, get, person, request, update, vote};

fn keep(name: &str, token: &str, issued_at: i64) -> Write {
    Write::KeepClaims {
        person: person(name),
        token: token.into(),
        issued_at: UnixSecs(issued_at),
    }
}

pub(crate) async fn the_newest_claims_of_a_person_count<S: Store>(open: &impl Fn() -> S) {
    let store = open();
    let nora = || NewBinding {
        issued_at: UnixSecs(50),
        ..binding("nora")
    };
    done(&store, vec![Write::AddBinding(Box::new(nora()))]).await;
    let newest = |token: &str, at| {
        Some(ClaimsRow {
            token: token.into(),
            issued_at: UnixSecs(at),
        })
    };
    let claims = async |store: &S| store.claims(&person("nora")).await.unwrap();
    assert_eq!(claims(&store).await, newest("token of nora", 50));
    // Whichever device brings them; older ones change nothing.
    let other = NewBinding {
        id: digest("nora's other"),
        id_token: "other token".into(),
        issued_at: UnixSecs(49),
        ..binding("nora")
    };
    done(&store, vec![Write::AddBinding(Box::new(other))]).await;
    assert_eq!(claims(&store).await, newest("token of nora", 50));
    done(
        &store,
        vec![keep("nora", "newer", 60), keep("nora", "old", 55)],
    )
    .await;
    drop(store);
    let store = open();
    assert_eq!(claims(&store).await, newest("newer", 60));
    assert_eq!(store.claims(&person("nobody")).await.unwrap(), None);

    let expect = |at| {
        vec![Write::ExpectClaims {
            person: person("nora"),
            issued_at: UnixSecs(at),
        }]
    };
    done(&store, expect(60)).await;
    assert_eq!(conflict(&store, expect(59)).await, Conflict::Claims);

    // A vote's evidence follows its own device, until the request is closed.
    done(&store, vec![Write::OpenRequest(Box::new(request("asked")))]).await;
    let row = get(&store, "asked").await;
    let cast = NewVote {
        step_up: Some("{\"type\":\"oidc\"}".into()),
        ..vote(&row, "nora")
    };
    done(&store, vec![Write::CastVote(Box::new(cast.clone()))]).await;
    let refresh = |token: &str| {
        vec![Write::RefreshVotes {
            binding: digest("nora"),
            claims_token: token.into(),
        }]
    };
    done(&store, refresh("newer")).await;
    let kept = get(&store, "asked").await.votes.remove(0);
    assert_eq!(
        (kept.claims_token.as_deref(), kept.step_up),
        (Some("newer"), cast.step_up.clone())
    );
    let open = store.with_votes_of(&person("nora"), 10).await.unwrap();
    assert_eq!(
        open.iter().map(|row| row.txn.as_str()).collect::<Vec<_>>(),
        ["asked"]
    );
    assert!(
        store
            .with_votes_of(&person("jonas"), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let denied = State::Denied(Denied {
        votes: vec![counted(&cast)],
        by: person("jonas"),
        deny: digest("deny"),
        at: UnixSecs(130),
    });
    done(
        &store,
        vec![Write::UpdateRequest(Box::new(update(&row, denied)))],
    )
    .await;
    done(&store, refresh("newest")).await;
    let kept = get(&store, "asked").await.votes.remove(0);
    assert_eq!(kept.claims_token.as_deref(), Some("newer"));
    assert!(
        store
            .with_votes_of(&person("nora"), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn sessions_end_up_to_a_moment(store: &impl Store) {
    let device = |name: &str, auth_time, sid: Option<&str>| NewBinding {
        id: digest(name),
        person: person("ben"),
        auth_time: UnixSecs(auth_time),
        sid: sid.map(str::to_owned),
        max_live: 9,
        ..binding("ben")
    };
    for new in [
        device("old", 10, Some("s1")),
        device("also old", 20, Some("s2")),
        device("old, of no session", 20, None),
        device("new", 21, Some("s1")),
    ] {
        done(store, vec![Write::AddBinding(Box::new(new))]).await;
    }
    let live = async || {
        let rows = store
            .bindings_of(&person("ben"), UnixSecs(60))
            .await
            .unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let revoke = |sid: Option<&str>| Write::RevokeBindings {
        person: person("ben"),
        signed_in_until: UnixSecs(20),
        sid: sid.map(str::to_owned),
        at: UnixSecs(55),
    };
    assert_eq!(store.bindings_of_session("s1").await.unwrap().len(), 2);
    done(store, vec![revoke(Some("s1"))]).await;
    assert_eq!(live().await, [digest("new"), digest("also old")]);
    done(store, vec![revoke(None)]).await;
    assert_eq!(live().await, [digest("new")], "it was signed in later");
    assert!(
        store
            .live_bindings(UnixSecs(60), 99)
            .await
            .unwrap()
            .iter()
            .any(|row| row.id == digest("new"))
    );

    // A sign-in that is under way when the person is signed out makes no binding.
    let until = Write::RevokePerson {
        person: person("ben"),
        at: UnixSecs(30),
    };
    done(store, vec![until]).await;
    let late = |auth_time| vec![Write::AddBinding(Box::new(device("late", auth_time, None)))];
    assert_eq!(conflict(store, late(30)).await, Conflict::SignedOut);
    done(store, late(31)).await;

    for kind in [
        SpentKind::StepUp,
        SpentKind::ConsentKey,
        SpentKind::SecurityEvent,
    ] {
        let spend = || {
            vec![Write::Spend {
                kind,
                value: "x".into(),
                until: UnixSecs(1_000),
            }]
        };
        done(store, spend()).await;
        assert_eq!(conflict(store, spend()).await, Conflict::Spent(kind));
    }
}

pub(crate) async fn what_comes_for_the_first_time_is_told_once(store: &impl Store) {
    let asked = |name: &str, device: &str| NewRequest {
        requester: person("zoe"),
        words: Words([name.to_owned(), "heron".into()]),
        seen: vec![
            (SeenKind::Requester, String::new()),
            (SeenKind::Resource, "r 1".into()),
            (SeenKind::Device, device.into()),
        ],
        same: digest(name),
        ..request(name)
    };
    let open = async |new: NewRequest| {
        let txn = new.txn.to_string();
        done(store, vec![Write::OpenRequest(Box::new(new))]).await;
        get(store, &txn).await.first
    };
    let requester = [SeenKind::Requester];
    assert_eq!(
        open(asked("z1", "laptop")).await,
        requester,
        "of a newcomer all is new"
    );
    assert_eq!(open(asked("z2", "laptop")).await, []);
    assert_eq!(open(asked("z3", "phone")).await, [SeenKind::Device]);
    // What was not opened was not seen.
    let known_words = NewRequest {
        words: Words(["z3".into(), "heron".into()]),
        ..asked("z4", "tablet")
    };
    conflict(store, vec![Write::OpenRequest(Box::new(known_words))]).await;
    assert_eq!(open(asked("z5", "tablet")).await, [SeenKind::Device]);
}

pub(crate) async fn a_denial_of_the_same_is_found(store: &impl Store) {
    let asked = |name: &str| NewRequest {
        words: Words([name.to_owned(), "plover".into()]),
        same: digest("the same"),
        ..request(name)
    };
    for name in ["d1", "d2", "d3"] {
        done(store, vec![Write::OpenRequest(Box::new(asked(name)))]).await;
    }
    let (first, second) = (get(store, "d1").await, get(store, "d2").await);
    let same = digest("the same");
    assert_eq!(store.denied(same, None).await.unwrap(), None);
    let deny = NewVote {
        choice: countersign_lifecycle::Choice::Deny,
        ..vote(&second, "jonas")
    };
    let denied = State::Denied(Denied {
        votes: vec![],
        by: person("jonas"),
        deny: deny.digest,
        at: UnixSecs(140),
    });
    let approved = State::Approved(Approved {
        votes: vec![],
        at: UnixSecs(120),
        until: UnixSecs(300),
    });
    let jonas = NewBinding {
        max_live: 9,
        ..binding("jonas")
    };
    done(
        store,
        vec![
            Write::AddBinding(Box::new(jonas)),
            Write::CastVote(Box::new(deny)),
            Write::UpdateRequest(Box::new(update(&second, denied))),
            Write::UpdateRequest(Box::new(update(&first, approved))),
        ],
    )
    .await;
    let found = Some(DenialRow {
        at: UnixSecs(140),
        by: "jonas".into(),
        reason: Some("looks right".into()),
    });
    assert_eq!(store.denied(same, None).await.unwrap(), found);
    let third = get(store, "d3").await;
    assert_eq!(store.denied(same, Some(third.key)).await.unwrap(), found);
    assert_eq!(store.denied(same, Some(second.key)).await.unwrap(), None);
    assert_eq!(store.denied(digest("another"), None).await.unwrap(), None);
}

pub(crate) async fn a_security_keys_counter_grows<S: Store>(open: &impl Fn() -> S) {
    let counts = |key: &str, count| {
        vec![Write::CountAssertion {
            key: key.to_owned(),
            count,
        }]
    };
    let store = open();
    done(&store, counts("blue", 7)).await;
    drop(store);
    let store = open();
    for late in [7, 6, 0] {
        let refused = conflict(&store, counts("blue", late)).await;
        assert_eq!(refused, Conflict::Counter, "{late}");
    }
    done(&store, counts("blue", u32::MAX)).await;
    // Many keys do not count; each is by itself.
    for _ in 0..2 {
        done(&store, counts("green", 0)).await;
    }
    done(&store, counts("green", 1)).await;
    assert_eq!(
        conflict(&store, counts("green", 0)).await,
        Conflict::Counter
    );
}

pub(crate) async fn the_clock_is_known_over_a_restart<S: Store>(open: &impl Fn() -> S) {
    let store = open();
    for at in [5_000, 4_000] {
        done(&store, vec![Write::ClockShows(UnixSecs(at))]).await;
    }
    drop(store);
    let store = open();
    assert_eq!(store.clock_shown().await.unwrap(), Some(UnixSecs(5_000)));
    let entry = Write::Entry {
        at: UnixSecs(6_000),
        txn: None,
        kind: "binding",
        detail: "{}".into(),
    };
    done(&store, vec![entry]).await;
    assert_eq!(store.clock_shown().await.unwrap(), Some(UnixSecs(6_000)));
}

pub(crate) async fn absences_are_kept_one_for_each_person<S: Store>(open: &impl Fn() -> S) {
    let store = open();
    let away = |name: &str, until, stand_in: Option<&str>| AbsenceRow {
        person: person(name),
        from: UnixSecs(100),
        until: UnixSecs(until),
        stand_in: stand_in.map(person),
        binding: digest(name),
        begun: false,
    };
    let (elin, ines) = (away("elin", 900, Some("jonas")), away("ines", 300, None));
    done(&store, vec![Write::SetAbsence(away("elin", 800, None))]).await;
    done(
        &store,
        vec![
            Write::SetAbsence(elin.clone()),
            Write::SetAbsence(ines.clone()),
        ],
    )
    .await;
    drop(store);
    let store = open();
    // Who is back soonest comes first; what was said before is replaced.
    let all = store.absences().await.unwrap();
    assert_eq!(all, [ines.clone(), elin.clone()]);

    done(&store, vec![Write::BeginAbsence(person("ines"))]).await;
    let begun = AbsenceRow {
        begun: true,
        ..ines
    };
    assert_eq!(store.absences().await.unwrap(), [begun, elin.clone()]);
    let again = vec![Write::BeginAbsence(person("ines"))];
    assert_eq!(conflict(&store, again).await, Conflict::NotAway);
    done(&store, vec![Write::EndAbsence(person("ines"))]).await;
    assert_eq!(store.absences().await.unwrap(), [elin]);
    for write in [
        Write::EndAbsence(person("ines")),
        Write::BeginAbsence(person("ines")),
    ] {
        assert_eq!(conflict(&store, vec![write]).await, Conflict::NotAway);
    }
    done(&store, vec![Write::EndAbsence(person("elin"))]).await;
}

pub(crate) async fn people_with_a_live_device_are_listed_once(store: &impl Store) {
    let device = |name: &str, whose: &str, ends_at| NewBinding {
        id: digest(name),
        person: person(whose),
        session_ends_at: UnixSecs(ends_at),
        id_token: format!("token of {name}"),
        max_live: 9,
        ..binding(name)
    };
    let writes = [
        device("first of pia", "pia", 90_000),
        device("second of pia", "pia", 90_000),
        device("of quin", "quin", 80_000),
        device("of ruth", "ruth", 90_000),
    ];
    let mut writes: Vec<Write> = writes.map(|it| Write::AddBinding(Box::new(it))).into();
    writes.push(Write::RevokeBinding {
        id: digest("of ruth"),
        at: UnixSecs(60),
    });
    writes.push(keep("pia", "newest of pia", 70_000));
    done(store, writes).await;
    let listed = async |at, limit| {
        let found = store.people(UnixSecs(at), limit).await.unwrap();
        let mut found: Vec<_> = found
            .into_iter()
            .map(|(person, claims)| (person.sub, claims.token))
            .collect();
        found.sort();
        found
    };
    let pair = |name: &str, token: &str| (name.to_owned(), token.to_owned());
    let (pia, quin) = (
        pair("pia", "newest of pia"),
        pair("quin", "token of of quin"),
    );
    assert_eq!(listed(79_999, 9).await, [pia.clone(), quin]);
    assert_eq!(listed(80_000, 9).await, [pia]);
    assert_eq!(listed(79_999, 1).await.len(), 1);
    assert!(listed(90_000, 9).await.is_empty());
}

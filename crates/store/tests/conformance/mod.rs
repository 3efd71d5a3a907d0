//! What every store must do. Generic over the trait: `open` gives a store over the same memory each time, so
//! that dropping and opening again is part of the suite.

mod people;

use std::sync::Arc;
use std::task::{Context, Waker};

use countersign_lifecycle::{Approved, Choice, CountedVote, Denied, Kind, Pending, State};
use countersign_model::{Digest, PepId, Person, Subject, Txn, UnixSecs};
use countersign_store::{
    Commit, Conflict, HistoryFilter, NewBinding, NewRequest, NewVote, OpenLimits, RequestRow,
    RequestUpdate, SpentKind, Store, Tx, Words, Write,
};

pub(crate) fn person(name: &str) -> Subject {
    Subject::parse(&format!("https://op.example|{name}")).unwrap()
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(crate) fn txn(name: &str) -> Txn {
    Txn::parse(name).unwrap()
}

pub(crate) fn request(name: &str) -> NewRequest {
    NewRequest {
        txn: txn(name),
        pep: PepId::parse("orders-gate").unwrap(),
        requester: person("mara"),
        resource_type: "orders.customer".into(),
        resource_id: "42".into(),
        operation: b"{\"a\":1}".to_vec(),
        ask_jws: "ask".into(),
        request_jws: "request".into(),
        words: Words([name.to_owned(), "falcon".to_owned()]),
        opened_at: UnixSecs(100),
        vote_until: UnixSecs(200),
        same: digest("mara deletes customer 42"),
        seen: Vec::new(),
        limits: OpenLimits {
            per_pep: 1000,
            per_requester: 1000,
        },
    }
}

pub(crate) fn binding(name: &str) -> NewBinding {
    NewBinding {
        id: digest(name),
        person: person(name),
        cic: name.as_bytes().to_vec(),
        id_token: format!("token of {name}"),
        issued_at: UnixSecs(50),
        auth_time: UnixSecs(45),
        sid: Some(format!("session of {name}")),
        session_jkt: "jkt".into(),
        device_name: "laptop".into(),
        bound_at: UnixSecs(50),
        session_ends_at: UnixSecs(500),
        max_live: 2,
    }
}

pub(crate) fn vote(row: &RequestRow, name: &str) -> NewVote {
    NewVote {
        request: row.key,
        person: person(name),
        name: name.to_owned(),
        choice: Choice::Approve,
        digest: digest(&format!("vote of {name} on {}", row.txn)),
        jws: format!("vote of {name}"),
        reason: Some("looks right".into()),
        binding: digest(name),
        claims_token: None,
        step_up: None,
        at: UnixSecs(120),
    }
}

pub(crate) fn counted(vote: &NewVote) -> CountedVote {
    CountedVote {
        subject: vote.person.clone(),
        person: Person::Account(vote.person.clone()),
        stage: None,
        prior: Vec::new(),
        digest: vote.digest,
        binding: vote.binding,
        signed_at: vote.at,
    }
}

pub(crate) fn update(row: &RequestRow, state: State) -> RequestUpdate {
    let deadline = match state.kind() {
        Kind::Pending => Some(row.vote_until),
        Kind::Approved => Some(UnixSecs(300)),
        Kind::Redeemed | Kind::Denied | Kind::Expired | Kind::Withdrawn | Kind::Voided => None,
    };
    let found_by = || format!("Mara Žižková deletes customer 42 {}", row.txn);
    let search = (state.kind() != Kind::Pending).then(found_by);
    RequestUpdate {
        key: row.key,
        expected_version: row.version,
        state,
        deadline,
        grant_jws: None,
        outcome: None,
        search,
    }
}

pub(crate) fn tx(writes: Vec<Write>) -> Tx {
    let mut tx = Tx::new();
    for write in writes {
        tx.push(write);
    }
    tx
}

async fn done(store: &impl Store, writes: Vec<Write>) {
    let commit = store.commit(tx(writes)).await.unwrap();
    assert_eq!(commit, Commit::Committed);
}

async fn conflict(store: &impl Store, writes: Vec<Write>) -> Conflict {
    match store.commit(tx(writes)).await.unwrap() {
        Commit::Conflict(conflict) => conflict,
        Commit::Committed => panic!("it was committed"),
    }
}

pub(crate) async fn get(store: &impl Store, name: &str) -> RequestRow {
    store.request(&txn(name)).await.unwrap().unwrap()
}

/// All of it.
pub(crate) async fn suite<S: Store + 'static>(open: impl Fn() -> S) {
    requests_and_votes_come_back_after_a_restart(&open).await;
    a_transaction_is_all_or_nothing(&open()).await;
    an_old_version_is_a_conflict(&open()).await;
    bounds_and_words_of_open_requests_hold(&open()).await;
    bindings_live_end_and_are_counted(&open()).await;
    what_serves_once_serves_once(&open).await;
    events_are_numbered_for_ever(&open).await;
    what_was_asked_for_is_done_when_nobody_waits_for_it(&open()).await;
    history_is_searched_and_paged(&open()).await;
    people::the_newest_claims_of_a_person_count(&open).await;
    people::sessions_end_up_to_a_moment(&open()).await;
    people::what_comes_for_the_first_time_is_told_once(&open()).await;
    people::a_denial_of_the_same_is_found(&open()).await;
    people::a_security_keys_counter_grows(&open).await;
    concurrent_commits_each_count_once(Arc::new(open())).await;
    people::absences_are_kept_one_for_each_person(&open).await;
    people::people_with_a_live_device_are_listed_once(&open()).await;
    people::the_clock_is_known_over_a_restart(&open).await;
}

async fn requests_and_votes_come_back_after_a_restart<S: Store>(open: &impl Fn() -> S) {
    let store = open();
    assert_eq!(store.next_deadline().await.unwrap(), None);
    done(
        &store,
        vec![
            Write::OpenRequest(Box::new(request("kept"))),
            Write::AddBinding(Box::new(binding("elin"))),
        ],
    )
    .await;
    let row = get(&store, "kept").await;
    assert_eq!(
        (row.version, &row.state, row.votes.len()),
        (1, &State::opened(), 0)
    );
    let cast = vote(&row, "elin");
    let state = State::Approved(Approved {
        votes: vec![counted(&cast)],
        at: UnixSecs(120),
        until: UnixSecs(300),
    });
    let mut change = update(&row, state.clone());
    change.grant_jws = Some("grant".into());
    let entry = Write::Entry {
        at: UnixSecs(120),
        txn: Some(txn("kept")),
        kind: "vote",
        detail: "{}".to_owned(),
    };
    done(
        &store,
        vec![
            Write::CastVote(Box::new(cast.clone())),
            Write::UpdateRequest(Box::new(change)),
            entry,
        ],
    )
    .await;
    drop(store);

    let store = open();
    let row = get(&store, "kept").await;
    assert_eq!(
        (row.version, &row.state, row.grant_jws.as_deref()),
        (2, &state, Some("grant"))
    );
    let new = request("kept");
    assert_eq!(
        (&row.operation, &row.requester, &row.words),
        (&new.operation, &new.requester, &new.words)
    );
    let [kept] = row.votes.as_slice() else {
        panic!("{:?}", row.votes)
    };
    assert_eq!(
        (kept.digest, kept.jws.as_str(), kept.cic.as_slice()),
        (cast.digest, "vote of elin", &b"elin"[..])
    );
    assert_eq!(kept.id_token, "token of elin");
    let entries = store.entries(&txn("kept")).await.unwrap();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.kind.as_str())
            .collect::<Vec<_>>(),
        ["vote"]
    );
    assert!(store.request(&txn("nowhere")).await.unwrap().is_none());
    store.ready().await.unwrap();
}

async fn a_transaction_is_all_or_nothing(store: &impl Store) {
    let stale = update(&get(store, "kept").await, State::opened());
    let stale = RequestUpdate {
        expected_version: 99,
        ..stale
    };
    let writes = vec![
        Write::OpenRequest(Box::new(request("half"))),
        Write::Publish {
            at: UnixSecs(100),
            txn: Some(txn("half")),
            person: None,
            body: "{}".into(),
        },
        Write::UpdateRequest(Box::new(stale)),
    ];
    let before = store.event_range().await.unwrap();
    assert_eq!(conflict(store, writes).await, Conflict::Version);
    assert!(store.request(&txn("half")).await.unwrap().is_none());
    assert_eq!(store.event_range().await.unwrap(), before);
}

async fn an_old_version_is_a_conflict(store: &impl Store) {
    done(store, vec![Write::OpenRequest(Box::new(request("raced")))]).await;
    let row = get(store, "raced").await;
    done(
        store,
        vec![Write::UpdateRequest(Box::new(update(
            &row,
            State::opened(),
        )))],
    )
    .await;
    let late = vec![Write::UpdateRequest(Box::new(update(
        &row,
        State::opened(),
    )))];
    assert_eq!(conflict(store, late).await, Conflict::Version);
    assert_eq!(get(store, "raced").await.version, 2);
}

async fn bounds_and_words_of_open_requests_hold(store: &impl Store) {
    let same_words = NewRequest {
        txn: txn("twin"),
        ..request("raced")
    };
    assert_eq!(
        conflict(
            store,
            vec![Write::OpenRequest(Box::new(same_words.clone()))]
        )
        .await,
        Conflict::Words
    );
    let row = get(store, "raced").await;
    let denied = State::Denied(Denied {
        votes: vec![],
        by: person("elin"),
        deny: digest("deny"),
        at: UnixSecs(130),
    });
    done(
        store,
        vec![Write::UpdateRequest(Box::new(update(&row, denied)))],
    )
    .await;
    // Words are free again once their request is closed.
    done(store, vec![Write::OpenRequest(Box::new(same_words))]).await;

    let limits = |per_pep, per_requester| OpenLimits {
        per_pep,
        per_requester,
    };
    let limited = |limits| {
        vec![Write::OpenRequest(Box::new(NewRequest {
            limits,
            ..request("limited")
        }))]
    };
    assert_eq!(
        conflict(store, limited(limits(2, 9))).await,
        Conflict::OpenPerPep
    );
    assert_eq!(
        conflict(store, limited(limits(9, 2))).await,
        Conflict::OpenPerRequester
    );
    done(store, limited(limits(3, 3))).await;

    let pending = store.pending(None, 10).await.unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|row| row.txn.as_str())
            .collect::<Vec<_>>(),
        ["twin", "limited"]
    );
    let twin = &pending[0];
    let behind = store
        .pending(Some((twin.vote_until, twin.key)), 10)
        .await
        .unwrap();
    assert_eq!(behind, pending[1..], "a batch goes on behind the last one");
    assert_eq!(
        store.pending_of(&twin.requester, 10).await.unwrap(),
        pending
    );
    let nobody = store.pending_of(&person("nobody"), 10).await.unwrap();
    assert!(nobody.is_empty());
    let due = store.due(UnixSecs(200), 10).await.unwrap();
    assert_eq!(due.len(), 2, "the approved one's time is not over");
    assert!(store.due(UnixSecs(199), 10).await.unwrap().is_empty());
    let next = store.next_deadline().await.unwrap();
    assert_eq!(next, Some(UnixSecs(200)), "not the approved one's");
    let before = store
        .before(&get(store, "limited").await, 10)
        .await
        .unwrap();
    assert_eq!(
        before,
        [
            (Kind::Denied, UnixSecs(130)),
            (Kind::Approved, UnixSecs(120))
        ]
    );
}

async fn bindings_live_end_and_are_counted(store: &impl Store) {
    assert_eq!(
        conflict(store, vec![Write::AddBinding(Box::new(binding("elin")))]).await,
        Conflict::Exists
    );
    let second = NewBinding {
        id: digest("second"),
        ..binding("elin")
    };
    done(store, vec![Write::AddBinding(Box::new(second.clone()))]).await;
    let third = NewBinding {
        id: digest("third"),
        ..binding("elin")
    };
    let third = || vec![Write::AddBinding(Box::new(third.clone()))];
    assert_eq!(conflict(store, third()).await, Conflict::TooManyBindings);

    let refresh = |id| Write::RefreshBinding {
        id,
        claims_token: "newer".into(),
    };
    done(
        store,
        vec![Write::ExpectUnrevoked(second.id), refresh(second.id)],
    )
    .await;
    assert_eq!(
        store
            .binding(second.id)
            .await
            .unwrap()
            .unwrap()
            .claims_token
            .as_deref(),
        Some("newer")
    );
    let live = store
        .bindings_of(&person("elin"), UnixSecs(60))
        .await
        .unwrap();
    assert_eq!(
        live.iter().map(|row| row.id).collect::<Vec<_>>(),
        [second.id, digest("elin")]
    );
    assert!(
        store
            .bindings_of(&person("elin"), UnixSecs(500))
            .await
            .unwrap()
            .is_empty()
    );

    let revoke = |id| {
        vec![Write::RevokeBinding {
            id,
            at: UnixSecs(70),
        }]
    };
    done(store, revoke(second.id)).await;
    assert_eq!(conflict(store, revoke(second.id)).await, Conflict::Revoked);
    assert_eq!(
        conflict(store, vec![Write::ExpectUnrevoked(second.id)]).await,
        Conflict::Revoked
    );
    assert_eq!(
        conflict(store, vec![Write::ExpectUnrevoked(digest("never"))]).await,
        Conflict::Revoked
    );
    assert_eq!(
        conflict(store, vec![refresh(second.id)]).await,
        Conflict::Revoked
    );
    let row = store.binding(second.id).await.unwrap().unwrap();
    assert!(!row.is_live(UnixSecs(80)));
    done(store, third()).await;

    // A live vote of a revoked binding in an open request is found until it has been ended.
    assert!(store.with_revoked_votes(10).await.unwrap().is_empty());
    done(store, revoke(digest("elin"))).await;
    let found = store.with_revoked_votes(10).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.txn.as_str()).collect::<Vec<_>>(),
        ["kept"]
    );
    let ended = Write::EndVote {
        request: found[0].key,
        vote: found[0].votes[0].digest,
    };
    done(store, vec![ended]).await;
    assert!(store.with_revoked_votes(10).await.unwrap().is_empty());

    for at in [400, 300] {
        done(
            store,
            vec![Write::RevokePerson {
                person: person("elin"),
                at: UnixSecs(at),
            }],
        )
        .await;
    }
    assert_eq!(
        store.revoked_at(&person("elin")).await.unwrap(),
        Some(UnixSecs(400)),
        "it never goes back"
    );
    assert_eq!(store.revoked_at(&person("jonas")).await.unwrap(), None);
}

async fn what_serves_once_serves_once<S: Store>(open: &impl Fn() -> S) {
    let spend = |value: &str| Write::Spend {
        kind: SpentKind::PopNonce,
        value: value.to_owned(),
        until: UnixSecs(1_000),
    };
    let store = open();
    done(&store, vec![spend("n1")]).await;
    let pep = PepId::parse("orders-gate").unwrap();
    let remember = || Write::Remember {
        pep: pep.clone(),
        key: "k".into(),
        body: digest("body"),
        txn: txn("kept"),
        until: UnixSecs(1_000),
    };
    done(&store, vec![remember()]).await;
    drop(store);
    let store = open();
    assert_eq!(
        conflict(&store, vec![spend("n1")]).await,
        Conflict::Spent(SpentKind::PopNonce)
    );
    assert_eq!(
        conflict(&store, vec![spend("n2"), remember()]).await,
        Conflict::Remembered
    );
    let known = store.remembered(&pep, "k").await.unwrap().unwrap();
    assert_eq!((known.body, known.txn), (digest("body"), txn("kept")));
    assert!(
        store
            .remembered(&PepId::parse("other").unwrap(), "k")
            .await
            .unwrap()
            .is_none()
    );

    let prune = |now| {
        vec![Write::Prune {
            now: UnixSecs(now),
            events_before: UnixSecs(0),
        }]
    };
    done(&store, prune(999)).await;
    assert_eq!(
        conflict(&store, vec![spend("n1")]).await,
        Conflict::Spent(SpentKind::PopNonce)
    );
    done(&store, prune(1_000)).await;
    assert!(store.remembered(&pep, "k").await.unwrap().is_none());
    done(&store, vec![spend("n1")]).await;
}

async fn events_are_numbered_for_ever<S: Store>(open: &impl Fn() -> S) {
    let publish = |at, person| Write::Publish {
        at: UnixSecs(at),
        txn: Some(txn("kept")),
        person,
        body: format!("{{\"at\":{at}}}"),
    };
    let store = open();
    let mut published = store.published();
    done(&store, vec![publish(10, None)]).await;
    let first = *published.borrow_and_update();
    let two = [publish(20, Some(person("elin"))), publish(30, None)];
    done(&store, two.into()).await;
    assert!(published.has_changed().unwrap(), "whoever waits is woken");
    let third = *published.borrow_and_update();
    assert_eq!(third, first + 2);
    // What is about no event, or is not kept, wakes nobody.
    done(&store, vec![Write::ClockShows(UnixSecs(1))]).await;
    let kept_not = vec![publish(35, None), Write::EndAbsence(person("nobody"))];
    assert_eq!(conflict(&store, kept_not).await, Conflict::NotAway);
    assert!(!published.has_changed().unwrap());
    let events = store.events_after(first, 10).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.seq).collect::<Vec<_>>(),
        [first + 1, first + 2]
    );
    assert_eq!(events[0].person, Some(person("elin")));
    assert_eq!(store.event_range().await.unwrap(), (first, third));

    done(
        &store,
        vec![Write::Prune {
            now: UnixSecs(0),
            events_before: UnixSecs(30),
        }],
    )
    .await;
    assert_eq!(store.event_range().await.unwrap(), (third, third));
    done(
        &store,
        vec![Write::Prune {
            now: UnixSecs(0),
            events_before: UnixSecs(31),
        }],
    )
    .await;
    drop(store);
    let store = open();
    assert_eq!(
        store.event_range().await.unwrap(),
        (third + 1, third),
        "all pruned"
    );
    let published = store.published();
    assert_eq!(*published.borrow(), third, "known over a restart");
    done(&store, vec![publish(40, None)]).await;
    assert_eq!(*published.borrow(), third + 1, "no number twice");
}

async fn what_was_asked_for_is_done_when_nobody_waits_for_it(store: &impl Store) {
    let mut published = store.published();
    published.borrow_and_update();
    let event = Write::Publish {
        at: UnixSecs(50),
        txn: None,
        person: None,
        body: "{}".into(),
    };
    let mut asked = store.commit(tx(vec![event]));
    let _ = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(asked);
    published.changed().await.unwrap();
}

async fn history_is_searched_and_paged(store: &impl Store) {
    let names = |rows: Vec<RequestRow>| {
        rows.iter()
            .map(|row| row.txn.to_string())
            .collect::<Vec<_>>()
    };
    let find = |filter: HistoryFilter| async move {
        names(
            store
                .history(HistoryFilter {
                    limit: 10,
                    ..filter
                })
                .await
                .unwrap()
                .rows
                .into_iter()
                .map(|(_, row)| row)
                .collect(),
        )
    };
    let text = |text: &str| HistoryFilter {
        text: Some(text.into()),
        ..HistoryFilter::default()
    };
    assert_eq!(
        find(HistoryFilter::default()).await,
        ["raced", "kept"],
        "pending ones are not history"
    );
    assert_eq!(find(text("zizkova 42")).await, ["raced", "kept"]);
    assert_eq!(find(text("custom KEP")).await, ["kept"]);
    assert!(find(text("customer 43")).await.is_empty());
    assert!(
        find(text("\"* OR -- )")).await.is_empty(),
        "nothing of it is syntax"
    );
    let of_kind = |kinds| HistoryFilter {
        kinds,
        ..HistoryFilter::default()
    };
    assert_eq!(
        find(of_kind(vec![Kind::Denied, Kind::Expired])).await,
        ["raced"]
    );
    assert!(find(of_kind(vec![Kind::Pending])).await.is_empty());
    let by = |name| HistoryFilter {
        voter: Some(person(name)),
        ..HistoryFilter::default()
    };
    assert_eq!(find(by("elin")).await, ["kept"]);
    assert!(find(by("jonas")).await.is_empty());
    let raced = get(store, "raced").await;
    let all = store
        .history(HistoryFilter {
            limit: 1,
            ..HistoryFilter::default()
        })
        .await
        .unwrap();
    let first = all.rows[0].0;
    assert_eq!(all.next, Some(first), "a full slice may not be all");
    let around = |before, after| HistoryFilter {
        before,
        after,
        ..HistoryFilter::default()
    };
    assert_eq!(find(around(Some(first), None)).await, ["kept"]);
    assert!(find(around(None, Some(first))).await.is_empty());
    let newest = store.history_ends().await.unwrap().unwrap();
    assert_eq!(newest.0, first);
    // A call looks at so many only, and says where the next one goes on.
    let nobody = HistoryFilter {
        limit: 10,
        look_at: Some(1),
        ..by("jonas")
    };
    let slice = store.history(nobody.clone()).await.unwrap();
    assert!(slice.rows.is_empty());
    let rest = HistoryFilter {
        before: slice.next,
        look_at: None,
        ..nobody
    };
    assert!(slice.next.is_some());
    assert_eq!(store.history(rest).await.unwrap().next, None);

    // What a text finds is looked for among the same places.
    let found = HistoryFilter {
        limit: 10,
        look_at: Some(1),
        ..text("kep")
    };
    let slice = store.history(found.clone()).await.unwrap();
    assert!(slice.rows.is_empty() && slice.next.is_some());
    let rest = HistoryFilter {
        before: slice.next,
        ..found
    };
    assert_eq!(find(rest).await, ["kept"]);

    let change = RequestUpdate {
        search: Some("customer of the wrong tenant".into()),
        ..update(&raced, raced.state.clone())
    };
    done(store, vec![Write::UpdateRequest(Box::new(change))]).await;
    assert_eq!(find(text("tenant custom")).await, ["raced"]);
    assert_eq!(find(text("zizkova 42")).await, ["kept"], "in its place");
    // What changed after it was closed is told as new.
    let kept = get(store, "kept").await;
    let change = update(&kept, kept.state.clone());
    done(store, vec![Write::UpdateRequest(Box::new(change))]).await;
    assert_eq!(find(HistoryFilter::default()).await, ["kept", "raced"]);
    assert_eq!(
        find(around(None, Some(newest.0))).await,
        ["kept", "raced"],
        "both changed since"
    );
}

async fn concurrent_commits_each_count_once<S: Store + 'static>(store: Arc<S>) {
    const WRITERS: usize = 200;
    done(
        &*store,
        vec![Write::OpenRequest(Box::new(request("counter")))],
    )
    .await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    let row = get(&*store, "counter").await;
                    let change = update(&row, State::Pending(Pending::default()));
                    let entry = Write::Entry {
                        at: UnixSecs(1),
                        txn: Some(txn("counter")),
                        kind: "test",
                        detail: n.to_string(),
                    };
                    let once = tx(vec![Write::UpdateRequest(Box::new(change)), entry]);
                    match store.commit(once).await.unwrap() {
                        Commit::Committed => return,
                        Commit::Conflict(conflict) => assert_eq!(conflict, Conflict::Version),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(get(&*store, "counter").await.version, 1 + WRITERS as i64);
    let mut seen: Vec<_> = store
        .entries(&txn("counter"))
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.detail)
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), WRITERS, "each of them exactly once");
}

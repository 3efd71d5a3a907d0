//! The enforcement point against a server under the test's control: honest first, then lying in every way that it
//! has. Nothing is ever released on a lie, and the refusal names the step that found it.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use countersign_model::{Operation, PolicyCheck as _, Txn};
use countersign_pep::{Keep, Kind, Over, Pending, Pep, Permit, Refusal, Settled};
use countersign_policy::Policy;

use support::{Lie, World};

async fn asked(world: &World, pep: &Arc<Pep>, keep: Keep) -> (Pending, Operation) {
    let fresh = pep.draw();
    let operation = world.operation(&fresh);
    let requirement = world.requirement(&operation);
    (
        pep.ask(&fresh, operation.clone(), requirement, keep)
            .await
            .unwrap(),
        operation,
    )
}

async fn approved(world: &World, pep: &Arc<Pep>) -> (Pending, Operation) {
    let (mut pending, operation) = asked(world, pep, Keep::WhileHeld).await;
    world.server.approve(pending.txn().as_str());
    assert_eq!(pending.settled().await, Settled::Approved);
    (pending, operation)
}

async fn released(world: &World, pep: &Arc<Pep>) -> Result<Permit, Refusal> {
    let (mut pending, operation) = approved(world, pep).await;
    pending.release(&operation).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_approval_is_released_once_and_its_outcome_told() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = approved(&world, &pep).await;
    let permit = pending.release(&operation).await.unwrap();
    assert!(permit.verified().complete());
    let again = pending.release(&operation).await.unwrap_err();
    assert_eq!(
        (again.code.as_ref(), again.step.name()),
        ("approval_used", "nonce")
    );
    permit.open(&operation).unwrap().executed(Some(204));
    pep.drain().await;
    let outcomes = world.server.outcomes();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert_eq!(
        (
            outcomes[0]["executed"].as_bool(),
            outcomes[0]["status"].as_i64()
        ),
        (Some(true), Some(204))
    );
    assert!(world.server.cancelled().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_names_the_policy_that_released_it() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = approved(&world, &pep).await;
    let permit = pending.release(&operation).await.unwrap();
    let executing = permit.open(&operation).unwrap();
    // The operator changes the policy while the operation is on its way.
    let text = support::policy_text(&world.op.issuer) + "// Another one.";
    let another = Arc::new(Policy::load(&text).unwrap());
    let old = std::mem::replace(&mut *world.in_force.lock().unwrap(), another);
    executing.executed(None);
    pep.drain().await;
    let outcome = world.server.outcomes().remove(0);
    assert_eq!(outcome["policy_digest"], old.digest().to_string());
    assert_ne!(pep.policy().digest(), old.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_for_a_while_cost_no_approval() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = asked(&world, &pep, Keep::WhileHeld).await;
    world.clock.dates_ahead(100);
    let before = world.server.polls();
    world.server.approve(pending.txn().as_str());
    // One of the two looks heard an answer of the other clock, and was followed by another.
    tokio::select! {
        settled = pending.settled() => panic!("{settled:?}"),
        () = world.server.polled(before + 2) => {}
    }
    world.clock.dates_ahead(0);
    assert_eq!(pending.settled().await, Settled::Approved);
    assert!(pending.release(&operation).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_opens_for_its_own_operation_only() {
    let world = World::new().await;
    let pep = world.pep();
    let permit = released(&world, &pep).await.unwrap();
    let other = world.operation(&pep.draw());
    assert_eq!(permit.open(&other).unwrap_err().code, "other_operation");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_executed_is_rebuilt_and_must_be_what_was_approved() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = approved(&world, &pep).await;
    let mut value = operation.value().clone();
    value["resource"]["id"] = serde_json::json!("43");
    let refusal = pending
        .release(&Operation::build(value).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.step.name(), refusal.code.as_ref()),
        ("operation", "operation_differs")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_server_releases_nothing_and_the_refusal_names_the_step() {
    let world = World::new().await;
    let pep = world.pep();
    let mut wrong = Vec::new();
    for (lie, step) in [
        (Lie::NoEvidence, "decision"),
        (Lie::OwnOpKey, "bindings"),
        (Lie::ForgedVote, "votes"),
        (Lie::OtherKeysVote, "sameness"),
        (Lie::DenyAsApprove, "votes"),
        (Lie::SwappedOperation, "sameness"),
        (Lie::OtherOperation, "operation"),
        (Lie::LoweredRequirement, "requirement"),
        (Lie::OneVote, "people"),
        (Lie::OnePersonTwice, "people"),
        (Lie::Requester, "people"),
        (Lie::Outsiders, "people"),
        (Lie::OtherServersBinding, "sameness"),
        (Lie::OldVotes, "votes"),
        (Lie::OtherGate, "sameness"),
        (Lie::OwnServerKey, "sameness"),
        (Lie::OtherTxn, "sameness"),
        (Lie::NoTokens, "bindings"),
        (Lie::RefusesRedeem, "redeem"),
        (Lie::TrueWithoutRedeem, "redeem"),
    ] {
        world.server.lie(lie);
        let refusal = released(&world, &pep).await.unwrap_err();
        if refusal.step.name() != step
            || refusal.kind != Kind::Denied
            || refusal.sentence.is_empty()
        {
            wrong.push(format!("{lie:?}: {refusal}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The server itself is told of each, by its code.
    pep.drain().await;
    assert!(
        world
            .server
            .outcomes()
            .iter()
            .all(|outcome| outcome["executed"] == false)
    );
    world.server.lie(Lie::None);
    assert!(
        released(&world, &pep).await.is_ok(),
        "the honest case still passes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_redemption_has_spent_the_nonce() {
    let world = World::new().await;
    let pep = world.pep();
    world.server.lie(Lie::RefusesRedeem);
    let (mut pending, operation) = approved(&world, &pep).await;
    assert_eq!(
        pending.release(&operation).await.unwrap_err().step.name(),
        "redeem"
    );
    world.server.lie(Lie::None);
    assert_eq!(
        pending.release(&operation).await.unwrap_err().code,
        "approval_used"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_retries_with_one_approval_release_it_once() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = asked(&world, &pep, Keep::OnDisk).await;
    let txn = pending.txn().clone();
    world.server.approve(txn.as_str());
    assert_eq!(pending.settled().await, Settled::Approved);
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (pep, txn, operation) = (Arc::clone(&pep), txn.clone(), operation.clone());
        tries.spawn(async move {
            let mut joined = pep.join(&txn, &operation)?;
            joined.settled().await;
            joined.release(&operation).await
        });
    }
    let results = tries.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(
        lost.into_iter()
            .all(|result| result.unwrap_err().code == "approval_used")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_joins_with_the_equal_call_by_the_same_caller_only() {
    let world = World::new().await;
    let pep = world.pep();
    let (pending, operation) = asked(&world, &pep, Keep::OnDisk).await;
    let txn = pending.txn().clone();
    let changed = |pointer: &str, to: &str| {
        let mut value = operation.value().clone();
        *value.pointer_mut(pointer).unwrap() = serde_json::json!(to);
        Operation::build(value).unwrap()
    };
    assert!(pep.join(&txn, &operation).is_ok());
    assert_eq!(
        pep.join(&txn, &changed("/resource/id", "43"))
            .unwrap_err()
            .code,
        "other_call"
    );
    let other = changed("/subject/id", &format!("{}|otto", world.op.issuer));
    assert_eq!(pep.join(&txn, &other).unwrap_err().code, "approval_unknown");
    let unknown = Txn::parse("unknown").unwrap();
    assert_eq!(
        pep.join(&unknown, &operation).unwrap_err().code,
        "approval_unknown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_withdraws_what_was_held_and_leaves_what_was_kept() {
    let world = World::new().await;
    let pep = world.pep();
    let (held, _) = asked(&world, &pep, Keep::WhileHeld).await;
    let (mut moved, _) = asked(&world, &pep, Keep::WhileHeld).await;
    let (kept, _) = asked(&world, &pep, Keep::OnDisk).await;
    moved.keep().await.unwrap();
    let gone = held.txn().to_string();
    drop((held, moved, kept));
    world.server.withdrawn(1).await;
    pep.drain().await;
    assert_eq!(world.server.cancelled(), vec![gone]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_while_asking_leaves_nothing_open() {
    let world = World::new().await;
    let pep = world.pep();
    let fresh = pep.draw();
    let operation = world.operation(&fresh);
    let requirement = world.requirement(&operation);
    let asking = {
        let (pep, fresh) = (Arc::clone(&pep), fresh.clone());
        tokio::spawn(async move {
            pep.ask(&fresh, operation, requirement, Keep::WhileHeld)
                .await
        })
    };
    world.server.opened().await;
    // Wherever it is by now: what it has got goes with it.
    asking.abort();
    drop(asking);
    world.server.withdrawn(1).await;
}

// On one thread, so that nothing happens between the two looks of the `select!`.
#[tokio::test]
async fn a_caller_who_goes_away_before_hearing_the_answer_leaves_nothing_open() {
    let world = World::new().await;
    let pep = world.pep();
    let fresh = pep.draw();
    let operation = world.operation(&fresh);
    let requirement = world.requirement(&operation);
    let mut asking = Box::pin(pep.ask(&fresh, operation, requirement, Keep::OnDisk));
    tokio::select! {
        biased;
        _ = world.server.opened() => {}
        _ = &mut asking => unreachable!("the request is open before the answer is there"),
    }
    // The answer is there now, and nobody takes it.
    pep.drain().await;
    drop(asking);
    world.server.withdrawn(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_voids_what_was_held_and_joins_what_was_kept() {
    let world = World::new().await;
    let pep = world.pep();
    let (held, held_operation) = asked(&world, &pep, Keep::WhileHeld).await;
    let (kept, kept_operation) = asked(&world, &pep, Keep::OnDisk).await;
    let (held_txn, kept_txn) = (held.txn().clone(), kept.txn().clone());
    // A killed gate runs no destructor.
    std::mem::forget(held);
    drop(kept);
    let stopped = Arc::downgrade(&pep);
    drop(pep);
    // The forgotten one holds the old gate's state folder: another folder with the same file is what a restart finds.
    assert!(stopped.upgrade().is_some());
    let second = tempfile::tempdir().unwrap();
    std::fs::copy(
        world.dir.path().join("operations.journal"),
        second.path().join("operations.journal"),
    )
    .unwrap();
    let world = World {
        dir: second,
        ..world
    };
    let pep = world.pep();
    assert_eq!(
        pep.join(&held_txn, &held_operation).unwrap_err().code,
        "approval_unknown"
    );
    let mut joined = pep.join(&kept_txn, &kept_operation).unwrap();
    world.server.approve(kept_txn.as_str());
    assert_eq!(joined.settled().await, Settled::Approved);
    assert!(joined.release(&kept_operation).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_and_an_expiry_are_told_with_their_reason() {
    let world = World::new().await;
    let pep = world.pep();
    for (status, wanted) in [
        ("denied", Over::Denied),
        ("expired", Over::Expired),
        ("cancelled", Over::Withdrawn),
        ("failed", Over::Failed),
    ] {
        let (mut pending, operation) = asked(&world, &pep, Keep::OnDisk).await;
        let txn = pending.txn().clone();
        world
            .server
            .end(txn.as_str(), status, Some("wrong customer"));
        let Settled::Over(over, told) = pending.settled().await else {
            panic!("{status}")
        };
        assert_eq!(over, wanted);
        assert_eq!(told.reason.as_deref(), Some("wrong customer"));
        assert_eq!(
            pending.release(&operation).await.unwrap_err().code,
            "not_approved"
        );
        pending.forget().await.unwrap();
        assert_eq!(
            pep.join(&txn, &operation).unwrap_err().code,
            "approval_unknown"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_came_too_late_is_not_released() {
    let world = World::new().await;
    let pep = world.pep();
    let (mut pending, operation) = approved(&world, &pep).await;
    // Two minutes of grant, and then some.
    world.clock.forward(200);
    let refusal = pending.release(&operation).await.unwrap_err();
    assert_eq!(refusal.step.name(), "votes", "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_not_an_approval() {
    let world = World::new().await;
    let pep = world.pep();
    world.server.down(true);
    let fresh = pep.draw();
    let operation = world.operation(&fresh);
    let requirement = world.requirement(&operation);
    let refusal = pep
        .ask(&fresh, operation, requirement, Keep::WhileHeld)
        .await
        .unwrap_err();
    assert_eq!(refusal.kind, Kind::Unavailable, "{refusal}");
    world.server.down(false);
    assert!(released(&world, &pep).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_this_gates_nonce_is_not_asked() {
    let world = World::new().await;
    let pep = world.pep();
    let (mine, other) = (pep.draw(), pep.draw());
    let operation = world.operation(&other);
    let requirement = world.requirement(&operation);
    let refusal = pep
        .ask(
            &mine,
            operation.clone(),
            requirement.clone(),
            Keep::WhileHeld,
        )
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "nonce_unknown");
    let mut value = operation.value().clone();
    value["context"]["pep"] = serde_json::json!("another-gate");
    let elsewhere = Operation::build(value).unwrap();
    let refusal = pep
        .ask(&other, elsewhere, requirement.clone(), Keep::WhileHeld)
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "nonce_unknown");
    assert_eq!(world.server.calls(), 0);
    let pending = pep
        .ask(
            &other,
            operation.clone(),
            requirement.clone(),
            Keep::WhileHeld,
        )
        .await
        .unwrap();
    let replay = pep
        .ask(&other, operation, requirement, Keep::WhileHeld)
        .await
        .unwrap_err();
    assert_eq!(replay.code, "nonce_replayed");
    drop(pending);
}

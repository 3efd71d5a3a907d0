//! What a policy may demand beyond people's yes, at release: a fresh sign-in for the very vote, consent to one
//! scope, stages, the requester's own confirmation, claims of this minute. The server serves each honestly first,
//! then lies about each part of it.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use countersign_pep::{Keep, Kind, Pep, Permit, Refusal, Settled};

use support::{Lie, World};

const RULES: &str = r#"
@id("refund") @approvals("2") @step_up("oidc") @acr("urn:mfa") @scope("approve:orders.refund")
permit (principal, action == Action::"orders.refund", resource);

@id("export") @by("requester") @step_up("oidc")
permit (principal, action == Action::"orders.export", resource);

@id("purge") @stages("data:1, security:1")
permit (principal, action == Action::"orders.purge", resource);

@id("data-vote") @stage("data") @people("database approvers")
permit (principal, action == Action::"vote", resource) when { principal.groups.contains("ISSUER#dba") };
@id("security-vote") @stage("security") @people("security")
permit (principal, action == Action::"vote", resource) when { principal.groups.contains("ISSUER#security") };

@id("rename") @approvals("2") @release_claims("1m") @grant("10m")
permit (principal, action == Action::"orders.rename", resource);
"#;

async fn world(action: &'static str) -> (World, Arc<Pep>) {
    let world = World {
        action,
        ..World::ruled(RULES).await
    };
    let pep = world.pep();
    (world, pep)
}

async fn released(world: &World, pep: &Arc<Pep>, wait_secs: i64) -> Result<Permit, Refusal> {
    let fresh = pep.draw();
    let operation = world.operation(&fresh);
    let requirement = world.requirement(&operation);
    let asked = pep.ask(&fresh, operation.clone(), requirement, Keep::OnDisk);
    let mut pending = asked.await.unwrap();
    world.server.approve(pending.txn().as_str());
    assert_eq!(pending.settled().await, Settled::Approved);
    world.clock.forward(wait_secs);
    pending.release(&operation).await
}

/// Honest, it is released; with each of these lies it is not, and the refusal names step and rule.
async fn check(action: &'static str, lies: &[(Lie, &str, &str)]) {
    let (world, pep) = world(action).await;
    let permit = released(&world, &pep, 0).await.unwrap();
    assert!(permit.verified().complete());
    let mut wrong = Vec::new();
    for (lie, step, code) in lies {
        world.server.lie(*lie);
        let refusal = released(&world, &pep, 0).await.unwrap_err();
        let found = (refusal.step.name(), refusal.code.as_ref(), refusal.kind);
        if found != (*step, *code, Kind::Denied) {
            wrong.push(format!("{lie:?}: {refusal}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.server.lie(Lie::None);
    assert!(
        released(&world, &pep, 0).await.is_ok(),
        "the honest case still passes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_is_the_voters_own_for_this_vote_and_with_this_consent() {
    check(
        "orders.refund",
        &[
            (Lie::NoStepUp, "step_up", "step_up_missing"),
            (Lie::StepUpOfAnotherVote, "step_up", "step_up_nonce"),
            (Lie::StepUpBeforeTheVote, "step_up", "step_up_before_vote"),
            (
                Lie::StepUpBySomebodyElse,
                "step_up",
                "step_up_other_account",
            ),
            (Lie::StepUpTooWeak, "step_up", "step_up_acr_differs"),
            (Lie::NoConsent, "step_up", "consent_missing"),
            (Lie::ConsentToAnotherScope, "step_up", "consent_scope"),
            (Lie::ConsentForAnotherVote, "step_up", "consent_not_tied"),
            (Lie::NoTokens, "bindings", "id_token_missing"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requester_confirms_in_person_or_nobody_does() {
    check(
        "orders.export",
        &[
            (Lie::SomebodyElseConfirms, "people", "not_the_requester"),
            (Lie::NoStepUp, "step_up", "step_up_missing"),
            (
                Lie::StepUpBySomebodyElse,
                "step_up",
                "step_up_other_account",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_come_one_after_another_each_by_its_own_people() {
    check(
        "orders.purge",
        &[
            (Lie::OneGroupInBothStages, "people", "may_not_vote"),
            (Lie::StageOutOfTurn, "votes", "prior_unknown"),
            (Lie::StageWithoutTheOneBefore, "votes", "prior_incomplete"),
            (Lie::OneVote, "people", "quorum_missing"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_claims_and_their_age_count_at_release() {
    check(
        "orders.rename",
        &[(Lie::LeftTheGroup, "people", "may_not_vote")],
    )
    .await;
    let (world, pep) = world("orders.rename").await;
    assert!(released(&world, &pep, 60).await.is_ok());
    let refusal = released(&world, &pep, 61).await.unwrap_err();
    assert_eq!(refusal.code, "claims_too_old_now", "{refusal}");
}

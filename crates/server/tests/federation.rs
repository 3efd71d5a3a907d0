//! Several providers at once: who signs in where, who is whom, and who may say what.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use countersign_evidence::op_token::{OpRole, PersonRule};
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::{Answer, World};

const DELETE: &str = "orders.customers.delete";
const RENAME: &str = "orders.customers.rename";
const BOTH: [OpRole; 2] = [OpRole::Approver, OpRole::Requester];

/// Both providers' `dba` may vote.
fn policy_for_both(world: &World) -> String {
    let other = &world.other.as_ref().unwrap().issuer;
    let mine = "principal.groups.contains(\"{{issuer}}#dba\")";
    assert!(world::POLICY.contains(mine));
    world::POLICY.replace(
        mine,
        &format!("({mine} || principal.groups.contains(\"{other}#dba\"))"),
    )
}

async fn at_other(world: &World, sub: &str, change: impl FnOnce(&mut Value)) -> Device {
    let issuer = world.other.as_ref().unwrap().issuer.clone();
    let mut device = world.unbound_at(&issuer, sub, change);
    device.bind(world).await;
    device
}

fn oid(value: &str) -> impl FnOnce(&mut Value) {
    move |it| it["oid"] = json!(value)
}

async fn with_oid(world: &World, sub: &str, value: &str) -> Device {
    let mut device = world.unbound(sub, oid(value));
    device.bind(world).await;
    device
}

#[tokio::test]
async fn the_same_sub_at_two_providers_is_two_people() {
    let world = World::federated(PersonRule::Account, &BOTH).await;
    world.set_policy(&policy_for_both(&world));
    let operation = world.operation(DELETE);
    let txn = world.gate().open(&operation, 2).await;
    let (here, there) = (
        world.sign_in("elin").await,
        at_other(&world, "elin", |_| {}).await,
    );
    here.vote(&world, &txn, Choice::Approve).await.is(200);
    let done = there.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(done["state"], "approved");
    assert_eq!(
        world.gate().redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
}

#[tokio::test]
async fn one_person_with_accounts_at_two_providers_counts_once() {
    let rule = PersonRule::Claims(vec!["oid".to_owned()]);
    let world = World::federated(rule, &BOTH).await;
    world.set_policy(&policy_for_both(&world));
    let txn = world
        .gate()
        .open(
            &world.operation_with(DELETE, |it| {
                it["subject"]["properties"]["claims"]["oid"] = json!("o-mara");
            }),
            2,
        )
        .await;
    let here = with_oid(&world, "elin", "o-elin").await;
    let there = at_other(&world, "nora", oid("o-elin")).await;
    here.vote(&world, &txn, Choice::Approve).await.is(200);
    there
        .vote(&world, &txn, Choice::Approve)
        .await
        .refused(409, "already_voted");

    // Nor does the requester vote from their other account; whoever cannot be told apart does not count.
    let requester = at_other(&world, "mara", oid("o-mara")).await;
    requester
        .vote(&world, &txn, Choice::Approve)
        .await
        .refused(403, "own_request");
    let nameless = at_other(&world, "elin", |_| {}).await;
    nameless
        .vote(&world, &txn, Choice::Approve)
        .await
        .refused(403, "person_unknown");
    let jonas = at_other(&world, "jonas", oid("o-jonas")).await;
    let done = jonas.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(done["state"], "approved");
}

#[tokio::test]
async fn where_nothing_tells_people_apart_a_second_vote_does_not_count() {
    let world = World::federated(PersonRule::Unknown, &BOTH).await;
    world.set_policy(&policy_for_both(&world));
    let txn = world.gate().open(&world.operation(DELETE), 2).await;
    let elin = world.sign_in("elin").await;
    elin.vote(&world, &txn, Choice::Approve)
        .await
        .refused(403, "person_unknown");
    let deny = elin.vote(&world, &txn, Choice::Deny).await;
    assert!(matches!(deny.status, 200 | 403), "{deny:?}");
}

#[tokio::test]
async fn a_group_counts_only_from_its_own_provider() {
    let world = World::federated(PersonRule::Account, &BOTH).await;
    let txn = world.gate().open(&world.operation(DELETE), 2).await;
    let there = at_other(&world, "elin", |_| {}).await;
    there
        .get(&world, &format!("/approver/v1/requests/{txn}"))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_provider_speaks_in_its_own_name_and_role_only() {
    let world = World::federated(PersonRule::Account, &[OpRole::Requester]).await;
    let other = world.other.as_ref().unwrap().issuer.clone();
    // Signed by the other provider, in this one's name.
    let mixed = {
        let mut device = world.unbound("elin", |_| {});
        let claims = device.id_token.split('.').nth(1).unwrap().to_owned();
        let claims: Value =
            serde_json::from_slice(&countersign_model::b64u_decode(&claims).unwrap()).unwrap();
        device.id_token = world::signed(&world.key_of(&other), "JWT", &claims);
        device
    };
    mixed.exchange(&world).await.refused(400, "invalid_grant");
    // Its people ask; they do not approve.
    let stranger = world.unbound_at(&other, "elin", |_| {});
    stranger
        .exchange(&world)
        .await
        .refused(400, "invalid_grant");
    let known = Answer::of(world.http.get(world.url("/.well-known/countersign"))).await;
    let providers = known.is(200)["providers"].clone();
    assert_eq!(
        (providers.as_array().unwrap().len(), &providers[0]["issuer"]),
        (1, &json!(world.issuer.as_str()))
    );
    assert_eq!(
        (&providers[0]["step_up"], &providers[0]["acr_claim"]),
        (&json!("oidc"), &json!("acr"))
    );
}

#[tokio::test]
async fn a_provider_that_cannot_step_up_is_told_as_such_and_its_word_is_not_taken() {
    let world = World::federated(PersonRule::Account, &BOTH).await;
    world.set_policy(&policy_for_both(&world));
    let known = Answer::of(world.http.get(world.url("/.well-known/countersign"))).await;
    assert_eq!(known.is(200)["providers"][1]["step_up"], "none");
    let txn = world
        .gate()
        .open_for(&world.operation("orders.customers.erase"))
        .await;
    let there = at_other(&world, "elin", |_| {}).await;
    let vote = there.ballot(&world, &there.view(&world, &txn).await, Choice::Approve);
    let jws = vote.sign(&there.dk);
    let step_up = there.step_up(&world, &vote, &jws, |_, _| {});
    let body = json!({ "vote": jws, "step_up": step_up });
    let refused = there.cast_with(&world, &txn, &body).await;
    assert_eq!(refused.status, 401, "{refused:?}");
}

#[tokio::test]
async fn what_a_provider_of_approvers_said_counts_only_while_it_is_one() {
    for without_all in [true, false] {
        let mut world = World::federated(PersonRule::Account, &BOTH).await;
        world.set_policy(&policy_for_both(&world));
        let (two, one) = (world.operation(DELETE), world.operation(RENAME));
        let pending = world.gate().open(&two, 2).await;
        let approved = world.gate().open(&one, 1).await;
        let there = at_other(&world, "elin", |_| {}).await;
        for txn in [&pending, &approved] {
            there.vote(&world, txn, Choice::Approve).await.is(200);
        }
        let nora = at_other(&world, "nora", |_| {}).await;
        let (now, path) = (world.now().0, "/approver/v1/absence");
        let away = nora.call(&world, Method::PUT, path);
        let away = away.json(&json!({ "from": now, "until": now + 600 }));
        Answer::of(away).await.is(200);

        world.stop().await;
        if without_all {
            world.other = None;
        } else if let Some(other) = &mut world.other {
            other.roles = [OpRole::Requester].into();
        }
        world.come_back().await;
        there
            .get(&world, "/approver/v1/requests")
            .await
            .refused(403, "provider_unknown");
        let jonas = world.sign_in("jonas").await;
        let view = jonas.view(&world, &pending).await;
        assert!(view.get("away").is_none(), "{view}");
        let answer = jonas.vote(&world, &pending, Choice::Approve).await.is(200);
        assert_eq!(
            (&answer["state"], &answer["approvals"]),
            (&json!("pending"), &json!(1))
        );
        let redeem = world.gate().redeem(&one, &approved, "r").await.is(200);
        assert_eq!(
            (&redeem["decision"], &redeem["context"]["reason"]),
            (&json!(false), &json!("policy_denied"))
        );
    }
}

#[tokio::test]
async fn people_of_a_provider_that_only_approves_administer_and_ask_for_nothing() {
    let world = World::federated(PersonRule::Account, &[OpRole::Approver]).await;
    let issuer = &world.other.as_ref().unwrap().issuer;
    let call = async |path: &str, group: &str| {
        let token = world.access_token_of(issuer, "ada", |it| it["groups"] = json!([group]));
        Answer::of(world.http.get(world.url(path)).bearer_auth(token)).await
    };
    call("/admin/v1/devices", "admins").await.is(200);
    call("/admin/v1/devices", "others")
        .await
        .refused(403, "administrators_only");
    call("/access/v1/requests/none", "admins")
        .await
        .refused(401, "token_role");
}

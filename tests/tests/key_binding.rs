//! Sign-ins that the provider binds to the device key itself (OpenID Connect Key Binding), from the browser to what the
//! gate verifies; and a provider that says so and does not do it.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::Choice;
use countersign_tests::flow::claims;
use countersign_tests::world::World;
use reqwest::Method;
use serde_json::Value;

const PRICE: &str = "/prices/A-100";

/// The header of a compact JWS.
fn header(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').next().unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_by_a_key_that_the_provider_bound_is_released_and_its_claims_are_refreshed() {
    let world = World::query_level().await.unwrap();
    world.op.set_binding("honest").await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let device = elin.device_key().unwrap().public();
    let asked = world.op.asked().await.unwrap();
    let scope = asked[0]["scope"].as_str().unwrap();
    assert!(scope.split(' ').any(|one| one == "bound_key"), "{scope}");
    assert_eq!(asked[0]["dpop_jkt"], device.thumbprint());
    // The claims of the sign-in are too old by now: newer ones come with a proof by the same key.
    world.advance(301).await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    let txn = card.row.txn;
    jonas
        .vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
    let file = std::fs::read_dir(world.setup.path("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let evidence: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    let vote = &evidence["votes"][0];
    for name in ["id_token", "claims_token"] {
        let token = vote[name].as_str().unwrap();
        assert_eq!(header(token)["typ"], "dpop+id_token", "{name}");
        assert_eq!(claims(token).unwrap()["cnf"]["jwk"], device.to_jwk());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_promises_it_and_does_not_do_it_signs_nobody_in() {
    let world = World::start().await.unwrap();
    world.op.set_binding("promised").await.unwrap();
    let refused = format!("{:#}", world.approver("elin").await.err().unwrap());
    assert!(refused.contains("did not bind the sign-in"), "{refused}");
    world.op.set_binding("none").await.unwrap();
    world.approver("elin").await.unwrap();
}

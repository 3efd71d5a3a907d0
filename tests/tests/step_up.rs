//! An approval that the identity provider confirms: fresh sign-in, second factor, consent to exactly one scope; and all
//! the ways in which that comes to nothing.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Ballot, Card, Choice, Outcome, ProblemCode};
use countersign_tests::approver::{AtWork, failure};
use countersign_tests::flow::claims;
use countersign_tests::person::{Page, Stop};
use countersign_tests::provider::ACR_CODE;
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

const PRICE: &str = "/prices/A-100";
const SCOPE: &str = "approve:orders.prices";

/// Mara wants a new price; Elin has it on her screen.
struct Scene {
    world: World,
    elin: AtWork,
    held: JoinHandle<anyhow::Result<Answer>>,
    txn: String,
}

impl Scene {
    async fn set() -> Self {
        let world = World::query_level().await.unwrap();
        let elin = world.approver("elin").await.unwrap();
        let call = world.call(Method::PUT, PRICE, &world.token("mara").await.unwrap());
        let held = world.held(call.body("{\"cents\":2490}"));
        let txn = elin.request().await.unwrap().txn;
        Self {
            world,
            elin,
            held,
            txn,
        }
    }

    /// Nothing has come of it: the call is held, nothing has gone through, no vote counts.
    async fn nothing_is_approved(&self) {
        assert!(!self.held.is_finished());
        assert!(self.world.received().await.unwrap().is_empty());
        let card = self.elin.app.card(&self.txn).await.unwrap();
        assert_eq!(
            (card.row.outcome, card.row.approvals),
            (Outcome::Pending, 0)
        );
        assert!(card.votes.is_empty(), "{:?}", card.votes);
    }

    /// It goes through after all.
    async fn released(self) -> World {
        let answer = self.held.await.unwrap().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(self.world.received().await.unwrap(), ["PUT /prices/A-100"]);
        self.world
    }
}

/// The sentence on a card whose confirmation failed.
fn sentence(card: &Card) -> &str {
    let (problem, _) =
        failure(card).unwrap_or_else(|| panic!("it did not fail: {:?}", card.ballot));
    &problem.sentence
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_consents_to_exactly_the_scope_of_this_operation() {
    let scene = Scene::set().await;
    let card = scene.elin.app.card(&scene.txn).await.unwrap();
    let Ballot::Open {
        step_up: Some(asked),
        ..
    } = &card.ballot
    else {
        panic!("{:?}", card.ballot)
    };
    assert_eq!(asked.provider_name, "Harbor ID");
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert_eq!(failure(&card), None);
    let asked = scene.world.op.asked().await.unwrap();
    let last = asked.last().unwrap();
    assert_eq!(last["prompt"], "login");
    assert_eq!(last["max_age"], "60");
    assert_eq!(last["scope"], format!("openid {SCOPE}"));
    assert_eq!(
        last["resource"],
        format!("{}/step-up", scene.world.server_url)
    );
    assert_eq!(last["pushed"], true, "the provider offers PAR: {last}");
    assert!(last["dpop_jkt"].is_string(), "{last}");
    let wanted: Value = serde_json::from_str(last["claims"].as_str().unwrap()).unwrap();
    assert_eq!(wanted["id_token"]["acr"]["essential"], true);
    assert_eq!(wanted["id_token"]["acr"]["values"][0], ACR_CODE);
    let world = scene.released().await;
    // What the gate keeps proves it again, with nothing but the provider's signature.
    let file = std::fs::read_dir(world.setup.path("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let evidence: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    let vote = &evidence["votes"][0];
    let id = claims(vote["step_up"]["id_token"].as_str().unwrap()).unwrap();
    let consent = claims(vote["step_up"]["access_token"].as_str().unwrap()).unwrap();
    let signed = claims(vote["jws"].as_str().unwrap()).unwrap();
    assert_eq!(id["nonce"], nonce_of(vote["jws"].as_str().unwrap()));
    assert_eq!(id["acr"], ACR_CODE);
    assert_eq!(consent["scope"], SCOPE);
    assert_eq!(consent["cnf"]["jkt"], signed["consent_jkt"]);
}

/// The commitment to a vote, computed from the specification.
fn nonce_of(vote: &str) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("countersign/step-up/v1\n{vote}"));
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_scope_approves_nothing_and_can_be_given_the_next_time() {
    let scene = Scene::set().await;
    scene
        .elin
        .hands
        .now(|elin| elin.declines.push(SCOPE.to_owned()));
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert!(sentence(&card).contains(SCOPE), "{}", sentence(&card));
    scene.nothing_is_approved().await;
    scene.elin.hands.now(|elin| elin.declines.clear());
    let card = scene.elin.confirm_again(&scene.txn).await.unwrap();
    assert_eq!(failure(&card), None);
    scene.released().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_at_the_provider_approves_nothing() {
    let scene = Scene::set().await;
    scene
        .elin
        .hands
        .now(|elin| elin.stops = Some((Page::Consent, Stop::Cancel)));
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert!(sentence(&card).contains("declined"), "{}", sentence(&card));
    scene.nothing_is_approved().await;
    scene.held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_browser_leaves_it_open_until_it_is_given_up_or_tried_again() {
    let scene = Scene::set().await;
    scene
        .elin
        .hands
        .now(|elin| elin.stops = Some((Page::Code, Stop::CloseBrowser)));
    scene
        .elin
        .vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    scene.elin.browser_is_open(&scene.txn).await.unwrap();
    scene.elin.app.cancel_step_up(&scene.txn).unwrap();
    scene.nothing_is_approved().await;
    let card = scene.elin.app.card(&scene.txn).await.unwrap();
    assert!(
        matches!(card.ballot, Ballot::Open { .. }),
        "{:?}",
        card.ballot
    );
    scene.elin.hands.now(|elin| elin.stops = None);
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert_eq!(failure(&card), None);
    scene.released().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_at_the_provider_confirms_nothing() {
    let scene = Scene::set().await;
    // Many providers do not care whose sign-in was asked for.
    scene.world.op.ignore(&["sub"]).await.unwrap();
    scene.elin.hands.now(|hands| {
        hands.sub = "jonas".to_owned();
        hands.password = "jonas-demo".to_owned();
    });
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert!(
        sentence(&card).contains("nother account"),
        "{}",
        sentence(&card)
    );
    scene.nothing_is_approved().await;
    scene.held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_ignores_the_second_factor_confirms_nothing() {
    let scene = Scene::set().await;
    scene.world.op.ignore(&["acr"]).await.unwrap();
    let card = scene.elin.confirm(&scene.txn).await.unwrap();
    assert!(sentence(&card).contains(ACR_CODE), "{}", sentence(&card));
    scene.nothing_is_approved().await;
    scene.held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_goes_down_in_the_middle_loses_no_vote() {
    let scene = Scene::set().await;
    // She is through all pages, and on her way back with the code, when it goes down.
    scene.elin.hands.close_the_way_back();
    scene
        .elin
        .vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    scene.elin.hands.are_on_the_way_back().await;
    scene.world.op.set_down(true).await.unwrap();
    scene.elin.hands.open_the_way_back();
    let card = scene.elin.confirmation(&scene.txn).await.unwrap();
    let (problem, retry) = failure(&card).unwrap();
    assert_eq!(
        problem.code,
        ProblemCode::ProviderUnreachable,
        "{problem:?}"
    );
    assert!(retry);
    scene.nothing_is_approved().await;
    scene.world.op.set_down(false).await.unwrap();
    let card = scene.elin.confirm_again(&scene.txn).await.unwrap();
    assert_eq!(failure(&card), None);
    scene.released().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_told_and_asked_again_later() {
    let scene = Scene::set().await;
    scene.world.op.set_down(true).await.unwrap();
    let down = match scene.elin.confirm(&scene.txn).await {
        Ok(card) => failure(&card).map(|(problem, _)| problem.sentence.clone()),
        Err(refused) => Some(format!("{refused:#}")),
    };
    let said = down.unwrap();
    assert!(said.contains("does not answer"), "{said}");
    scene.nothing_is_approved().await;
    scene.world.op.set_down(false).await.unwrap();
    let card = match scene.elin.confirm_again(&scene.txn).await {
        Ok(card) => card,
        Err(_) => scene.elin.confirm(&scene.txn).await.unwrap(),
    };
    assert_eq!(failure(&card), None);
    scene.released().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_after_the_deadline_is_worth_nothing() {
    let scene = Scene::set().await;
    scene
        .elin
        .hands
        .now(|elin| elin.stops = Some((Page::Consent, Stop::CloseBrowser)));
    scene
        .elin
        .vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    scene.elin.browser_is_open(&scene.txn).await.unwrap();
    scene.world.advance(601).await.unwrap();
    let answer = scene.held.await.unwrap().unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.code().contains("expired"), "{answer:?}");
    assert!(scene.world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn denying_takes_no_step_up() {
    let scene = Scene::set().await;
    let before = scene.world.op.asked().await.unwrap().len();
    let card = scene
        .elin
        .vote_on(&scene.txn, Choice::Deny, None, None)
        .await
        .unwrap();
    assert_eq!(card.row.outcome, Outcome::Denied);
    assert_eq!(scene.held.await.unwrap().unwrap().status, 403);
    assert_eq!(scene.world.op.asked().await.unwrap().len(), before);
    assert!(scene.world.received().await.unwrap().is_empty());
}

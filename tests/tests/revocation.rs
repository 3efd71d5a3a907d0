//! What a provider or an administrator says about somebody's sessions ends them here, and voids votes that were not used.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Choice, Outcome};
use countersign_model::Clock as _;
use countersign_tests::approver::AtWork;
use countersign_tests::provider::CLI_CLIENT;
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

struct Scene {
    world: World,
    elin: AtWork,
    jonas: AtWork,
    held: JoinHandle<anyhow::Result<Answer>>,
    txn: String,
}

impl Scene {
    /// Elin has approved; one more is needed.
    async fn set() -> Self {
        let world = World::query_level().await.unwrap();
        let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
        let held = world
            .asks("mara", Method::DELETE, "/customers/42")
            .await
            .unwrap();
        let card = elin.vote(Choice::Approve, None, None).await.unwrap();
        assert_eq!(card.row.approvals, 1);
        Self {
            world,
            elin,
            jonas,
            held,
            txn: card.row.txn,
        }
    }

    /// Elin's program learned that her session is over, and her vote is void: Jonas alone lets nothing through.
    async fn elins_vote_is_void(self) {
        self.elin
            .until("that she is signed out", |state| {
                state.account.is_none().then_some(())
            })
            .await
            .unwrap();
        self.jonas
            .until("that her vote is void", |state| {
                let mut inbox = state.inbox.iter();
                inbox.find(|row| row.approvals == 0).map(|_| ())
            })
            .await
            .unwrap();
        let card = self
            .jonas
            .vote_on(&self.txn, Choice::Approve, None, None)
            .await
            .unwrap();
        assert_eq!(
            (card.row.outcome, card.row.approvals),
            (Outcome::Pending, 1)
        );
        self.world.nothing_came_of(self.held).await.unwrap();
    }

    fn events(&self) -> String {
        format!("{}/events/v1/0", self.world.server_url)
    }

    async fn push(&self, event: &str) -> (u16, String) {
        let now = self.world.clock.now().0;
        let claims = self
            .world
            .op
            .caep(&self.world.server_url, event, "elin", now);
        self.world
            .op
            .push(&self.events(), json!({}), claims)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_voids_its_votes() {
    let scene = Scene::set().await;
    let (status, body) = scene.push("session-revoked").await;
    assert_eq!(status, 202, "{body}");
    scene.elins_vote_is_void().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_credential_voids_its_votes() {
    let scene = Scene::set().await;
    let (status, body) = scene.push("credential-change").await;
    assert_eq!(status, 202, "{body}");
    scene.elins_vote_is_void().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_by_back_channel_voids_its_votes() {
    let scene = Scene::set().await;
    let at = format!("{}/oidc/v1/backchannel-logout", scene.world.server_url);
    scene.world.op.sign_out("elin", Some(&at)).await.unwrap();
    scene.elins_vote_is_void().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sign_in_after_it_is_good_again() {
    let scene = Scene::set().await;
    let (status, _) = scene.push("session-revoked").await;
    assert_eq!(status, 202);
    // Later than the event: what is older than it binds no device.
    scene.world.advance(2).await.unwrap();
    let elin = scene.world.approver("elin").await.unwrap();
    elin.vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    scene
        .jonas
        .vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(scene.held.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_not_the_providers_word_change_nothing() {
    let scene = Scene::set().await;
    let op = &scene.world.op;
    let now = scene.world.clock.now().0;
    let good = op.caep(&scene.world.server_url, "session-revoked", "elin", now);
    let mut elsewhere = good.clone();
    elsewhere["aud"] = json!("https://other.example");
    let mut foreign = good.clone();
    foreign["iss"] = json!("https://other.example");
    let cases = [
        ("for another audience", json!({}), elsewhere),
        ("of another issuer", json!({}), foreign),
        ("an ID token's type", json!({ "typ": "JWT" }), good.clone()),
        ("unsigned", json!({ "alg": "none" }), good.clone()),
        ("of an unknown key", json!({ "kid": "unknown" }), good),
    ];
    for (what, header, claims) in cases {
        let (status, body) = op.push(&scene.events(), header, claims).await.unwrap();
        assert_eq!(status, 400, "{what}: {body}");
        assert!(body.contains("\"err\""), "{what}: {body}");
    }
    assert!(scene.elin.app.state().borrow().account.is_some());
    scene
        .jonas
        .vote_on(&scene.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(scene.held.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_lists_and_revokes_devices_and_nobody_else_does() {
    let scene = Scene::set().await;
    let world = &scene.world;
    let devices = format!("{}/admin/v1/devices", world.server_url);
    let token = async |sub: &str| {
        let mut flow = countersign_tests::flow::Flow::new(&world.op.issuer, CLI_CLIENT);
        flow.resource = Some(world.server_url.clone());
        let person = countersign_tests::person::Person::named(sub);
        flow.run(&person).await.unwrap().access_token().unwrap()
    };
    let list = async |bearer: &str| {
        let asked = world.http.get(&devices).bearer_auth(bearer).send().await;
        Answer::of(asked.unwrap()).await.unwrap()
    };
    for outsider in [token("mara").await, world.token("noor").await.unwrap()] {
        let answer = list(&outsider).await;
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    let admin = token("noor").await;
    let answer = list(&admin).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let all = answer.body["devices"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{answer:?}");
    let state = scene.elin.app.state();
    let binding = state.borrow().account.as_ref().unwrap().binding_id.clone();
    let revoked = world
        .http
        .delete(format!("{devices}/{binding}"))
        .bearer_auth(&admin)
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 204);
    drop(state);
    scene.elins_vote_is_void().await;
}

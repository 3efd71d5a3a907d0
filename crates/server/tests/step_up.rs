//! Votes that need a fresh sign-in: what the server asks for, takes, keeps and hands out, and that each of its parts
//! serves once.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::documents::{Authenticator, Vote, step_up_nonce};
use countersign_evidence::{Choice, SecretKey};
use countersign_model::{Digest, b64u};
use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::socket::Stream;
use world::{Answer, World, signed};

const ERASE: &str = "orders.customers.erase";
const EXPORT: &str = "orders.customers.export";
const SEAL: &str = "orders.customers.seal";
const RP_ID: &str = "countersign.test";

async fn ballot(world: &World, device: &Device, txn: &str) -> Vote {
    let mut vote = device.ballot(world, &device.view(world, txn).await, Choice::Approve);
    vote.consent_jkt = Some(Device::consent_key(world));
    vote
}

#[tokio::test]
async fn a_vote_is_confirmed_by_the_providers_own_signature_over_it() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation(ERASE);
    let txn = gate.open_for(&operation).await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let vote = ballot(&world, &elin, &txn).await;
    let jws = vote.sign(&elin.dk);

    // Without it: asked for, in the words of RFC 9470.
    let missing = elin.cast(&world, &txn, &jws).await;
    missing.refused(401, "step_up_missing");
    assert_eq!(
        missing.challenge.as_deref(),
        Some(
            "DPoP error=\"insufficient_user_authentication\", acr_values=\"urn:test:mfa\", max_age=60"
        )
    );
    let with = |step_up: Value| json!({ "vote": jws, "step_up": step_up });
    for (code, change) in [
        (
            "step_up_nonce",
            (|it, _| it["nonce"] = json!("another")) as fn(&mut Value, &mut Value),
        ),
        ("step_up_acr_missing", |it, _| it["acr"] = json!(null)),
        ("step_up_before_vote", |it, _| {
            it["auth_time"] = json!(it["auth_time"].as_i64().unwrap() - 6);
        }),
        ("consent_scope", |_, it| {
            it["scope"] = json!("approve:orders")
        }),
        ("consent_not_tied", |_, it| it["cnf"] = json!({})),
    ] {
        let step_up = elin.step_up(&world, &vote, &jws, change);
        let refused = elin.cast_with(&world, &txn, &with(step_up)).await;
        refused.refused(401, code);
        assert!(
            refused
                .challenge
                .unwrap()
                .contains("insufficient_user_authentication"),
            "{code}"
        );
    }
    let stolen = elin.step_up(&world, &vote, &jws, |it, _| it["sub"] = json!("jonas"));
    elin.cast_with(&world, &txn, &with(stolen))
        .await
        .refused(401, "step_up_other_account");

    let mut withdrawn = elin.step_up(&world, &vote, &jws, |_, _| {});
    let claims = withdrawn["id_token"].as_str().unwrap().split('.').nth(1);
    let claims = countersign_model::b64u_decode(claims.unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let key = SecretKey::generate_es256([9; 32]);
    withdrawn["id_token"] = json!(signed(&key, "JWT", &claims));
    elin.cast_with(&world, &txn, &with(withdrawn))
        .await
        .refused(403, "provider_key_withdrawn");

    let good = elin.step_up(&world, &vote, &jws, |_, _| {});
    for _ in 0..2 {
        let answer = elin.cast_with(&world, &txn, &with(good.clone())).await;
        assert_eq!(answer.is(200)["state"], "approved", "again is the same");
    }

    // The gate and auditors get it with the evidence, others do not.
    let task = gate.task(&txn).await.is(200);
    let evidence = &task["result"]["https://countersign.dev/arap/evidence"]["votes"][0];
    assert_eq!(evidence["step_up"], good);
    let path = format!("/approver/v1/requests/{txn}/evidence");
    let own = elin.get(&world, &path).await.is(200);
    assert_eq!(own["votes"][0]["step_up"], good);
    let others = jonas.get(&world, &path).await.is(200);
    assert!(others["votes"][0].get("step_up").is_none());
    let view = jonas.view(&world, &txn).await;
    assert_eq!(view["votes"][0]["step_up"], "oidc");
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
}

#[tokio::test]
async fn one_sign_in_and_one_consent_key_serve_one_vote() {
    let mut world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let first = gate.open_for(&world.operation(ERASE)).await;
    let second = gate.open_for(&world.operation(ERASE)).await;
    let vote = ballot(&world, &elin, &first).await;
    let jws = vote.sign(&elin.dk);
    let step_up = elin.step_up(&world, &vote, &jws, |_, _| {});
    let body = json!({ "vote": jws, "step_up": step_up });
    elin.cast_with(&world, &first, &body).await.is(200);

    // The same sign-in, for which the provider gives a second token: also after a restart.
    let other = ballot(&world, &elin, &second).await;
    let other_jws = other.sign(&elin.dk);
    let same_time = elin.step_up(&world, &other, &other_jws, |_, _| {});
    let body = json!({ "vote": other_jws, "step_up": same_time });
    elin.cast_with(&world, &second, &body)
        .await
        .refused(401, "step_up_used");
    world.restart().await;
    elin.cast_with(&world, &second, &body)
        .await
        .refused(401, "step_up_used");

    // The same key, with a new sign-in.
    world.wait(1);
    let mut same_key = ballot(&world, &elin, &second).await;
    same_key.consent_jkt = vote.consent_jkt;
    let jws = same_key.sign(&elin.dk);
    let step_up = elin.step_up(&world, &same_key, &jws, |_, _| {});
    elin.cast_with(&world, &second, &json!({ "vote": jws, "step_up": step_up }))
        .await
        .refused(401, "step_up_used");

    let fresh = ballot(&world, &elin, &second).await;
    let jws = fresh.sign(&elin.dk);
    let step_up = elin.step_up(&world, &fresh, &jws, |_, _| {});
    let body = json!({ "vote": jws, "step_up": step_up });
    assert_eq!(
        elin.cast_with(&world, &second, &body).await.is(200)["state"],
        "approved"
    );
}

#[tokio::test]
async fn of_two_votes_with_one_sign_in_at_once_one_counts() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let mut votes = Vec::new();
    for _ in 0..2 {
        let txn = gate.open_for(&world.operation(ERASE)).await;
        let vote = ballot(&world, &elin, &txn).await;
        let jws = vote.sign(&elin.dk);
        let step_up = elin.step_up(&world, &vote, &jws, |_, _| {});
        votes.push((txn, json!({ "vote": jws, "step_up": step_up })));
    }
    let (one, other) = tokio::join!(
        elin.cast_with(&world, &votes[0].0, &votes[0].1),
        elin.cast_with(&world, &votes[1].0, &votes[1].1)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_step_up_token_may_bring_the_claims_too_for_its_own_vote_only() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    // The claims of the sign-in grow too old.
    world.wait(400);
    let first = gate.open_for(&world.operation(ERASE)).await;
    let vote = ballot(&world, &elin, &first).await;
    let jws = vote.sign(&elin.dk);
    let bare = elin.step_up(&world, &vote, &jws, |_, _| {});
    elin.cast_with(&world, &first, &json!({ "vote": jws, "step_up": bare }))
        .await
        .refused(401, "claims_too_old");
    let step_up = elin.step_up(&world, &vote, &jws, |it, _| it["groups"] = json!(["dba"]));
    let body = json!({ "vote": jws, "step_up": step_up, "claims_token": step_up["id_token"] });
    elin.cast_with(&world, &first, &body).await.is(200);

    let rename = world.operation("orders.customers.rename");
    let second = gate.open(&rename, 1).await;
    elin.vote(&world, &second, Choice::Approve)
        .await
        .refused(401, "claims_too_old");
}

#[tokio::test]
async fn the_requester_confirms_in_person() {
    let world = World::new().await;
    let gate = world.gate();
    let (mara, elin) = (world.sign_in("mara").await, world.sign_in("elin").await);
    let (mut of_mara, _) = Stream::open(&world, &mara).await;
    let operation = world.operation(EXPORT);
    let txn = gate.open_for(&operation).await;
    of_mara
        .next_is("request.created", json!({ "txn": txn }))
        .await;
    let view = mara.view(&world, &txn).await;
    assert!(view.get("locked").is_none() && view["challenge"].is_string());

    // Nobody else, whatever their groups.
    let path = format!("/approver/v1/requests/{txn}");
    let theirs = elin.get(&world, &path).await;
    if theirs.status == 200 {
        assert_eq!(theirs.body["locked"], "not_eligible");
        assert!(theirs.body.get("challenge").is_none());
    }
    let mut vote = mara.ballot(&world, &view, Choice::Approve);
    vote.consent_jkt = None;
    let jws = vote.sign(&mara.dk);
    mara.cast(&world, &txn, &jws)
        .await
        .refused(401, "step_up_missing");
    let step_up = mara.step_up(&world, &vote, &jws, |_, _| {});
    let body = json!({ "vote": jws, "step_up": step_up });
    assert_eq!(
        mara.cast_with(&world, &txn, &body).await.is(200)["state"],
        "approved"
    );
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
    let own = Answer::of(mara.call(&world, Method::GET, &path)).await;
    assert_eq!(own.is(200)["state"], "redeemed");
}

/// A security key in software, which counts what it signs.
struct SecurityKey(SigningKey);

impl SecurityKey {
    fn new(world: &World) -> SecurityKey {
        let seed = world.fresh("security key");
        SecurityKey(SigningKey::from_bytes(seed.as_bytes()))
    }

    fn listed(&self) -> Authenticator {
        let x = b64u(self.0.verifying_key().as_bytes());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        Authenticator {
            key: countersign_evidence::PublicKey::from_jwk(&jwk).unwrap(),
            rp_id: RP_ID.to_owned(),
        }
    }

    /// Touched for this vote, when it has counted so far.
    fn touch(&self, world: &World, jws: &str, count: u32) -> Value {
        let client_data = json!({
            "type": "webauthn.get", "challenge": step_up_nonce(jws),
            "origin": format!("countersign:{}", world.id), "crossOrigin": false,
        });
        let client_data = client_data.to_string();
        let mut data = Digest::of(RP_ID.as_bytes()).as_bytes().to_vec();
        data.push(0x05); // present, verified
        data.extend(count.to_be_bytes());
        let digest = Digest::of(client_data.as_bytes());
        let signed = [data.as_slice(), digest.as_bytes()].concat();
        json!({
            "type": "webauthn", "authenticator_data": b64u(&data),
            "client_data_json": b64u(client_data.as_bytes()),
            "signature": b64u(&self.0.sign(&signed).to_bytes()),
            "key": self.listed().key.thumbprint(),
        })
    }
}

#[tokio::test]
async fn a_security_key_whose_counter_does_not_grow_is_refused() {
    let mut world = World::new().await;
    let key = SecurityKey::new(&world);
    let mut elin = world.unbound("elin", |_| {});
    elin.statement.authenticators = vec![key.listed()];
    elin.id_token = world.id_token("elin", &elin.statement.nonce(), |_| {});
    elin.bind(&world).await;
    let touched = async |world: &World, txn: &str, count| {
        let view = elin.view(world, txn).await;
        let jws = elin.ballot(world, &view, Choice::Approve).sign(&elin.dk);
        let body = json!({ "vote": jws, "step_up": key.touch(world, &jws, count) });
        (body.clone(), elin.cast_with(world, txn, &body).await)
    };
    let open = async |world: &World| world.gate().open_for(&world.operation(SEAL)).await;
    let first = open(&world).await;
    let (body, answer) = touched(&world, &first, 7).await;
    assert_eq!(answer.is(200)["state"], "approved");
    // The same vote again is the same answer, whatever has been counted.
    elin.cast_with(&world, &first, &body).await.is(200);

    let second = open(&world).await;
    for old in [7, 6, 0] {
        let (_, answer) = touched(&world, &second, old).await;
        answer.refused(403, "step_up_counter");
    }
    world.restart().await;
    let (_, answer) = touched(&world, &second, 7).await;
    answer.refused(403, "step_up_counter");
    let (_, answer) = touched(&world, &second, 8).await;
    assert_eq!(answer.is(200)["state"], "approved");
}

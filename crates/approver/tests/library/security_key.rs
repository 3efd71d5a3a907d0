//! Votes that a security key confirms: by an authenticator in software that does what a real one does.

use countersign_api::ipc::{KeyWaits, Pin, StepUpPhase};
use countersign_approver::{
    Assertion, Enrolled, Holder, NewCredential, Options, SecurityKey, SecurityKeyError, Touch,
};
use countersign_evidence::documents::step_up_nonce;
use countersign_evidence::op_token::{OpConfig, OpKeys};
use countersign_evidence::verify::{SteppedUp, verify_step_up};
use countersign_evidence::{PublicKey, StepUpEvidence};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};

use super::*;

/// One credential, made at the first enrollment.
struct Software {
    secret: SigningKey,
    /// The flags that it sets: present and verified, unless a test says otherwise.
    flags: Mutex<u8>,
    asked: Mutex<Vec<[u8; 32]>>,
    refuses: Mutex<bool>,
    /// It wants this one to be enrolled.
    pin: Mutex<Option<&'static str>>,
}

impl Software {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            secret: SigningKey::from_slice(&[5; 32]).unwrap(),
            flags: Mutex::new(0x05),
            asked: Mutex::default(),
            refuses: Mutex::new(false),
            pin: Mutex::default(),
        })
    }

    fn public(&self) -> PublicKey {
        let point = self.secret.verifying_key().to_encoded_point(false);
        let (x, y) = (point.x().unwrap(), point.y().unwrap());
        PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)}))
            .unwrap()
    }
}

impl SecurityKey for Software {
    fn enroll(
        &self,
        wish: &NewCredential,
        holder: &dyn Holder,
    ) -> Result<Enrolled, SecurityKeyError> {
        assert_eq!(wish.rp_id, "127.0.0.1");
        if let Some(right) = &*self.pin.lock().unwrap() {
            let mut tries_left = 3;
            let mut wrong = false;
            loop {
                let typed = holder.pin(wrong, Some(tries_left));
                let typed = typed.ok_or_else(|| SecurityKeyError("It was given up.".to_owned()))?;
                if typed.reveal() == *right {
                    break;
                }
                (wrong, tries_left) = (true, tries_left - 1);
            }
        }
        if wish.exclude.contains(&vec![1, 2, 3]) {
            return Err(SecurityKeyError("It is bound already.".to_owned()));
        }
        Ok(Enrolled {
            key: self.public(),
            handle: vec![1, 2, 3],
            name: "Software key".to_owned(),
        })
    }

    fn confirm(&self, wish: &Touch, holder: &dyn Holder) -> Result<Assertion, SecurityKeyError> {
        holder.shows(KeyWaits::Touch);
        if *self.refuses.lock().unwrap() {
            return Err(SecurityKeyError("Nobody touched it. Try again.".to_owned()));
        }
        self.asked.lock().unwrap().push(wish.client_data_hash);
        let which = wish.handles.iter().position(|handle| *handle == [1, 2, 3]);
        let mut data = Digest::of(wish.rp_id.as_bytes()).as_bytes().to_vec();
        data.push(*self.flags.lock().unwrap());
        data.extend([0, 0, 0, 7]);
        let message = [data.as_slice(), &wish.client_data_hash].concat();
        let signature: DerSignature = self.secret.sign(&message);
        Ok(Assertion {
            which: which.ok_or_else(|| SecurityKeyError("It is another key.".to_owned()))?,
            authenticator_data: data,
            signature: signature.as_bytes().to_vec(),
        })
    }
}

fn start(world: &World, key: &Arc<Software>) -> Approver {
    let deps = Deps {
        keys: world.store.clone(),
        opener: Arc::new(Browser(Arc::clone(&world.server))),
        clock: world.server.clock.clone(),
        data_dir: world.folder.path().join("data"),
        device_name: "test".to_owned(),
    };
    let options = Options {
        security_key: Some(Arc::clone(key) as Arc<dyn SecurityKey>),
        ..Options::default()
    };
    Approver::start_with(deps, options).unwrap()
}

async fn connected(app: &Approver) {
    app.state()
        .wait_for(|state| state.listed && state.connection == Connection::Connected)
        .await
        .unwrap();
}

fn webauthn(requirement: &mut Requirement) {
    requirement.step_up = StepUp::Webauthn;
}

async fn vote(app: &Approver) -> Ballot {
    let shown = card(app, "t1").await;
    let mut events = app.events();
    app.vote("t1", Choice::Approve, None, None, shown.display_digest)
        .await
        .unwrap();
    loop {
        let ballot = card(app, "t1").await.ballot;
        match &ballot {
            Ballot::StepUp {
                phase: StepUpPhase::Failed { .. },
                ..
            }
            | Ballot::Locked { .. }
            | Ballot::Open { .. } => return ballot,
            Ballot::StepUp { .. } => drop(events.recv().await.unwrap()),
        }
    }
}

/// The binding statement that the server was sent last.
fn statement(world: &World) -> Statement {
    let cic = world.seen(|seen| seen.exchanges.last().unwrap().0.clone());
    Statement::from_bytes(&b64u_decode(&cic).unwrap()).unwrap()
}

fn names(app: &Approver) -> Vec<String> {
    let state = app.state();
    let state = state.borrow();
    let keys = state.account.as_ref().unwrap().security_keys.as_ref();
    keys.unwrap().iter().map(|key| text(&key.name)).collect()
}

#[tokio::test]
async fn a_key_is_bound_by_a_full_sign_in_and_confirms_one_vote() {
    let world = world().await;
    world.does(|does| does.step_up = "none");
    world.put(world.request("t1", webauthn));
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    connected(&app).await;
    let Ballot::Locked { why, sentence } = card(&app, "t1").await.ballot else {
        panic!("nothing is bound yet")
    };
    assert_eq!(why, WhyLocked::NotSupported);
    assert!(sentence.contains("Add yours in the settings"), "{sentence}");
    assert!(statement(&world).authenticators.is_empty() && names(&app).is_empty());

    app.add_security_key().await.unwrap();
    connected(&app).await;
    assert_eq!(world.seen(|seen| seen.browser_opened), 2, "a full sign-in");
    let bound = statement(&world);
    assert_eq!(bound.authenticators.len(), 1);
    assert_eq!(bound.authenticators[0].key, key.public());
    assert_eq!(names(&app), ["Software key"]);

    let ballot = vote(&app).await;
    assert!(
        matches!(
            &ballot,
            Ballot::Locked {
                why: WhyLocked::Voted,
                ..
            }
        ),
        "{ballot:?}"
    );
    let sent = world.seen(|seen| seen.votes[0].clone());
    let jws = sent["vote"].as_str().unwrap();
    let proof = StepUpEvidence::from_value(&sent["step_up"]).unwrap();
    let StepUpEvidence::Webauthn {
        client_data_json, ..
    } = &proof
    else {
        panic!("it is an assertion")
    };
    let client: Value = serde_json::from_slice(&b64u_decode(client_data_json).unwrap()).unwrap();
    assert_eq!(client["challenge"], step_up_nonce(jws));
    assert_eq!(client["origin"], format!("countersign:{}", world.server.id));
    // The one verification takes it, for this vote and no other.
    let (_, read) = Vote::unverified(jws).unwrap();
    let view = world.does_get(|does| does.requests["t1"].clone());
    let (_, request) = Request::unverified(view["request_jws"].as_str().unwrap()).unwrap();
    let config = OpConfig::new(read.sub_id.iss.clone(), "approver");
    let now = world.server.clock.now();
    let judged = |jws: &str| {
        let of = SteppedUp {
            vote_jws: jws,
            vote: &read,
            requirement: &request.requirement,
            server: &read.server,
        };
        verify_step_up(&proof, of, &bound, (&config, &OpKeys::default()), now)
    };
    assert!(judged(jws).is_ok());
    assert!(judged("another.vote.jws").is_err());
}

#[tokio::test]
async fn a_key_outlives_the_session_and_another_account_does_not_inherit_it() {
    let world = world().await;
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    app.add_security_key().await.unwrap();
    connected(&app).await;
    drop(app);
    let app = start(&world, &key);
    connected(&app).await;
    world.sign_in(&app).await.unwrap();
    assert_eq!(statement(&world).authenticators.len(), 1);
    // Somebody else at this computer: their statement must not list it.
    world.does(|does| does.claims = json!({"sub": "jonas"}));
    let exchanges = world.seen(|seen| seen.exchanges.len());
    let problem = world.sign_in(&app).await.unwrap_err();
    assert!(
        problem.sentence.contains("Another account"),
        "{}",
        problem.sentence
    );
    assert_eq!(world.seen(|seen| seen.exchanges.len()), exchanges);
    world.sign_in(&app).await.unwrap();
    assert!(statement(&world).authenticators.is_empty());
}

#[tokio::test]
async fn what_the_key_does_not_do_is_said_and_nothing_is_sent() {
    let world = world().await;
    world.put(world.request("t1", webauthn));
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    app.add_security_key().await.unwrap();
    connected(&app).await;
    *key.refuses.lock().unwrap() = true;
    let failed = |ballot: Ballot| match ballot {
        Ballot::StepUp {
            phase: StepUpPhase::Failed { problem, retry },
            ..
        } => (problem.sentence, retry),
        Ballot::StepUp { .. } | Ballot::Open { .. } | Ballot::Locked { .. } => {
            panic!("it did not fail")
        }
    };
    let (sentence, retry) = failed(vote(&app).await);
    assert!(
        retry && sentence.contains("Nobody touched it"),
        "{sentence}"
    );
    app.cancel_step_up("t1").unwrap();
    // Touched, but its holder was not verified: what a gate would refuse is not sent.
    *key.refuses.lock().unwrap() = false;
    *key.flags.lock().unwrap() = 0x01;
    let (sentence, _) = failed(vote(&app).await);
    assert!(sentence.contains("did not verify its holder"), "{sentence}");
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

#[tokio::test]
async fn a_key_is_removed_by_a_full_sign_in_and_confirms_nothing_any_more() {
    let world = world().await;
    world.put(world.request("t1", webauthn));
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    app.add_security_key().await.unwrap();
    connected(&app).await;
    let id = key.public().thumbprint();
    let opened = || world.seen(|seen| seen.browser_opened);

    let problem = app.remove_security_key("another").await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::NotFound);
    // A sign-in that does not end well changes nothing.
    world.does(|does| does.provider_down = true);
    app.remove_security_key(&id).await.unwrap_err();
    assert_eq!(names(&app), ["Software key"]);
    world.does(|does| does.provider_down = false);

    let before = opened();
    app.remove_security_key(&id).await.unwrap();
    connected(&app).await;
    assert_eq!(opened(), before + 1, "a full sign-in");
    assert!(statement(&world).authenticators.is_empty() && names(&app).is_empty());
    let Ballot::Locked { why, .. } = card(&app, "t1").await.ballot else {
        panic!("no key is bound any more")
    };
    assert_eq!(why, WhyLocked::NotSupported);
    // It is not listed again by the next one either.
    world.sign_in(&app).await.unwrap();
    assert!(statement(&world).authenticators.is_empty());
}

#[tokio::test]
async fn signing_out_forgets_the_keys() {
    let world = world().await;
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    app.add_security_key().await.unwrap();
    app.sign_out().await.unwrap();
    world.sign_in(&app).await.unwrap();
    assert!(statement(&world).authenticators.is_empty());
}

/// Waits until the key that is being added asks for its PIN.
async fn asked_for_pin(app: &Approver, wrong: bool, tries_left: u8) {
    let waits = KeyWaits::Pin {
        wrong,
        tries_left: Some(tries_left),
    };
    app.state()
        .wait_for(|state| state.sign_in == SignIn::WaitingForKey { waits })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pin_goes_from_the_window_to_the_key_that_waits_for_it() {
    let world = world().await;
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    connected(&app).await;
    *key.pin.lock().unwrap() = Some("2580");
    let adding = tokio::spawn({
        let app = app.clone();
        async move { app.add_security_key().await }
    });
    asked_for_pin(&app, false, 3).await;
    let give = |txn, pin: &str| app.give_pin(txn, Pin::new(pin.to_owned()));
    assert!(give(None, "258").is_err(), "too short to be one");
    assert!(give(Some("t1"), "2580").is_err(), "for another key");
    give(None, "0000").unwrap();
    asked_for_pin(&app, true, 2).await;
    give(None, "2580").unwrap();
    adding.await.unwrap().unwrap();
    connected(&app).await;
    assert_eq!(statement(&world).authenticators.len(), 1);
    assert!(give(None, "2580").is_err(), "nothing waits any more");
}

#[tokio::test]
async fn giving_up_ends_the_wait_for_a_pin_and_binds_nothing() {
    let world = world().await;
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    connected(&app).await;
    *key.pin.lock().unwrap() = Some("2580");
    let adding = tokio::spawn({
        let app = app.clone();
        async move { app.add_security_key().await }
    });
    asked_for_pin(&app, false, 3).await;
    app.cancel_sign_in();
    let problem = adding.await.unwrap().unwrap_err();
    assert!(problem.sentence.contains("No security key was added"));
    assert_eq!(app.state().borrow().sign_in, SignIn::Idle);
    assert!(app.give_pin(None, Pin::new("2580".to_owned())).is_err());
    assert_eq!(
        world.seen(|seen| seen.browser_opened),
        1,
        "no second sign-in"
    );
}

#[tokio::test]
async fn a_key_is_not_bound_twice() {
    let world = world().await;
    let key = Software::new();
    let app = start(&world, &key);
    world.sign_in(&app).await.unwrap();
    app.add_security_key().await.unwrap();
    connected(&app).await;
    let problem = app.add_security_key().await.unwrap_err();
    assert!(problem.sentence.contains("bound already"));
    assert_eq!(
        app.state().borrow().sign_in,
        SignIn::Failed { problem },
        "the window says it too"
    );
    assert_eq!(names(&app), ["Software key"]);
}

//! The driver of security keys against a key in software, over the frames that a real one speaks.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod soft;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign_agent::security_key::Keys;
use countersign_api::ipc::{KeyWaits, Pin};
use countersign_approver::{
    Assertion, Enrolled, Holder, NewCredential, SecurityKey, SecurityKeyError, Touch,
};
use countersign_model::b64u_decode;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use soft::{Desk, Kind, Place, Soft};

const RP_ID: &str = "countersign.example";
const HASH: [u8; 32] = [0x42; 32];

/// Who sits before the window.
#[derive(Default)]
struct Person {
    /// What they type, in order.
    types: Mutex<VecDeque<&'static str>>,
    /// What they were shown.
    seen: Mutex<Vec<KeyWaits>>,
    /// They give up when they are shown this.
    gives_up_at: Option<KeyWaits>,
    gave_up: AtomicBool,
}

impl Person {
    fn typing(pins: &[&'static str]) -> Self {
        Self {
            types: Mutex::new(pins.iter().copied().collect()),
            ..Self::default()
        }
    }

    fn seen(&self) -> Vec<KeyWaits> {
        self.seen.lock().unwrap().clone()
    }
}

impl Holder for Person {
    fn shows(&self, waits: KeyWaits) {
        self.seen.lock().unwrap().push(waits);
        if self.gives_up_at == Some(waits) {
            self.gave_up.store(true, Ordering::SeqCst);
        }
    }

    fn pin(&self, wrong: bool, tries_left: Option<u8>) -> Option<Pin> {
        self.shows(KeyWaits::Pin { wrong, tries_left });
        let typed = self.types.lock().unwrap().pop_front();
        typed.map(|pin| Pin::new(pin.to_owned()))
    }

    fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::SeqCst)
    }
}

fn asks(wrong: bool, tries_left: u8) -> KeyWaits {
    KeyWaits::Pin {
        wrong,
        tries_left: Some(tries_left),
    }
}

fn desk(keys: &[&Soft]) -> (Place, Keys<Place>) {
    let desk = Place(Arc::new(Desk::default()));
    desk.keys
        .lock()
        .unwrap()
        .extend(keys.iter().map(|key| (*key).clone()));
    (desk.clone(), Keys::new(desk))
}

fn enroll(
    keys: &Keys<Place>,
    person: &Person,
    exclude: &[&Enrolled],
) -> Result<Enrolled, SecurityKeyError> {
    let wish = NewCredential {
        rp_id: RP_ID.to_owned(),
        client_data_hash: HASH,
        user_id: vec![7; 32],
        user_name: "Elin Varga".to_owned(),
        exclude: exclude.iter().map(|it| it.handle.clone()).collect(),
    };
    keys.enroll(&wish, person)
}

fn confirm(
    keys: &Keys<Place>,
    person: &Person,
    bound: &[&Enrolled],
) -> Result<Assertion, SecurityKeyError> {
    let wish = Touch {
        rp_id: RP_ID.to_owned(),
        client_data_hash: HASH,
        handles: bound.iter().map(|it| it.handle.clone()).collect(),
    };
    keys.confirm(&wish, person)
}

/// What a verifier looks at: by the key that was enrolled, for this party, present and verified.
fn holds(assertion: &Assertion, enrolled: &Enrolled) {
    let jwk = enrolled.key.to_jwk();
    let part = |name: &str| b64u_decode(jwk[name].as_str().unwrap()).unwrap();
    let key = VerifyingKey::from_sec1_bytes(&[&[4][..], &part("x"), &part("y")].concat()).unwrap();
    let data = &assertion.authenticator_data;
    assert_eq!(data.len(), 37);
    assert_eq!(data[..32], *Sha256::digest(RP_ID));
    assert_eq!(data[32], 0x05);
    let signature = DerSignature::try_from(assertion.signature.as_slice()).unwrap();
    key.verify(&[data.as_slice(), &HASH].concat(), &signature)
        .unwrap();
}

fn says(done: Result<impl std::fmt::Debug, SecurityKeyError>, part: &str) {
    let sentence = done.unwrap_err().0;
    assert!(sentence.contains(part), "{sentence}");
}

#[test]
fn a_key_with_a_pin_is_enrolled_and_confirms_by_either_protocol_of_either_version() {
    for (protocol, newer) in [(1, false), (1, true), (2, true)] {
        let soft = Soft::new(Kind {
            protocol,
            newer,
            ..Kind::default()
        });
        let (_, keys) = desk(&[&soft]);
        let person = Person::typing(&["2580", "2580"]);
        let enrolled = enroll(&keys, &person, &[]).unwrap();
        assert_eq!(enrolled.name, "Soft key");
        let assertion = confirm(&keys, &person, &[&enrolled]).unwrap();
        holds(&assertion, &enrolled);
        assert_eq!(assertion.which, 0);
        let once = [asks(false, 8), KeyWaits::Touch];
        assert_eq!(person.seen(), [once, once].concat(), "{protocol} {newer}");
        // The PIN crosses the wire hidden, and so does its digest.
        let heard = soft.inside().heard.concat();
        let digest = Sha256::digest("2580");
        for secret in [b"2580".as_slice(), &digest[..16]] {
            assert!(!heard.windows(secret.len()).any(|part| part == secret));
        }
    }
}

#[test]
fn a_wrong_pin_is_asked_again_and_three_end_it() {
    let soft = Soft::new(Kind::default());
    let (_, keys) = desk(&[&soft]);
    let person = Person::typing(&["1111", "2580"]);
    let enrolled = enroll(&keys, &person, &[]).unwrap();
    assert_eq!(
        person.seen(),
        [asks(false, 8), asks(true, 7), KeyWaits::Touch]
    );
    let person = Person::typing(&["1111", "2222", "3333", "2580"]);
    says(
        confirm(&keys, &person, &[&enrolled]),
        "Take the security key out",
    );
    assert_eq!(
        person.seen(),
        [asks(false, 8), asks(true, 7), asks(true, 6)]
    );
    soft.inside().tries_left = 0;
    let person = Person::typing(&["2580"]);
    says(confirm(&keys, &person, &[&enrolled]), "locked itself");
    assert!(person.seen().is_empty(), "it is not asked in vain");
}

#[test]
fn a_pin_in_another_spelling_is_the_same() {
    let soft = Soft::new(Kind {
        pin: Some("m\u{fc}sli"),
        ..Kind::default()
    });
    let (_, keys) = desk(&[&soft]);
    let person = Person::typing(&["mu\u{308}sli"]);
    enroll(&keys, &person, &[]).unwrap();
}

#[test]
fn a_key_that_does_not_check_its_holder_is_refused() {
    let soft = Soft::new(Kind {
        pin: None,
        ..Kind::default()
    });
    let (_, keys) = desk(&[&soft]);
    says(enroll(&keys, &Person::default(), &[]), "Set a PIN");
    assert_eq!(soft.inside().made, 0);
}

#[test]
fn a_finger_will_do_and_the_pin_where_it_is_not_known() {
    for (finger, shown) in [
        (vec![], vec![KeyWaits::Finger { wrong: false }]),
        (
            vec![0x3f, 0x3f],
            vec![
                KeyWaits::Finger { wrong: false },
                KeyWaits::Finger { wrong: true },
                KeyWaits::Finger { wrong: true },
            ],
        ),
        (
            vec![0x3f, 0x3c],
            vec![
                KeyWaits::Finger { wrong: false },
                KeyWaits::Finger { wrong: true },
                asks(false, 8),
            ],
        ),
    ] {
        let soft = Soft::new(Kind {
            finger: Some(finger),
            ..Kind::default()
        });
        let (_, keys) = desk(&[&soft]);
        let person = Person::typing(&["2580"]);
        enroll(&keys, &person, &[]).unwrap();
        assert_eq!(person.seen(), [shown, vec![KeyWaits::Touch]].concat());
    }
    // Without a PIN there is nothing to fall back to.
    let soft = Soft::new(Kind {
        finger: Some(vec![0x3f; 3]),
        pin: None,
        ..Kind::default()
    });
    says(
        enroll(&desk(&[&soft]).1, &Person::default(), &[]),
        "did not know the fingerprint",
    );
}

#[test]
fn an_older_key_checks_the_finger_with_the_touch() {
    let soft = Soft::new(Kind {
        finger: Some(vec![]),
        newer: false,
        ..Kind::default()
    });
    let (_, keys) = desk(&[&soft]);
    let person = Person::default();
    let enrolled = enroll(&keys, &person, &[]).unwrap();
    holds(&confirm(&keys, &person, &[&enrolled]).unwrap(), &enrolled);
    assert_eq!(person.seen(), [KeyWaits::Touch, KeyWaits::Touch]);
}

#[test]
fn a_key_is_not_enrolled_twice_and_a_strange_one_confirms_nothing() {
    let (mine, other) = (
        Soft::new(Kind::default()),
        Soft::new(Kind {
            name: "Other key",
            ..Kind::default()
        }),
    );
    let (_, keys) = desk(&[&mine]);
    let enrolled = enroll(&keys, &Person::typing(&["2580"]), &[]).unwrap();
    let person = Person::typing(&["2580"]);
    says(enroll(&keys, &person, &[&enrolled]), "already");
    assert_eq!((mine.inside().made, person.seen()), (1, vec![]));
    let (_, keys) = desk(&[&other]);
    let person = Person::typing(&["2580"]);
    says(
        confirm(&keys, &person, &[&enrolled]),
        "not a security key that is bound",
    );
    assert!(person.seen().is_empty(), "nothing is asked of them");
}

#[test]
fn more_credentials_than_the_key_takes_at_once_are_asked_for_in_parts() {
    let soft = Soft::new(Kind::default());
    let (_, keys) = desk(&[&soft]);
    let person = Person::typing(&["2580", "2580"]);
    let last = enroll(&keys, &person, &[]).unwrap();
    let gone: Vec<Enrolled> = (0..4_u8)
        .map(|number| Enrolled {
            handle: vec![number; 64],
            ..last.clone()
        })
        .collect();
    let bound: Vec<&Enrolled> = gone.iter().chain([&last]).collect();
    let assertion = confirm(&keys, &person, &bound).unwrap();
    assert_eq!(assertion.which, 4);
    holds(&assertion, &last);
}

#[test]
fn of_several_keys_the_touched_one_is_enrolled_and_the_bound_one_confirms() {
    for newer in [true, false] {
        let one = Soft::new(Kind {
            is_touched: false,
            newer,
            ..Kind::default()
        });
        let two = Soft::new(Kind {
            name: "Second key",
            newer,
            protocol: 1,
            ..Kind::default()
        });
        let (_, keys) = desk(&[&one, &two]);
        let person = Person::typing(&["2580", "2580"]);
        let enrolled = enroll(&keys, &person, &[]).unwrap();
        assert_eq!(enrolled.name, "Second key");
        assert_eq!(one.inside().cancelled, 1, "it stops blinking");
        assert_eq!(person.seen()[0], KeyWaits::Choice { keys: 2 });
        let person = Person::typing(&["2580"]);
        let assertion = confirm(&keys, &person, &[&enrolled]).unwrap();
        holds(&assertion, &enrolled);
        assert_eq!(
            person.seen(),
            [asks(false, 8), KeyWaits::Touch],
            "only one of them can, so nobody has to choose"
        );
    }
}

#[test]
fn without_a_key_it_is_asked_for_and_taken_when_it_comes() {
    let soft = Soft::new(Kind::default());
    let (desk, keys) = desk(&[]);
    desk.later.lock().unwrap().push_back((5, soft));
    let person = Person::typing(&["2580"]);
    enroll(&keys, &person, &[]).unwrap();
    assert_eq!(
        person.seen(),
        [KeyWaits::Key, asks(false, 8), KeyWaits::Touch]
    );
    let (_, keys) = self::desk(&[]);
    says(
        enroll(&keys, &Person::default(), &[]),
        "No security key was put in",
    );
    let person = Person {
        gives_up_at: Some(KeyWaits::Key),
        ..Person::default()
    };
    says(enroll(&keys, &person, &[]), "not asked any further");
}

#[test]
fn a_key_that_is_taken_out_at_any_moment_is_said_to_be() {
    let soft = Soft::new(Kind::default());
    let (_, keys) = desk(&[&soft]);
    enroll(&keys, &Person::typing(&["2580"]), &[]).unwrap();
    let all = soft.inside().heard.len();
    assert!(all > 10, "{all}");
    for leaves_after in 1..all {
        let soft = Soft::new(Kind {
            leaves_after,
            ..Kind::default()
        });
        let (_, keys) = desk(&[&soft]);
        says(
            enroll(&keys, &Person::typing(&["2580"]), &[]),
            "was taken out",
        );
    }
}

#[test]
fn giving_up_stops_the_key_and_leaves_it_usable() {
    let soft = Soft::new(Kind {
        is_touched: false,
        ..Kind::default()
    });
    let (_, keys) = desk(&[&soft]);
    let person = Person {
        gives_up_at: Some(KeyWaits::Touch),
        ..Person::typing(&["2580"])
    };
    says(enroll(&keys, &person, &[]), "not asked any further");
    {
        let inside = soft.inside();
        assert_eq!(
            (inside.cancelled, inside.made),
            (1, 0),
            "nothing comes of it"
        );
    }
    // At the PIN: nothing was typed.
    says(
        enroll(&keys, &Person::default(), &[]),
        "not asked any further",
    );
    soft.inside().kind.is_touched = true;
    enroll(&keys, &Person::typing(&["2580"]), &[]).unwrap();
    // One that does not listen is left alone.
    let deaf = Soft::new(Kind {
        is_touched: false,
        is_deaf: true,
        ..Kind::default()
    });
    let person = Person {
        gives_up_at: Some(KeyWaits::Touch),
        ..Person::typing(&["2580"])
    };
    says(
        enroll(&desk(&[&deaf]).1, &person, &[]),
        "not asked any further",
    );
}

#[test]
fn a_key_that_is_busy_is_waited_for_and_a_broken_one_is_told_from_it() {
    let with = |change: fn(&mut Kind)| {
        let mut kind = Kind::default();
        change(&mut kind);
        enroll(
            &desk(&[&Soft::new(kind)]).1,
            &Person::typing(&["2580"]),
            &[],
        )
    };
    with(|kind| kind.busy = 3).unwrap();
    says(with(|kind| kind.busy = 1000), "Another program uses");
    says(with(|kind| kind.is_silent = true), "does not answer");
    says(with(|kind| kind.is_old = true), "too old");
    says(
        with(|kind| kind.stutters = true),
        "does not work as it must",
    );
}

#[test]
fn one_thing_at_a_time() {
    let soft = Soft::new(Kind {
        is_touched: false,
        ..Kind::default()
    });
    let (_, keys) = desk(&[&soft]);
    let (first, second) = (Person::typing(&["2580"]), Person::typing(&["2580"]));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| enroll(&keys, &first, &[]));
        while !first.seen().contains(&KeyWaits::Touch) {
            std::thread::yield_now();
        }
        says(enroll(&keys, &second, &[]), "something else just now");
        soft.inside().kind.is_touched = true;
        waits.join().unwrap().unwrap();
    });
}

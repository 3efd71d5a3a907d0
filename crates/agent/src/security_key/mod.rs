//! Security keys (CTAP 2.1 over USB), behind the approver's [`SecurityKey`]: adding one, and confirming a vote by a
//! touch. The holder is always verified, by a finger on the key or by its PIN, which is asked for in the window.
//!
//! Written here and not taken from a library, because those that there are (November 2026) link libudev or NSS, or keep
//! a runtime of their own; what is needed of the protocol is small. It deliberately does no U2F, Bluetooth or NFC,
//! manages nothing on the key, and sets no PIN.

mod ctap;
mod hid;
mod pin;
mod plugs;
mod said;

use std::sync::{Mutex, TryLockError};

use ciborium::Value;
use countersign_api::ipc::KeyWaits;
use countersign_approver::{
    Assertion, Enrolled, Holder, NewCredential, PublicKey, SecurityKey, SecurityKeyError, Touch,
};
use countersign_model::{Digest, b64u};
use serde_json::json;

use self::ctap::{
    GET_ASSERTION, Info, KeyError, MAKE_CREDENTIAL, SELECTION, Status, command, descriptor, map,
    member,
};
use self::hid::Busy;
use self::pin::{Permission, Token, token_by_finger, token_by_pin, tries_left};
use self::said::{BOUND_ALREADY, NO_PIN, NONE_CAME, ONE_AT_A_TIME, OTHER_KEY, said};

use self::hid::{Channel, HidError, Wait};
pub use self::hid::{REPORT_BYTES, Report, Wire};
#[cfg(target_os = "linux")]
pub use self::plugs::Hidraw;
pub use self::plugs::{Plug, Plugs};

/// How often it is looked for a key before that is given up: half a minute and more.
const LOOKS: u32 = 240;
/// How often a finger may be unknown before the PIN is asked for.
const FINGERS: u32 = 3;
/// ES256 and Ed25519, as COSE names them (RFC 9053), the one that every key has first.
const ALGORITHMS: [i64; 2] = [-7, -8];
/// Flags of `authenticatorData` (WebAuthn, section 6.1).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// The security keys that are plugged in.
pub struct Keys<P> {
    plugs: P,
    /// One conversation at a time: a key has one button.
    turn: Mutex<()>,
}

/// A key that is talked to.
struct Key {
    plug: Plug,
    channel: Channel,
    info: Info,
}

impl<P: Plugs> SecurityKey for Keys<P> {
    fn enroll(
        &self,
        wish: &NewCredential,
        holder: &dyn Holder,
    ) -> Result<Enrolled, SecurityKeyError> {
        let _turn = self.turn()?;
        let keys = self.plugged_in(holder)?;
        let mut key = chosen(keys, holder)?;
        make(&mut key, wish, holder)
    }

    fn confirm(&self, wish: &Touch, holder: &dyn Holder) -> Result<Assertion, SecurityKeyError> {
        let _turn = self.turn()?;
        let keys = self.plugged_in(holder)?;
        let mut keys = holding(keys, &wish.rp_id, &wish.handles)?;
        if keys.is_empty() {
            return Err(SecurityKeyError(OTHER_KEY.to_owned()));
        }
        let (mut key, which) = match keys.len() {
            1 => keys.swap_remove(0),
            _ => {
                let of_plug: Vec<(Plug, usize)> = keys
                    .iter()
                    .map(|(key, which)| (key.plug.clone(), *which))
                    .collect();
                let key = chosen(keys.into_iter().map(|(key, _)| key).collect(), holder)?;
                let which = of_plug.iter().find(|(plug, _)| *plug == key.plug);
                let which = which.map_or(0, |(_, which)| *which);
                (key, which)
            }
        };
        sign(&mut key, wish, which, holder)
    }
}

impl<P: Plugs> Keys<P> {
    /// Over these places.
    #[must_use]
    pub fn new(plugs: P) -> Self {
        Self {
            plugs,
            turn: Mutex::default(),
        }
    }

    fn turn(&self) -> Result<std::sync::MutexGuard<'_, ()>, SecurityKeyError> {
        match self.turn.try_lock() {
            Ok(turn) => Ok(turn),
            Err(TryLockError::Poisoned(turn)) => Ok(turn.into_inner()),
            Err(TryLockError::WouldBlock) => Err(SecurityKeyError(ONE_AT_A_TIME.to_owned())),
        }
    }

    /// All keys that can be talked to; waits for the first.
    fn plugged_in(&self, holder: &dyn Holder) -> Result<Vec<Key>, SecurityKeyError> {
        let mut failed = None;
        for look in 0..LOOKS {
            if holder.gave_up() {
                return Err(said(&KeyError::GaveUp));
            }
            let mut keys = Vec::new();
            for plug in self.plugs.list() {
                match self.open(plug) {
                    Ok(key) => keys.push(key),
                    Err(error) => failed = Some(error),
                }
            }
            if !keys.is_empty() {
                return Ok(keys);
            }
            if let Some(error) = failed {
                // It was just put in, and is not ready, or not ours yet: a moment's patience.
                if look > 8 {
                    return Err(said(&error));
                }
                failed = None;
            } else if look == 0 {
                holder.shows(KeyWaits::Key);
            }
            self.plugs.wait();
        }
        Err(SecurityKeyError(NONE_CAME.to_owned()))
    }

    fn open(&self, plug: Plug) -> Result<Key, KeyError> {
        let wire = self.plugs.open(&plug).map_err(HidError::Gone)?;
        let mut channel = Channel::open(wire, rand::random())?;
        let info = Info::of(&mut channel)?;
        Ok(Key {
            plug,
            channel,
            info,
        })
    }
}

/// The key that the person touches, where there are several.
fn chosen(mut keys: Vec<Key>, holder: &dyn Holder) -> Result<Key, SecurityKeyError> {
    if keys.len() == 1 {
        return Ok(keys.swap_remove(0));
    }
    holder.shows(KeyWaits::Choice {
        keys: u8::try_from(keys.len()).unwrap_or(u8::MAX),
    });
    // All of them blink at once, each asked by a thread of its own; the first that is touched stops the others.
    let (tell, told) = std::sync::mpsc::channel();
    let found = std::sync::atomic::AtomicBool::new(false);
    let over = || holder.gave_up() || found.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|scope| {
        for mut key in keys.drain(..) {
            let (tell, found, over) = (tell.clone(), &found, &over);
            scope.spawn(move || {
                let touched = touched(&mut key, over);
                if touched.is_ok() {
                    found.store(true, std::sync::atomic::Ordering::SeqCst);
                }
                // Whoever listens is done after the first.
                let _ = tell.send(touched.map(|()| key));
            });
        }
    });
    drop(tell);
    let mut answers: Vec<Result<Key, KeyError>> = told.iter().collect();
    match answers.iter().position(Result::is_ok) {
        Some(first) => answers.swap_remove(first).map_err(|error| said(&error)),
        None if holder.gave_up() => Err(said(&KeyError::GaveUp)),
        None => Err(said(&KeyError::Status(Status::ActionTimeout))),
    }
}

/// Waits for a touch that means nothing else.
fn touched(key: &mut Key, over: &dyn Fn() -> bool) -> Result<(), KeyError> {
    let mut watch = |_| if over() { Wait::NoMore } else { Wait::On };
    if key.info.can_be_chosen {
        return command(&mut key.channel, SELECTION, Vec::new(), &mut watch).map(drop);
    }
    // CTAP 2.0: a proof of no length waits for a touch, and is refused then.
    let parameters = vec![
        (1, Value::Bytes(vec![0; 32])),
        (2, map([("id", "countersign.invalid".into())])),
        (
            3,
            map([("id", Value::Bytes(vec![0])), ("name", "none".into())]),
        ),
        (4, Value::Array(vec![algorithm(ALGORITHMS[0])])),
        (8, Value::Bytes(Vec::new())),
        (9, Value::from(1)),
    ];
    match command(&mut key.channel, MAKE_CREDENTIAL, parameters, &mut watch) {
        Ok(_)
        | Err(KeyError::Status(Status::PinInvalid | Status::PinNotSet | Status::PinAuthInvalid)) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The keys that hold one of these credentials, each with the credential's index. Nobody is asked for a touch.
fn holding(
    keys: Vec<Key>,
    rp_id: &str,
    handles: &[Vec<u8>],
) -> Result<Vec<(Key, usize)>, SecurityKeyError> {
    let mut found = Vec::new();
    for mut key in keys {
        match on_this_key(&mut key, rp_id, handles) {
            Ok(Some(which)) => found.push((key, which)),
            Ok(None) => {}
            // One that was taken out meanwhile is none of these; that no other is left is said by the caller.
            Err(error) => tracing::warn!(%error, "a security key was passed over"),
        }
    }
    Ok(found)
}

/// Which of these credentials is on this key: asked silently (CTAP 2.1, section 6.2, `up` false).
fn on_this_key(key: &mut Key, rp_id: &str, handles: &[Vec<u8>]) -> Result<Option<usize>, KeyError> {
    for (at, some) in handles.chunks(key.info.list_length).enumerate() {
        let parameters = vec![
            (1, Value::from(rp_id)),
            (2, Value::Bytes(vec![0; 32])),
            (
                3,
                Value::Array(some.iter().map(|it| descriptor(it)).collect()),
            ),
            (5, map([("up", false.into())])),
        ];
        match command(&mut key.channel, GET_ASSERTION, parameters, &mut |_| {
            Wait::On
        }) {
            Ok(answer) => {
                let which = credential(&answer, some)?;
                return Ok(Some(at * key.info.list_length + which));
            }
            Err(KeyError::Status(Status::NoCredentials)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Which of these the answer is about; one that names none is about the only one.
fn credential(answer: &ctap::Answer, handles: &[Vec<u8>]) -> Result<usize, KeyError> {
    let named = answer
        .get(1)
        .and_then(Value::as_map)
        .and_then(|named| member(named, &"id".into())?.as_bytes());
    let which = match named {
        Some(id) => handles.iter().position(|handle| handle == id),
        None => (handles.len() == 1).then_some(0),
    };
    which.ok_or(KeyError::Answer("it answers by another credential"))
}

/// How the holder is verified in a command.
enum Verified {
    /// By a token, made before.
    By(Token),
    /// By the key itself, when the command comes (CTAP 2.0 with a finger).
    Then,
}

impl Verified {
    fn parameters(
        &self,
        client_data_hash: &[u8; 32],
        (options, proof): (u8, u8),
    ) -> Vec<(u8, Value)> {
        match self {
            Self::By(token) => {
                let (mac, protocol) = token.proof(client_data_hash);
                vec![(proof, mac), (proof + 1, protocol)]
            }
            Self::Then => vec![(options, map([("uv", true.into())]))],
        }
    }
}

/// Has the holder show who they are.
fn verified(
    key: &mut Key,
    purpose: (Permission, &str),
    holder: &dyn Holder,
) -> Result<Verified, SecurityKeyError> {
    let Key { channel, info, .. } = key;
    if info.verifies_holder && !info.gives_permissions {
        return Ok(Verified::Then);
    }
    if info.verifies_holder {
        for tried in 0..FINGERS {
            holder.shows(KeyWaits::Finger { wrong: tried > 0 });
            let mut watch = watching(holder, None);
            match token_by_finger(channel, info, purpose, &mut watch) {
                Ok(token) => return Ok(Verified::By(token)),
                Err(KeyError::Status(Status::UvInvalid)) => {}
                Err(KeyError::Status(Status::UvBlocked)) => break,
                Err(error) => return Err(said(&error)),
            }
        }
        if !info.has_pin {
            return Err(said(&KeyError::Status(Status::UvInvalid)));
        }
    }
    if !info.has_pin {
        return Err(SecurityKeyError(NO_PIN.to_owned()));
    }
    by_pin(channel, info, purpose, holder).map(Verified::By)
}

fn by_pin(
    channel: &mut Channel,
    info: &Info,
    purpose: (Permission, &str),
    holder: &dyn Holder,
) -> Result<Token, SecurityKeyError> {
    let mut wrong = false;
    loop {
        // Asked each time: others count wrong ones too.
        let left = tries_left(channel, info).map_err(|error| said(&error))?;
        if left == 0 {
            return Err(said(&KeyError::Status(Status::PinBlocked)));
        }
        let Some(pin) = holder.pin(wrong, Some(left)) else {
            return Err(said(&KeyError::GaveUp));
        };
        match token_by_pin(channel, info, pin.reveal(), purpose) {
            Ok(token) => return Ok(token),
            Err(KeyError::Status(Status::PinInvalid)) => wrong = true,
            Err(error) => return Err(said(&error)),
        }
    }
}

/// Goes on until the person gives up; shows what the key waits for, once it does.
fn watching<'h>(
    holder: &'h dyn Holder,
    shows: Option<KeyWaits>,
) -> impl FnMut(Busy) -> Wait + use<'h> {
    let mut shows = shows;
    move |busy| {
        if holder.gave_up() {
            return Wait::NoMore;
        }
        if busy == Busy::ForPerson
            && let Some(waits) = shows.take()
        {
            holder.shows(waits);
        }
        Wait::On
    }
}

/// Makes a credential on this key.
fn make(
    key: &mut Key,
    wish: &NewCredential,
    holder: &dyn Holder,
) -> Result<Enrolled, SecurityKeyError> {
    let before = on_this_key(key, &wish.rp_id, &wish.exclude).map_err(|error| said(&error))?;
    if before.is_some() {
        return Err(SecurityKeyError(BOUND_ALREADY.to_owned()));
    }
    let who = verified(key, (Permission::Make, &wish.rp_id), holder)?;
    let user = map([
        ("id", Value::Bytes(wish.user_id.clone())),
        ("name", wish.user_name.as_str().into()),
        ("displayName", wish.user_name.as_str().into()),
    ]);
    let rp = map([
        ("id", wish.rp_id.as_str().into()),
        ("name", "Countersign".into()),
    ]);
    let mut parameters = vec![
        (1, Value::Bytes(wish.client_data_hash.to_vec())),
        (2, rp),
        (3, user),
        (4, Value::Array(ALGORITHMS.map(algorithm).to_vec())),
    ];
    let some = wish.exclude.iter().take(key.info.list_length);
    let exclude: Vec<Value> = some.map(|handle| descriptor(handle)).collect();
    if !exclude.is_empty() {
        parameters.push((5, Value::Array(exclude)));
    }
    parameters.extend(who.parameters(&wish.client_data_hash, (7, 8)));
    holder.shows(KeyWaits::Touch);
    let mut watch = watching(holder, None);
    let answer = command(&mut key.channel, MAKE_CREDENTIAL, parameters, &mut watch);
    let made = answer.and_then(|answer| attested(answer.bytes(2)?, &wish.rp_id));
    let (handle, public) = made.map_err(|error| said(&error))?;
    Ok(Enrolled {
        key: public,
        handle,
        name: key.plug.name.clone(),
    })
}

/// Signs by this credential.
fn sign(
    key: &mut Key,
    wish: &Touch,
    which: usize,
    holder: &dyn Holder,
) -> Result<Assertion, SecurityKeyError> {
    let Some(handle) = wish.handles.get(which) else {
        return Err(SecurityKeyError(OTHER_KEY.to_owned()));
    };
    let who = verified(key, (Permission::Sign, &wish.rp_id), holder)?;
    let mut parameters = vec![
        (1, wish.rp_id.as_str().into()),
        (2, Value::Bytes(wish.client_data_hash.to_vec())),
        (3, Value::Array(vec![descriptor(handle)])),
    ];
    parameters.extend(who.parameters(&wish.client_data_hash, (5, 6)));
    holder.shows(KeyWaits::Touch);
    let mut watch = watching(holder, None);
    let answer = command(&mut key.channel, GET_ASSERTION, parameters, &mut watch);
    let signed = answer.and_then(|answer| {
        credential(&answer, std::slice::from_ref(handle))?;
        Ok(Assertion {
            which,
            authenticator_data: answer.bytes(2)?.to_vec(),
            signature: answer.bytes(3)?.to_vec(),
        })
    });
    signed.map_err(|error| said(&error))
}

fn algorithm(name: i64) -> Value {
    map([("alg", name.into()), ("type", "public-key".into())])
}

/// Handle and public key of a new credential, from `authenticatorData` (WebAuthn, section 6.5.1).
fn attested(data: &[u8], rp_id: &str) -> Result<(Vec<u8>, PublicKey), KeyError> {
    let cut = KeyError::Answer("its new credential is cut off");
    let Some((hash, rest)) = data.split_first_chunk::<32>() else {
        return Err(cut);
    };
    let [flags, _, _, _, _, rest @ ..] = rest else {
        return Err(cut);
    };
    let wanted = USER_PRESENT | USER_VERIFIED | HAS_CREDENTIAL;
    if flags & wanted != wanted || hash != Digest::of(rp_id.as_bytes()).as_bytes() {
        return Err(KeyError::Answer("it did not check who holds it"));
    }
    // An id of its kind, which is passed over: which model it is, nobody is told.
    let Some(([.., high, low], rest)) = rest.split_first_chunk::<18>() else {
        return Err(cut);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if rest.len() < length {
        return Err(cut);
    }
    let (handle, rest) = rest.split_at(length);
    let cose: Value = ciborium::from_reader(rest).map_err(|_| cut)?;
    let key = cose.as_map().and_then(|cose| public(cose));
    let key = key.ok_or(KeyError::Answer(
        "its new key is of a kind that is not taken",
    ))?;
    Ok((handle.to_vec(), key))
}

/// ES256 over P-256, or EdDSA over Ed25519 (RFC 9053).
fn public(cose: &[(Value, Value)]) -> Option<PublicKey> {
    let number = |label: i64| i64::try_from(member(cose, &label.into())?.as_integer()?).ok();
    let bytes = |label: i64| Some(b64u(member(cose, &label.into())?.as_bytes()?));
    let jwk = match (number(1)?, number(3)?, number(-1)?) {
        (2, -7, 1) => json!({"kty": "EC", "crv": "P-256", "x": bytes(-2)?, "y": bytes(-3)?}),
        (1, -8, 6) => json!({"kty": "OKP", "crv": "Ed25519", "x": bytes(-2)?}),
        (_, _, _) => return None,
    };
    PublicKey::from_jwk(&jwk).ok()
}

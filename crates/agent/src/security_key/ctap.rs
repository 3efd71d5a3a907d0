//! Commands of CTAP 2 (CTAP 2.1, section 6) and what a key answers, read as far as it is used here.

use ciborium::Value;

use super::hid::{Busy, Channel, HidError, Wait};

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The key cannot be talked to.
    #[error(transparent)]
    Hid(#[from] HidError),
    /// It refuses, by a status code of CTAP.
    #[error("the key refuses ({0:?})")]
    Status(Status),
    /// What it answers cannot be read.
    #[error("the key's answer cannot be read: {0}")]
    Answer(&'static str),
    /// The person gave up.
    #[error("the person gave up")]
    GaveUp,
}

/// Status codes that mean something to a person (CTAP 2.1, section 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The credential is on this key already.
    CredentialExcluded,
    /// It cannot make a key of the kinds that we take.
    UnsupportedAlgorithm,
    /// The person declined on the key.
    OperationDenied,
    /// It keeps no more credentials.
    KeyStoreFull,
    /// It was told to stop.
    Cancelled,
    /// None of the credentials is on it.
    NoCredentials,
    /// Nobody touched it in time.
    ActionTimeout,
    /// The PIN is wrong.
    PinInvalid,
    /// Too many wrong PINs: it wants to be reset.
    PinBlocked,
    /// The proof of the PIN is wrong, or nobody touched the right key.
    PinAuthInvalid,
    /// Three wrong PINs: it wants to be taken out and put in again.
    PinAuthBlocked,
    /// It has no PIN.
    PinNotSet,
    /// It wants a PIN here.
    PinRequired,
    /// The PIN is not as its rules want it, or must be changed first.
    PinPolicy,
    /// Too many unknown fingers: it wants the PIN.
    UvBlocked,
    /// The finger is not known.
    UvInvalid,
    /// Any other.
    Other(u8),
}

impl Status {
    fn of(code: u8) -> Self {
        match code {
            0x19 => Self::CredentialExcluded,
            0x26 => Self::UnsupportedAlgorithm,
            0x27 => Self::OperationDenied,
            0x28 => Self::KeyStoreFull,
            0x2d => Self::Cancelled,
            0x2e => Self::NoCredentials,
            0x2f | 0x3a => Self::ActionTimeout,
            0x31 => Self::PinInvalid,
            0x32 => Self::PinBlocked,
            0x33 => Self::PinAuthInvalid,
            0x34 => Self::PinAuthBlocked,
            0x35 => Self::PinNotSet,
            0x36 => Self::PinRequired,
            0x37 => Self::PinPolicy,
            0x3c => Self::UvBlocked,
            0x3f => Self::UvInvalid,
            other => Self::Other(other),
        }
    }
}

/// Commands.
pub(super) const MAKE_CREDENTIAL: u8 = 0x01;
/// See [`MAKE_CREDENTIAL`].
pub(super) const GET_ASSERTION: u8 = 0x02;
/// See [`MAKE_CREDENTIAL`].
pub(super) const GET_INFO: u8 = 0x04;
/// See [`MAKE_CREDENTIAL`].
pub(super) const CLIENT_PIN: u8 = 0x06;
/// See [`MAKE_CREDENTIAL`]; CTAP 2.1.
pub(super) const SELECTION: u8 = 0x0b;

/// Sends a command and reads its answer's map.
///
/// # Errors
/// As the key has it.
pub(super) fn command(
    channel: &mut Channel,
    command: u8,
    parameters: Vec<(u8, Value)>,
    watch: &mut dyn FnMut(Busy) -> Wait,
) -> Result<Answer, KeyError> {
    let mut request = vec![command];
    if !parameters.is_empty() {
        // In the order of their keys, which is CTAP's canonical one for small numbers.
        let members = parameters
            .into_iter()
            .map(|(key, value)| (Value::from(key), value));
        ciborium::into_writer(&Value::Map(members.collect()), &mut request)
            .map_err(|_| KeyError::Answer("the question cannot be written"))?;
    }
    let answer = match channel.call(&request, watch) {
        Err(HidError::GaveUp) => return Err(KeyError::GaveUp),
        answered => answered?,
    };
    let (status, body) = answer
        .split_first()
        .ok_or(KeyError::Answer("it is empty"))?;
    if *status != 0 {
        return Err(KeyError::Status(Status::of(*status)));
    }
    if body.is_empty() {
        return Ok(Answer(Vec::new()));
    }
    match ciborium::from_reader(body) {
        Ok(Value::Map(members)) => Ok(Answer(members)),
        Ok(_) | Err(_) => Err(KeyError::Answer("it is no map")),
    }
}

/// So many long handles fit into the shortest message that a key takes (1,024 bytes).
const MOST_AT_ONCE: u64 = 3;

/// A map with small numbers for names.
#[derive(Debug)]
pub(super) struct Answer(Vec<(Value, Value)>);

impl Answer {
    /// A member, where it is there.
    pub(super) fn get(&self, key: u8) -> Option<&Value> {
        member(&self.0, &Value::from(key))
    }

    /// Bytes that have to be there.
    ///
    /// # Errors
    /// When they are not.
    pub(super) fn bytes(&self, key: u8) -> Result<&[u8], KeyError> {
        let found = self.get(key).and_then(Value::as_bytes);
        found
            .map(Vec::as_slice)
            .ok_or(KeyError::Answer("bytes are missing"))
    }

    /// A number, where it is there.
    pub(super) fn number(&self, key: u8) -> Option<u64> {
        u64::try_from(self.get(key)?.as_integer()?).ok()
    }
}

/// A member of a map.
pub(super) fn member<'a>(map: &'a [(Value, Value)], key: &Value) -> Option<&'a Value> {
    map.iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

/// What a key says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Info {
    /// It can verify its holder by itself (a fingerprint), and has been taught to.
    pub(super) verifies_holder: bool,
    /// It has a PIN.
    pub(super) has_pin: bool,
    /// It gives out tokens for one purpose (CTAP 2.1).
    pub(super) gives_permissions: bool,
    /// It can be asked to be touched and nothing else (CTAP 2.1).
    pub(super) can_be_chosen: bool,
    /// The PIN protocol to talk by: 2 where it knows it.
    pub(super) pin_protocol: u8,
    /// How many credentials may be named at once.
    pub(super) list_length: usize,
}

impl Info {
    /// Asks.
    ///
    /// # Errors
    /// As the key has it.
    pub(super) fn of(channel: &mut Channel) -> Result<Self, KeyError> {
        let answer = command(channel, GET_INFO, Vec::new(), &mut |_| Wait::On)?;
        let texts = |key| {
            let all = answer.get(key).and_then(Value::as_array);
            all.into_iter().flatten().filter_map(Value::as_text)
        };
        let option = |name: &str| {
            let options = answer.get(4).and_then(Value::as_map)?;
            member(options, &Value::from(name))?.as_bool()
        };
        let protocols: Vec<u64> = answer
            .get(6)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|one| u64::try_from(one.as_integer()?).ok())
            .collect();
        let list_length = answer.number(7).unwrap_or(1).clamp(1, MOST_AT_ONCE);
        Ok(Self {
            verifies_holder: option("uv") == Some(true),
            has_pin: option("clientPin") == Some(true),
            gives_permissions: option("pinUvAuthToken") == Some(true),
            can_be_chosen: texts(1).any(|version| version == "FIDO_2_1"),
            pin_protocol: if protocols.contains(&2) { 2 } else { 1 },
            list_length: usize::try_from(list_length).unwrap_or(1),
        })
    }
}

/// A credential by its handle, as lists name it.
pub(super) fn descriptor(handle: &[u8]) -> Value {
    map([
        ("id", Value::Bytes(handle.to_vec())),
        ("type", Value::from("public-key")),
    ])
}

/// A map with texts for names, in CTAP's canonical order: the shorter first, then by the letters.
pub(super) fn map<const N: usize>(mut members: [(&str, Value); N]) -> Value {
    members.sort_by_key(|(name, _)| (name.len(), *name));
    let members = members.map(|(name, value)| (Value::from(name), value));
    Value::Map(members.to_vec())
}

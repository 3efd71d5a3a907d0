//! An assertion (WebAuthn, section 7.2) by an authenticator that the binding statement names. Our own software
//! makes the client data, so its members and the length of the authenticator's are exact.

use countersign_model::{Digest, MemberError, Members, b64u_decode, json};
use serde_json::Value;

use super::{StepUpFound, refuse};
use crate::check::Check;
use crate::documents::{Authenticator, Statement};
use crate::verify::Refusal;

/// The longest part, in bytes.
const MAX_BYTES: usize = 4096;
/// The authenticator's data without extensions: hash, flags, counter.
const DATA_BYTES: usize = 37;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
/// The credential may be, and is, on several devices.
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const CLIENT_DATA: json::Limits = json::Limits {
    max_bytes: MAX_BYTES,
    max_depth: 2,
};

/// As they stand in the evidence.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) authenticator_data: &'a str,
    pub(super) client_data_json: &'a str,
    pub(super) signature: &'a str,
    pub(super) key: &'a str,
}

pub(super) fn verify(
    parts: Parts<'_>,
    challenge: &str,
    statement: &Statement,
) -> Result<StepUpFound, Refusal> {
    let data = bytes(parts.authenticator_data)?;
    let client_data = bytes(parts.client_data_json)?;
    let signature = bytes(parts.signature)?;
    let known = |authenticator: &&Authenticator| authenticator.key.thumbprint() == parts.key;
    let found = statement.authenticators.iter().find(known);
    Check::AuthenticatorKnown.that(
        found.is_some(),
        "The security key is not one that this person's sign-in names.",
    )?;
    // (Only where the check above is taken away is there none.)
    let Some(Authenticator { key, rp_id }) = found.or(statement.authenticators.first()) else {
        return Err(refuse(
            "step_up_authenticator_unknown",
            "This person's sign-in names no security key.",
        ));
    };
    client(&client_data, challenge, statement)?;
    authenticator(&data, rp_id)?;
    let message = [data.as_slice(), Digest::of(&client_data).as_bytes()].concat();
    Check::AssertionSignature.that(
        key.verifies_assertion(&message, &signature),
        "The security key's signature is wrong.",
    )?;
    Ok(StepUpFound {
        auth_time: None,
        told: format!(
            "Confirmed with a security key for `{rp_id}`, by touch and PIN or fingerprint."
        ),
        claims: None,
    })
}

fn client(bytes: &[u8], challenge: &str, statement: &Statement) -> Result<(), Refusal> {
    let value = json::parse(bytes, CLIENT_DATA).map_err(|error| unreadable(&error))?;
    let ClientData {
        typ,
        challenge: found,
        origin,
        cross_origin,
    } = ClientData::read(&value).map_err(|error| unreadable(&error))?;
    Check::AssertionType.that(
        typ == "webauthn.get",
        "What the security key signed is no confirmation.",
    )?;
    Check::AssertionChallenge.that(
        found == challenge,
        "The security key confirmed another vote.",
    )?;
    Check::AssertionOrigin.that(
        origin == format!("countersign:{}", statement.aud),
        "The security key was asked by other software, or for another server.",
    )?;
    Check::AssertionCrossOrigin.that(
        !cross_origin,
        "The security key was asked from inside another page.",
    )
}

/// The members of `clientDataJSON` (WebAuthn, section 5.8.1): exactly these.
struct ClientData {
    typ: String,
    challenge: String,
    origin: String,
    cross_origin: bool,
}

impl ClientData {
    fn read(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let data = Self {
            typ: members.str("type")?,
            challenge: members.str("challenge")?,
            origin: members.str("origin")?,
            cross_origin: match members.opt_value("crossOrigin") {
                None => false,
                Some(Value::Bool(cross)) => cross,
                Some(_) => return Err(MemberError::wrong("crossOrigin", "true or false")),
            },
        };
        members.finish()?;
        Ok(data)
    }
}

/// `authenticatorData` (WebAuthn, section 6.1), without attested credential and extensions: nobody asked for any.
fn authenticator(data: &[u8], rp_id: &str) -> Result<(), Refusal> {
    let (hash, flags) = match data {
        [hash @ .., flags, _, _, _, _] if data.len() == DATA_BYTES => (hash, *flags),
        _ => return Err(unreadable(&"its authenticator data are not 37 bytes")),
    };
    let known = USER_PRESENT | USER_VERIFIED | BACKUP_ELIGIBLE | BACKED_UP;
    if flags & !known != 0 || flags & (BACKUP_ELIGIBLE | BACKED_UP) == BACKED_UP {
        return Err(unreadable(
            &"its flags contradict each other or what follows",
        ));
    }
    Check::AssertionRelyingParty.that(
        hash == Digest::of(rp_id.as_bytes()).as_bytes(),
        "The security key confirmed for another relying party.",
    )?;
    Check::AssertionPresence.that(
        flags & USER_PRESENT != 0,
        "Nobody touched the security key.",
    )?;
    Check::AssertionVerified.that(
        flags & USER_VERIFIED != 0,
        "The security key did not verify its holder (PIN or fingerprint).",
    )
}

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    let short = text.len() <= MAX_BYTES;
    let bytes = short.then(|| b64u_decode(text).ok()).flatten();
    bytes.ok_or_else(|| unreadable(&"a part is not canonical base64url, or too long"))
}

fn unreadable(why: &dyn std::fmt::Display) -> Refusal {
    refuse(
        "step_up_assertion_unreadable",
        format!("The security key's assertion is refused: {why}."),
    )
}

//! ID tokens that the provider binds to a key of the client's (OpenID Connect Key Binding 1.0, draft 03, section 4):
//! an additional tie of the sign-in to the device key, never in place of the nonce. Specification:
//! `docs/spec/binding.md`, "Key Binding".

use countersign_model::Digest;
use serde_json::{Map, Value};

use super::OpTokenError;
use crate::check::Check;
use crate::jose::PublicKey;

/// The type of a token that is bound.
const BOUND: &str = "dpop+id_token";

/// Whether a token is bound to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule<'a> {
    /// It is not: nobody asked for it, so a bound one is a token of another type.
    Unbound,
    /// To this key, where it is bound.
    IfBound(&'a PublicKey),
    /// To this key.
    Bound(&'a PublicKey),
}

/// Judges a token's type and its `cnf`, and tells whether it is bound.
pub(super) fn judge(
    typ: Option<&str>,
    claims: &Value,
    rule: KeyRule<'_>,
) -> Result<bool, OpTokenError> {
    let bound = typ.is_some_and(is_bound_type);
    let plain = typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    let (may_be, must_be, key) = match rule {
        KeyRule::Unbound => (false, false, None),
        KeyRule::IfBound(key) => (true, false, Some(key)),
        KeyRule::Bound(key) => (true, true, Some(key)),
    };
    if !Check::TokenType.stands(plain || (bound && may_be)) {
        return Err(OpTokenError::Typ);
    }
    let confirmed = claims.get("cnf").map(thumbprint);
    // Half of it says two things: a reader that looks at the other half would take it for another token.
    let whole = match &confirmed {
        None => !bound,
        Some(found) => bound && found.is_some(),
    };
    if !Check::TokenConfirmation.stands(whole) {
        return Err(OpTokenError::Confirmation);
    }
    if !Check::TokenBound.stands(bound || !must_be) {
        return Err(OpTokenError::NotBound);
    }
    let ours = match (confirmed.flatten(), key) {
        (Some(found), Some(key)) => found == key.thumbprint(),
        (_, _) => true,
    };
    if !Check::TokenKey.stands(ours) {
        return Err(OpTokenError::OtherKey);
    }
    Ok(bound)
}

/// Whether a token of this type is bound to a key.
pub(super) fn is_bound_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case(BOUND)
}

/// The thumbprint of the one key that `cnf` names: by `jwk`, as the draft has it, or by `jkt` (RFC 9449, section 6),
/// or by both where they agree. None where it names another kind of key, or says more than that.
fn thumbprint(cnf: &Value) -> Option<String> {
    let members = cnf.as_object()?;
    let known = |name: &String| name == "jwk" || name == "jkt";
    if members.is_empty() || !members.keys().all(known) {
        return None;
    }
    let by_jwk = match members.get("jwk") {
        None => None,
        Some(jwk) => Some(of_jwk(jwk.as_object()?)?),
    };
    let by_jkt = match members.get("jkt") {
        None => None,
        Some(jkt) => Some(Digest::parse(jkt.as_str()?).ok()?.to_string()),
    };
    match (by_jwk, by_jkt) {
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

/// A provider may repeat what it was sent (`alg`, `use`, `kid`); a private key is none that anybody should see.
fn of_jwk(jwk: &Map<String, Value>) -> Option<String> {
    let private = ["d", "k", "p", "q"];
    if private.iter().any(|name| jwk.contains_key(*name)) {
        return None;
    }
    let names = ["kty", "crv", "x", "y"];
    let public: Map<String, Value> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), jwk.get(*name)?.clone())))
        .collect();
    let key = PublicKey::from_jwk(&Value::Object(public)).ok()?;
    Some(key.thumbprint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use serde_json::json;

    #[test]
    fn a_confirmation_names_one_key_and_nothing_else() {
        let key = SecretKey::generate([7; 32]).public();
        let (jwk, jkt) = (key.to_jwk(), key.thumbprint());
        let mut more = jwk.clone();
        more["alg"] = json!("Ed25519");
        let mut private = jwk.clone();
        private["d"] = json!("AA");
        let other = SecretKey::generate([8; 32]).public().thumbprint();
        for (cnf, named) in [
            (json!({"jwk": jwk}), true),
            (json!({"jwk": more}), true),
            (json!({"jkt": jkt}), true),
            (json!({"jwk": jwk, "jkt": jkt}), true),
            (json!({"jwk": jwk, "jkt": other}), false),
            (json!({"jwk": private}), false),
            (json!({"jwk": jwk, "kid": "k"}), false),
            (json!({"kid": "k"}), false),
            (json!({"x5t#S256": jkt}), false),
            (json!({"jkt": "short"}), false),
            (json!({}), false),
            (json!(jkt), false),
            (
                json!({"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
                false,
            ),
        ] {
            assert_eq!(thumbprint(&cnf), named.then(|| jkt.clone()), "{cnf}");
        }
    }
}

//! Reading single claims: what providers write differently, and what is refused.

use countersign_model::{Issuer, Subject, UnixSecs};
use serde_json::Value;

use super::OpTokenError;
use crate::check::Check;

/// Floats beyond this lose whole seconds.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

pub(crate) fn text<'a>(claims: &'a Value, name: &'static str) -> Result<&'a str, OpTokenError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .ok_or(OpTokenError::Claim(name))
}

/// A NumericDate: an integer, or a float, as some providers write it (`1700000000.313789`). Parts of a second are cut
/// off: earlier is the stricter reading of `exp` and `auth_time`.
pub(crate) fn time(claims: &Value, name: &'static str) -> Result<UnixSecs, OpTokenError> {
    opt_time(claims, name)?.ok_or(OpTokenError::Claim(name))
}

/// A NumericDate, or absent.
pub(crate) fn opt_time(
    claims: &Value,
    name: &'static str,
) -> Result<Option<UnixSecs>, OpTokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let secs = match (value.as_i64(), value.as_f64()) {
        (Some(secs), _) => secs,
        #[allow(clippy::cast_possible_truncation)] // within 2^53
        (None, Some(float)) if (0.0..=MAX_EXACT).contains(&float) => float.floor() as i64,
        (None, _) => return Err(OpTokenError::Claim(name)),
    };
    if secs < 0 {
        Err(OpTokenError::Claim(name))
    } else {
        Ok(Some(UnixSecs(secs)))
    }
}

/// `aud` as a list: a string is a list of one.
pub(crate) fn audiences(claims: &Value) -> Result<Vec<&str>, OpTokenError> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|item| item.as_str().ok_or(OpTokenError::Claim("aud")))
            .collect(),
        _ => Err(OpTokenError::Claim("aud")),
    }
}

pub(crate) fn subject(claims: &Value, issuer: &Issuer) -> Result<Subject, OpTokenError> {
    if !Check::TokenIssuer.stands(text(claims, "iss")? == issuer.as_str()) {
        return Err(OpTokenError::Issuer);
    }
    Subject::new(issuer.clone(), text(claims, "sub")?).map_err(|_| OpTokenError::Claim("sub"))
}

/// Refuses claims that show the token to be of another kind.
pub(crate) fn refuse(claims: &Value, names: &[&'static str]) -> Result<(), OpTokenError> {
    match names.iter().find(|name| claims.get(name).is_some()) {
        Some(name) if !Check::TokenForeign.stands(false) => Err(OpTokenError::Foreign(name)),
        Some(_) | None => Ok(()),
    }
}

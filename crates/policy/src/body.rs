//! A body that nobody could see. (Protocol, section 2: what does not fit in the operation stands there as size and
//! digest, and is denied unless a policy allows that type by name.)

use std::collections::BTreeSet;

use countersign_model::Operation;
use serde_json::Value;

/// Whether the operation holds a body's digest only, and of no type that is allowed so.
pub(crate) fn is_unseen(operation: &Operation, allowed: &BTreeSet<String>) -> bool {
    let properties = operation.action_properties();
    let Some(body) = properties.get("body") else {
        return false;
    };
    let empty = body.get("size").and_then(Value::as_i64) == Some(0);
    if empty || body.get("text").is_some_and(Value::is_string) {
        return false;
    }
    let kind = media_type(properties.get("headers").unwrap_or(&Value::Null));
    !kind.is_some_and(|kind| allowed.contains(&kind))
}

/// The one media type that the call names. Two fields, or one that could be read as two types, name none: the
/// upstream may take the other.
fn media_type(headers: &Value) -> Option<String> {
    let mut found = None;
    for header in headers.as_array()? {
        let name = header.get(0)?.as_str()?;
        // Some upstreams take `content_type` for it.
        if name.replace('_', "-").eq_ignore_ascii_case("content-type")
            && found.replace(header.get(1)?.as_str()?).is_some()
        {
            return None;
        }
    }
    let value = found.filter(|value| !value.contains(','))?;
    let kind = value.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

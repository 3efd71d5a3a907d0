//! The values of annotations: each is read into what it means, or refused in a sentence that shows how it is written.

use std::collections::BTreeSet;

use countersign_model::Stage;

/// The most approvals that a permit may ask for; the model's bound.
const MAX_APPROVALS: u32 = 32;
/// The longest time that a permit may name: 30 days; the model's bound.
const MAX_SECS: u32 = 30 * 24 * 3600;
/// The most lifted fields; the model's bound.
pub(crate) const MAX_LIFT: usize = 16;
/// The most stages; the model's bound.
const MAX_STAGES: usize = 8;
/// Scopes that a step-up may ask consent for begin so: the approver's app sends no others.
pub(crate) const STEP_UP_SCOPES: &str = "approve:";

pub(crate) fn approvals(value: &str) -> Result<u32, String> {
    plain_number(value)
        .filter(|number| (1..=MAX_APPROVALS).contains(number))
        .ok_or_else(|| {
            format!("`@approvals(\"{value}\")`: write a number from \"1\" to \"{MAX_APPROVALS}\"")
        })
}

/// `lead:1, security:2`: names with the approvals that each takes, in order.
pub(crate) fn stages(value: &str) -> Result<Vec<Stage>, String> {
    let wrong = |why: String| format!("`@stages(\"{value}\")`: {why}");
    let mut stages: Vec<Stage> = Vec::new();
    for part in value.split(',') {
        let part = part.trim();
        let read = part.split_once(':').and_then(|(name, approvals)| {
            let approvals = plain_number(approvals).filter(|n| (1..=MAX_APPROVALS).contains(n))?;
            Stage::is_name(name).then(|| Stage {
                name: name.to_owned(),
                approvals,
            })
        });
        let Some(stage) = read else {
            return Err(wrong(
                "write stages in their order, each with its approvals, such as \"lead:1, security:2\"; a name \
                 is 1 to 32 of a-z 0-9 _ -"
                    .to_owned(),
            ));
        };
        if stages.iter().any(|other| other.name == stage.name) {
            return Err(wrong(format!("the stage `{}` stands twice", stage.name)));
        }
        stages.push(stage);
    }
    if !(2..=MAX_STAGES).contains(&stages.len()) {
        return Err(wrong(format!(
            "there are 2 to {MAX_STAGES} stages; for one group of approvers write `@approvals`"
        )));
    }
    if stages.iter().map(|stage| stage.approvals).sum::<u32>() > MAX_APPROVALS {
        return Err(wrong(format!(
            "all stages together take at most {MAX_APPROVALS} approvals"
        )));
    }
    Ok(stages)
}

pub(crate) fn stage(value: &str) -> Result<String, String> {
    if Stage::is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`@stage(\"{value}\")`: write the name of one stage: 1 to 32 of a-z 0-9 _ -"
        ))
    }
}

pub(crate) fn duration(name: &str, value: &str) -> Result<u32, String> {
    let secs = [('s', 1), ('m', 60), ('h', 3600)]
        .into_iter()
        .find_map(|(unit, secs)| plain_number(value.strip_suffix(unit)?)?.checked_mul(secs));
    match secs {
        Some(secs) if (1..=MAX_SECS).contains(&secs) => Ok(secs),
        Some(_) => Err(format!(
            "`@{name}(\"{value}\")`: a time is from \"1s\" to \"{}h\"",
            MAX_SECS / 3600
        )),
        None => Err(format!(
            "`@{name}(\"{value}\")`: write a time such as \"90s\", \"15m\" or \"12h\""
        )),
    }
}

/// Digits only, no sign, no leading zero: one way to write a number.
fn plain_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// Words for people: what everybody can see.
pub(crate) fn words(name: &str, value: &str) -> Result<String, String> {
    if value.trim().is_empty() || value.len() > 512 {
        return Err(format!("`@{name}` holds words for people: 1 to 512 bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err(format!(
            "`@{name}` holds a control character, such as a line break"
        ));
    }
    Ok(value.to_owned())
}

/// An OAuth scope token (RFC 6749, 3.3), or an acr written like one.
pub(crate) fn token(name: &str, value: &str) -> Result<String, String> {
    if is_token(value) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`@{name}(\"{value}\")`: write one value, without spaces, quotes or backslashes"
        ))
    }
}

/// Several of them, with one space between, as OAuth writes lists.
pub(crate) fn tokens(name: &str, value: &str) -> Result<Vec<String>, String> {
    let mut tokens: Vec<String> = Vec::new();
    for token in value.split(' ') {
        if !is_token(token) || tokens.iter().any(|other| other == token) || tokens.len() == 16 {
            return Err(format!(
                "`@{name}(\"{value}\")`: write up to 16 different values with one space between, without quotes or \
                 backslashes"
            ));
        }
        tokens.push(token.to_owned());
    }
    Ok(tokens)
}

fn is_token(value: &str) -> bool {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=256).contains(&value.len()) && value.bytes().all(fits)
}

/// What a step-up may ask consent for.
pub(crate) fn step_up_scope(value: &str) -> Result<String, String> {
    let scope = token("scope", value)?;
    match scope.strip_prefix(STEP_UP_SCOPES) {
        Some(rest) if !rest.is_empty() => Ok(scope),
        _ => Err(format!(
            "`@scope(\"{value}\")`: a step-up asks consent only for scopes that begin with \"{STEP_UP_SCOPES}\", such \
             as \"{STEP_UP_SCOPES}orders.delete\""
        )),
    }
}

/// What a caller's own token must have. Never a scope of step-ups: those no API accepts.
pub(crate) fn token_scopes(value: &str) -> Result<Vec<String>, String> {
    let scopes = tokens("token_scope", value)?;
    match scopes
        .iter()
        .find(|scope| scope.starts_with(STEP_UP_SCOPES))
    {
        Some(bad) => Err(format!(
            "`@token_scope(\"{value}\")`: `{bad}` is for step-ups alone (`@scope`), and no API accepts it; name a scope \
             of the API"
        )),
        None => Ok(scopes),
    }
}

pub(crate) fn lift(value: &str) -> Result<Vec<String>, String> {
    let pointers: Vec<String> = value
        .split(',')
        .map(|pointer| pointer.trim().to_owned())
        .collect();
    let fits = |pointer: &String| pointer.starts_with('/') && pointer.len() <= 256;
    if pointers.len() <= MAX_LIFT && pointers.iter().all(fits) {
        Ok(pointers)
    } else {
        Err(format!(
            "`@lift(\"{value}\")`: write up to {MAX_LIFT} JSON pointers into the operation with commas \
             between them, such as \"/resource/id,/action/properties/query\""
        ))
    }
}

/// Media types, as `content-type` names them: lower case, without parameters.
pub(crate) fn media_types(value: &str) -> Result<BTreeSet<String>, String> {
    let types: BTreeSet<String> = value.split(',').map(|one| one.trim().to_owned()).collect();
    let part = |part: &str| {
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$&^_.+-".contains(&byte)
        };
        !part.is_empty() && part.bytes().all(fits)
    };
    let fits = |one: &String| {
        one.len() <= 128
            && one
                .split_once('/')
                .is_some_and(|(kind, sub)| part(kind) && part(sub))
    };
    if types.len() <= 16 && types.iter().all(fits) {
        Ok(types)
    } else {
        Err(format!(
            "`@digest_only(\"{value}\")`: name up to 16 media types in lower case with commas between them, such as \
             \"application/zip, image/png\""
        ))
    }
}

/// Names of actions with commas between them.
pub(crate) fn actions(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect()
}

//! What the annotations of one policy say.
//!
//! Cedar itself ignores annotations, a misspelt one too: a permit with `@aprovals("2")` would simply permit.
//! So every annotation is read here or refused.

use countersign_model::{By, MatchWords, NotifyButtons, ReasonRule, Requirement, StepUp};

/// Unless a permit says otherwise: how long people may vote.
const TTL_SECS: u32 = 15 * 60;
/// Unless a permit says otherwise: how long after the last vote the operation may start.
const GRANT_SECS: u32 = 2 * 60;
/// Unless a permit says otherwise: how old a voter's claims may be.
const FRESH_CLAIMS_SECS: u32 = 5 * 60;
/// The most approvals that a permit may ask for; the model's bound.
const MAX_APPROVALS: u32 = 32;
/// The longest time that a permit may name: 30 days; the model's bound.
const MAX_SECS: u32 = 30 * 24 * 3600;
/// The most lifted fields; the model's bound.
const MAX_LIFT: usize = 16;

/// What a policy is, by its effect and action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A permit of operations.
    Permit,
    /// A permit of `Action::"vote"`.
    VotePermit,
    /// A forbid of either.
    Forbid,
}

/// What a policy means once its condition holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// Allowed as it is.
    Allow,
    /// Allowed once approved so.
    Approve(Requirement),
    /// These people may vote.
    Vote {
        /// In words for people.
        people: Option<String>,
    },
    /// Forbidden.
    Forbid {
        /// In words for people.
        why: Option<String>,
    },
}

/// Reads the annotations of one policy, except `@id`. The error is a sentence.
pub(crate) fn read<'a>(
    place: Place,
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Rule, String> {
    let mut people = None;
    let mut why = None;
    let mut asks = Asks::default();
    for (name, value) in annotations {
        if name == "id" {
            continue;
        }
        belongs(place, name)?;
        match name {
            "people" => people = Some(words(name, value)?),
            "why" => why = Some(words(name, value)?),
            _ => asks.read(name, value)?,
        }
    }
    Ok(match place {
        Place::VotePermit => Rule::Vote { people },
        Place::Forbid => Rule::Forbid { why },
        Place::Permit => match asks.requirement()? {
            None => Rule::Allow,
            Some(requirement) => Rule::Approve(requirement),
        },
    })
}

/// All annotations of a requirement, in the order in which messages list them.
const REQUIREMENT: [&str; 14] = [
    "approvals",
    "ttl",
    "grant",
    "match",
    "reason",
    "fresh_claims",
    "release_claims",
    "irreversible",
    "lift",
    "notify_buttons",
    "by",
    "step_up",
    "scope",
    "acr",
];

fn belongs(place: Place, name: &str) -> Result<(), String> {
    let known = REQUIREMENT.contains(&name) || ["people", "why"].contains(&name);
    if !known {
        let near = REQUIREMENT
            .iter()
            .chain(&["id", "people", "why"])
            .find(|known| near(known, name))
            .map_or_else(String::new, |known| format!("; did you mean @{known}?"));
        return Err(format!("there is no annotation `@{name}`{near}"));
    }
    let fits = match place {
        Place::Permit => REQUIREMENT.contains(&name),
        Place::VotePermit => name == "people",
        Place::Forbid => name == "why",
    };
    if fits {
        return Ok(());
    }
    Err(match place {
        Place::Permit if name == "people" => {
            "`@people` belongs on a permit of `Action::\"vote\"`: it names who votes".to_owned()
        }
        Place::Permit => "`@why` belongs on a forbid: it tells the requester why".to_owned(),
        Place::VotePermit => {
            format!(
                "`@{name}` belongs on the permit of the operation, not on one of `Action::\"vote\"`"
            )
        }
        Place::Forbid => {
            format!(
                "`@{name}` cannot stand on a forbid, which nothing lifts; only `@id` and `@why` can"
            )
        }
    })
}

/// Whether a misspelling is one letter away.
fn near(known: &str, name: &str) -> bool {
    let (long, short) = if known.len() >= name.len() {
        (known, name)
    } else {
        (name, known)
    };
    if !name.is_ascii() || long.len() - short.len() > 1 {
        return false;
    }
    let same_start = long
        .bytes()
        .zip(short.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let same_end = long
        .bytes()
        .rev()
        .zip(short.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    same_start + same_end + 1 >= long.len()
}

/// What a permit asks for, field by field.
#[derive(Default)]
struct Asks {
    anything: bool,
    approvals: Option<u32>,
    ttl_secs: Option<u32>,
    grant_secs: Option<u32>,
    match_words: Option<MatchWords>,
    reason: Option<ReasonRule>,
    fresh_claims_secs: Option<u32>,
    release_claims_secs: Option<u32>,
    irreversible: Option<String>,
    lift: Vec<String>,
    notify_buttons: Option<NotifyButtons>,
    by: Option<By>,
    step_up: Option<StepUp>,
    scope: Option<String>,
    acr: Option<String>,
}

impl Asks {
    fn read(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.anything = true;
        let one_of = |choices: &str| format!("`@{name}(\"{value}\")`: write one of {choices}");
        match name {
            "approvals" => self.approvals = Some(approvals(value)?),
            "ttl" => self.ttl_secs = Some(duration(name, value)?),
            "grant" => self.grant_secs = Some(duration(name, value)?),
            "fresh_claims" => self.fresh_claims_secs = Some(duration(name, value)?),
            "release_claims" => self.release_claims_secs = Some(duration(name, value)?),
            "match" => {
                self.match_words =
                    Some(MatchWords::parse(value).ok_or_else(|| one_of("\"none\", \"words\""))?);
            }
            "reason" => {
                self.reason = Some(
                    ReasonRule::parse(value)
                        .ok_or_else(|| one_of("\"optional\", \"on_deny\", \"always\""))?,
                );
            }
            "notify_buttons" => {
                self.notify_buttons = Some(
                    NotifyButtons::parse(value)
                        .ok_or_else(|| one_of("\"none\", \"deny\", \"both\""))?,
                );
            }
            "by" => {
                self.by =
                    Some(By::parse(value).ok_or_else(|| one_of("\"others\", \"requester\""))?);
            }
            "step_up" => {
                self.step_up = Some(
                    StepUp::parse(value)
                        .ok_or_else(|| one_of("\"none\", \"oidc\", \"webauthn\""))?,
                );
            }
            "irreversible" => self.irreversible = Some(words(name, value)?),
            "scope" => self.scope = Some(token(name, value)?),
            "acr" => self.acr = Some(token(name, value)?),
            "lift" => self.lift = lift(value)?,
            _ => return Err(format!("there is no annotation `@{name}`")),
        }
        Ok(())
    }

    fn requirement(self) -> Result<Option<Requirement>, String> {
        if !self.anything {
            return Ok(None);
        }
        let by = self.by.unwrap_or(By::Others);
        let step_up = self.step_up.unwrap_or(StepUp::None);
        if by == By::Requester && step_up == StepUp::None {
            return Err(
                "`@by(\"requester\")` needs `@step_up(\"oidc\")` or `@step_up(\"webauthn\")`: \
                        otherwise whoever stole the token confirms it too"
                    .to_owned(),
            );
        }
        if by == By::Requester && self.approvals.is_some_and(|approvals| approvals != 1) {
            return Err("`@by(\"requester\")` is one vote: leave `@approvals` out".to_owned());
        }
        for (name, given) in [("scope", &self.scope), ("acr", &self.acr)] {
            if given.is_some() && step_up != StepUp::Oidc {
                return Err(format!(
                    "`@{name}` needs `@step_up(\"oidc\")`: a fresh sign-in is what brings it"
                ));
            }
        }
        Ok(Some(Requirement {
            by,
            approvals: self.approvals.unwrap_or(1),
            step_up,
            acr: self.acr,
            scope: self.scope,
            match_words: self.match_words.unwrap_or(MatchWords::None),
            fresh_claims_secs: self.fresh_claims_secs.unwrap_or(FRESH_CLAIMS_SECS),
            release_claims_secs: self.release_claims_secs,
            reason: self.reason.unwrap_or(ReasonRule::Optional),
            notify_buttons: self.notify_buttons.unwrap_or(NotifyButtons::None),
            ttl_secs: self.ttl_secs.unwrap_or(TTL_SECS),
            grant_secs: self.grant_secs.unwrap_or(GRANT_SECS),
            irreversible: self.irreversible,
            lift: self.lift,
        }))
    }
}

fn approvals(value: &str) -> Result<u32, String> {
    plain_number(value)
        .filter(|number| (1..=MAX_APPROVALS).contains(number))
        .ok_or_else(|| {
            format!("`@approvals(\"{value}\")`: write a number from \"1\" to \"{MAX_APPROVALS}\"")
        })
}

fn duration(name: &str, value: &str) -> Result<u32, String> {
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
fn words(name: &str, value: &str) -> Result<String, String> {
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
fn token(name: &str, value: &str) -> Result<String, String> {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if (1..=256).contains(&value.len()) && value.bytes().all(fits) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`@{name}(\"{value}\")`: write one value, without spaces, quotes or backslashes"
        ))
    }
}

fn lift(value: &str) -> Result<Vec<String>, String> {
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

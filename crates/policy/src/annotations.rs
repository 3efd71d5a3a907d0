//! What the annotations of one policy say.
//!
//! Cedar itself ignores annotations, a misspelt one too: a permit with `@aprovals("2")` would simply permit.
//! So every annotation is read here or refused. What each means stands in `docs/POLICY.md`.

pub(crate) mod values;

use std::collections::BTreeSet;

use countersign_model::{
    By, MatchWords, NotifyButtons, ReasonRule, Requirement, Stage, StepUp, TokenRule,
};

/// Unless a permit says otherwise: how long people may vote.
const TTL_SECS: u32 = 15 * 60;
/// Unless a permit says otherwise: how long after the last vote the operation may start.
const GRANT_SECS: u32 = 2 * 60;
/// Unless a permit says otherwise: how old a voter's claims may be.
const FRESH_CLAIMS_SECS: u32 = 5 * 60;

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
    /// Allowed, on these terms.
    Permit(Terms),
    /// These people may vote.
    Vote {
        /// In words for people.
        people: Option<String>,
        /// In which stage; without one, on operations without stages.
        stage: Option<String>,
    },
    /// Forbidden.
    Forbid {
        /// In words for people.
        why: Option<String>,
        /// Actions that it names and that, on purpose, no permit does.
        never_permitted: BTreeSet<String>,
    },
}

/// On which terms a permit allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Terms {
    /// What people have to approve first; none: nothing.
    pub(crate) approve: Option<Approve>,
    /// What the caller's own token must have.
    pub(crate) token: TokenRule,
}

/// What people have to approve first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Approve {
    pub(crate) requirement: Requirement,
    /// Media types of bodies that may be approved by their digest only.
    pub(crate) digest_only: BTreeSet<String>,
    /// How long a denied operation cannot be asked for again.
    pub(crate) cool_down_secs: Option<u32>,
}

/// What is wrong with an annotation, and with which one, where it is one.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) annotation: Option<String>,
    pub(crate) sentence: String,
}

/// Reads the annotations of one policy, except `@id`.
pub(crate) fn read<'a>(
    place: Place,
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Rule, Wrong> {
    let mut people = None;
    let mut stage = None;
    let mut why = None;
    let mut never_permitted = BTreeSet::new();
    let mut asks = Asks::default();
    for (name, value) in annotations {
        let wrong = |sentence| Wrong {
            annotation: Some(name.to_owned()),
            sentence,
        };
        if name == "id" {
            continue;
        }
        belongs(place, name).map_err(wrong)?;
        match name {
            "people" => people = Some(values::words(name, value).map_err(wrong)?),
            "stage" => stage = Some(values::stage(value).map_err(wrong)?),
            "why" => why = Some(values::words(name, value).map_err(wrong)?),
            "never_permitted" => never_permitted.extend(values::actions(value)),
            _ => asks.read(name, value).map_err(wrong)?,
        }
    }
    Ok(match place {
        Place::VotePermit => Rule::Vote { people, stage },
        Place::Forbid => Rule::Forbid {
            why,
            never_permitted,
        },
        Place::Permit => Rule::Permit(asks.terms()?),
    })
}

/// The annotations of a permit of operations, in the order in which messages list them. Each but those of
/// [`TOKEN`] makes it a permit "once approved so".
const PERMIT: [&str; 22] = [
    "approvals",
    "stages",
    "ttl",
    "grant",
    "match",
    "hold",
    "reason",
    "fresh_claims",
    "release_claims",
    "irreversible",
    "lift",
    "notify_buttons",
    "urgent",
    "by",
    "step_up",
    "scope",
    "acr",
    "digest_only",
    "cooldown",
    "token_scope",
    "token_acr",
    "token_max_age",
];
const TOKEN: [&str; 3] = ["token_scope", "token_acr", "token_max_age"];
const VOTE_PERMIT: [&str; 2] = ["people", "stage"];
const FORBID: [&str; 2] = ["why", "never_permitted"];

fn belongs(place: Place, name: &str) -> Result<(), String> {
    let all = || PERMIT.iter().chain(&VOTE_PERMIT).chain(&FORBID);
    if !all().any(|known| *known == name) {
        let near = all()
            .chain(&["id"])
            .find(|known| near(known, name))
            .map_or_else(String::new, |known| format!("; did you mean @{known}?"));
        return Err(format!("there is no annotation `@{name}`{near}"));
    }
    let own: &[&str] = match place {
        Place::Permit => &PERMIT,
        Place::VotePermit => &VOTE_PERMIT,
        Place::Forbid => &FORBID,
    };
    if own.contains(&name) {
        return Ok(());
    }
    Err(match place {
        Place::Permit if VOTE_PERMIT.contains(&name) => {
            format!("`@{name}` belongs on a permit of `Action::\"vote\"`: it is about who votes")
        }
        Place::Permit => {
            format!("`@{name}` belongs on a forbid: it is about what is never allowed")
        }
        Place::VotePermit => {
            format!(
                "`@{name}` belongs on the permit of the operation, not on one of `Action::\"vote\"`"
            )
        }
        Place::Forbid => {
            format!(
                "`@{name}` cannot stand on a forbid, which nothing lifts; only `@id`, `@why` and `@never_permitted` can"
            )
        }
    })
}

/// Whether a misspelling is one letter away.
pub(crate) fn near(known: &str, name: &str) -> bool {
    let (long, short) = if known.len() >= name.len() {
        (known, name)
    } else {
        (name, known)
    };
    if long.len() - short.len() > 1 {
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
    approval: bool,
    approvals: Option<u32>,
    stages: Vec<Stage>,
    ttl_secs: Option<u32>,
    grant_secs: Option<u32>,
    match_words: Option<MatchWords>,
    hold: bool,
    reason: Option<ReasonRule>,
    fresh_claims_secs: Option<u32>,
    release_claims_secs: Option<u32>,
    irreversible: Option<String>,
    lift: Vec<String>,
    notify_buttons: Option<NotifyButtons>,
    urgent: bool,
    by: Option<By>,
    step_up: Option<StepUp>,
    scope: Option<String>,
    acr: Option<String>,
    digest_only: BTreeSet<String>,
    cool_down_secs: Option<u32>,
    token: TokenRule,
}

impl Asks {
    fn read(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.approval |= !TOKEN.contains(&name);
        let one_of = |choices: &str| format!("`@{name}(\"{value}\")`: write one of {choices}");
        match name {
            "approvals" => self.approvals = Some(values::approvals(value)?),
            "stages" => self.stages = values::stages(value)?,
            "ttl" => self.ttl_secs = Some(values::duration(name, value)?),
            "grant" => self.grant_secs = Some(values::duration(name, value)?),
            "fresh_claims" => self.fresh_claims_secs = Some(values::duration(name, value)?),
            "release_claims" => self.release_claims_secs = Some(values::duration(name, value)?),
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
            "hold" | "urgent" if value != "yes" => {
                return Err(format!("`@{name}(\"{value}\")`: write \"yes\""));
            }
            "hold" => self.hold = true,
            "urgent" => self.urgent = true,
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
            "irreversible" => self.irreversible = Some(values::words(name, value)?),
            "scope" => self.scope = Some(values::step_up_scope(value)?),
            "acr" => self.acr = Some(values::token(name, value)?),
            "lift" => self.lift = values::lift(value)?,
            "digest_only" => self.digest_only = values::media_types(value)?,
            "cooldown" => self.cool_down_secs = Some(values::duration(name, value)?),
            "token_scope" => self.token.scope = Some(values::token_scopes(value)?.join(" ")),
            "token_acr" => self.token.acr = values::tokens(name, value)?,
            "token_max_age" => self.token.max_age_secs = Some(values::duration(name, value)?),
            _ => return Err(format!("there is no annotation `@{name}`")),
        }
        Ok(())
    }

    fn terms(self) -> Result<Terms, Wrong> {
        if !self.approval {
            return Ok(Terms {
                approve: None,
                token: self.token,
            });
        }
        let wrong = |annotation: &str, sentence: String| Wrong {
            annotation: Some(annotation.to_owned()),
            sentence,
        };
        let by = self.by.unwrap_or(By::Others);
        let step_up = self.step_up.unwrap_or(StepUp::None);
        if by == By::Requester && step_up == StepUp::None {
            return Err(wrong(
                "by",
                "`@by(\"requester\")` needs `@step_up(\"oidc\")` or `@step_up(\"webauthn\")`: \
                 otherwise whoever stole the token confirms it too"
                    .to_owned(),
            ));
        }
        if by == By::Requester && self.approvals.is_some_and(|approvals| approvals != 1) {
            return Err(wrong(
                "approvals",
                "`@by(\"requester\")` is one vote: leave `@approvals` out".to_owned(),
            ));
        }
        if by == By::Requester && !self.stages.is_empty() {
            return Err(wrong(
                "stages",
                "`@by(\"requester\")` is one vote: leave `@stages` out".to_owned(),
            ));
        }
        let in_stages: u32 = self.stages.iter().map(|stage| stage.approvals).sum();
        if !self.stages.is_empty() && self.approvals.is_some_and(|given| given != in_stages) {
            return Err(wrong(
                "approvals",
                format!("the stages take {in_stages} approvals together: leave `@approvals` out"),
            ));
        }
        for (name, given) in [("scope", &self.scope), ("acr", &self.acr)] {
            if given.is_some() && step_up != StepUp::Oidc {
                return Err(wrong(
                    name,
                    format!(
                        "`@{name}` needs `@step_up(\"oidc\")`: a fresh sign-in is what brings it"
                    ),
                ));
            }
        }
        let approvals = if self.stages.is_empty() {
            self.approvals.unwrap_or(1)
        } else {
            in_stages
        };
        let requirement = Requirement {
            by,
            approvals,
            stages: self.stages,
            step_up,
            acr: self.acr,
            scope: self.scope,
            match_words: self.match_words.unwrap_or(MatchWords::None),
            hold: self.hold,
            fresh_claims_secs: self.fresh_claims_secs.unwrap_or(FRESH_CLAIMS_SECS),
            release_claims_secs: self.release_claims_secs,
            reason: self.reason.unwrap_or(ReasonRule::Optional),
            notify_buttons: self.notify_buttons.unwrap_or(NotifyButtons::None),
            ttl_secs: self.ttl_secs.unwrap_or(TTL_SECS),
            grant_secs: self.grant_secs.unwrap_or(GRANT_SECS),
            urgent: self.urgent,
            irreversible: self.irreversible,
            lift: self.lift,
        };
        Ok(Terms {
            approve: Some(Approve {
                requirement,
                digest_only: self.digest_only,
                cool_down_secs: self.cool_down_secs,
            }),
            token: self.token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_explains_every_annotation() {
        let guide = include_str!("../../../docs/POLICY.md");
        for name in PERMIT
            .iter()
            .chain(&VOTE_PERMIT)
            .chain(&FORBID)
            .chain(&["id"])
        {
            assert!(guide.contains(&format!("| `@{name}(\"")), "@{name}");
        }
    }
}

//! What a policy demands before an operation may happen, and when one requirement is at least as strict as
//! another. Specification: `docs/spec/ask.md`.

use serde_json::{Map, Value, json};

use crate::{MemberError, Members};

/// The most approvals that a requirement may ask for.
const MAX_APPROVALS: u32 = 32;
/// The most stages.
const MAX_STAGES: usize = 8;
/// The longest name of a stage.
const MAX_STAGE_NAME_BYTES: usize = 32;
/// The longest time that a requirement may name, in seconds: 30 days.
const MAX_SECS: u32 = 30 * 24 * 3600;

/// Who votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// People other than the requester.
    Others,
    /// The requester in person: self-confirmation, always with step-up.
    Requester,
}

/// A fresh sign-in for the very vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUp {
    /// None.
    None,
    /// At the OpenID provider.
    Oidc,
    /// By a WebAuthn authenticator.
    Webauthn,
}

/// Whether the matching words must be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchWords {
    /// They are shown.
    None,
    /// The approver types them, and the vote carries them.
    Words,
}

/// When a vote needs a reason. From lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonRule {
    /// Never.
    Optional,
    /// To deny.
    OnDeny,
    /// Always.
    Always,
}

/// Which buttons a notification may carry. From strict to lax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifyButtons {
    /// None: it only opens the request.
    None,
    /// Deny.
    Deny,
    /// Approve and deny.
    Both,
}

/// One of several groups of approvals, which are given one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name: 1 to 32 of `a-z 0-9 _ -`, unique in its requirement.
    pub name: String,
    /// How many different people must approve in it: 1 to 32.
    pub approvals: u32,
}

impl Stage {
    /// Whether a text can name a stage.
    pub fn is_name(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        (1..=MAX_STAGE_NAME_BYTES).contains(&text.len()) && text.bytes().all(fits)
    }
}

/// What a policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Who votes.
    pub by: By,
    /// How many different people must approve: 1 to 32.
    pub approvals: u32,
    /// Where they are given in stages: 2 to 8, in order, whose `approvals` add up to the requirement's. Empty
    /// where there are none.
    pub stages: Vec<Stage>,
    /// A fresh sign-in for the vote.
    pub step_up: StepUp,
    /// The authentication context that the step-up must reach.
    pub acr: Option<String>,
    /// The scope that the step-up must bring.
    pub scope: Option<String>,
    /// Whether the matching words are typed.
    pub match_words: MatchWords,
    /// Approve is held down for a moment, not clicked. What a person did in their own app: no vote proves it.
    pub hold: bool,
    /// How old a voter's claims may be when voting, in seconds.
    pub fresh_claims_secs: u32,
    /// How old they may be at release, in seconds.
    pub release_claims_secs: Option<u32>,
    /// When a reason is needed.
    pub reason: ReasonRule,
    /// Which buttons a notification may carry.
    pub notify_buttons: NotifyButtons,
    /// How long people may vote, in seconds.
    pub ttl_secs: u32,
    /// How long after the last vote the operation may start, in seconds.
    pub grant_secs: u32,
    /// It cannot wait: approvers are told in their quiet hours too, and it stands out.
    pub urgent: bool,
    /// The policy's words for what cannot be undone.
    pub irreversible: Option<String>,
    /// JSON pointers of fields that the card shows at its head.
    pub lift: Vec<String>,
}

/// Another requirement is laxer than mine, or differs where no order exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` is laxer than this policy's")]
pub struct Laxer {
    /// The member's wire name.
    pub member: &'static str,
}

impl Requirement {
    /// Whether `theirs` demands at least what `self` (mine) does: equal where no order exists, no laxer where
    /// one does (protocol, section 6, step 3).
    pub fn covers(&self, theirs: &Self) -> Result<(), Laxer> {
        // Destructured, so that a new member stops the build here.
        let Self {
            by,
            approvals,
            stages,
            step_up,
            acr,
            scope,
            match_words,
            hold,
            fresh_claims_secs,
            release_claims_secs,
            reason,
            notify_buttons,
            ttl_secs,
            grant_secs,
            urgent,
            irreversible,
            lift,
        } = self;
        let release = match (release_claims_secs, theirs.release_claims_secs) {
            (Some(mine), Some(theirs)) => theirs <= *mine,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let checks = [
            ("by", *by == theirs.by),
            ("approvals", theirs.approvals >= *approvals),
            ("stages", *stages == theirs.stages),
            ("step_up", *step_up == theirs.step_up),
            ("acr", *acr == theirs.acr),
            ("scope", *scope == theirs.scope),
            ("match", *match_words == theirs.match_words),
            ("hold", theirs.hold || !*hold),
            (
                "fresh_claims_secs",
                theirs.fresh_claims_secs <= *fresh_claims_secs,
            ),
            ("release_claims_secs", release),
            ("reason", theirs.reason >= *reason),
            ("notify_buttons", theirs.notify_buttons <= *notify_buttons),
            ("ttl_secs", theirs.ttl_secs <= *ttl_secs),
            ("grant_secs", theirs.grant_secs <= *grant_secs),
            ("urgent", *urgent == theirs.urgent),
            ("irreversible", *irreversible == theirs.irreversible),
            ("lift", *lift == theirs.lift),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((member, _)) => Err(Laxer { member }),
        }
    }

    /// Its JSON. Optional members are absent where there is nothing to say.
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("by", json!(self.by.as_str()));
        put("approvals", json!(self.approvals));
        put("step_up", json!(self.step_up.as_str()));
        put("match", json!(self.match_words.as_str()));
        put("fresh_claims_secs", json!(self.fresh_claims_secs));
        put("reason", json!(self.reason.as_str()));
        put("notify_buttons", json!(self.notify_buttons.as_str()));
        put("ttl_secs", json!(self.ttl_secs));
        put("grant_secs", json!(self.grant_secs));
        if !self.stages.is_empty() {
            let stage = |stage: &Stage| json!({"name": stage.name, "approvals": stage.approvals});
            put("stages", self.stages.iter().map(stage).collect());
        }
        if let Some(acr) = &self.acr {
            put("acr", json!(acr));
        }
        if let Some(scope) = &self.scope {
            put("scope", json!(scope));
        }
        if let Some(secs) = self.release_claims_secs {
            put("release_claims_secs", json!(secs));
        }
        if self.hold {
            put("hold", json!(true));
        }
        if self.urgent {
            put("urgent", json!(true));
        }
        if let Some(words) = &self.irreversible {
            put("irreversible", json!(words));
        }
        if !self.lift.is_empty() {
            put("lift", json!(self.lift));
        }
        Value::Object(members)
    }

    /// Reads its JSON: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let approvals = bounded(&mut members, "approvals", MAX_APPROVALS)?;
        let requirement = Self {
            by: member(&mut members, "by", By::parse)?,
            approvals,
            stages: stages(&mut members, approvals)?,
            step_up: member(&mut members, "step_up", StepUp::parse)?,
            acr: members.opt_bounded("acr", 256)?,
            scope: members.opt_bounded("scope", 256)?,
            match_words: member(&mut members, "match", MatchWords::parse)?,
            hold: flag(&mut members, "hold")?,
            fresh_claims_secs: bounded(&mut members, "fresh_claims_secs", MAX_SECS)?,
            release_claims_secs: opt_secs(&mut members, "release_claims_secs")?,
            reason: member(&mut members, "reason", ReasonRule::parse)?,
            notify_buttons: member(&mut members, "notify_buttons", NotifyButtons::parse)?,
            ttl_secs: bounded(&mut members, "ttl_secs", MAX_SECS)?,
            grant_secs: bounded(&mut members, "grant_secs", MAX_SECS)?,
            urgent: flag(&mut members, "urgent")?,
            irreversible: members.opt_bounded("irreversible", 512)?,
            lift: lift(&mut members)?,
        };
        members.finish()?;
        Ok(requirement)
    }
}

fn member<T>(
    members: &mut Members,
    name: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, MemberError> {
    parse(&members.str(name)?).ok_or(MemberError::wrong(name, "a value that this version knows"))
}

fn bounded(members: &mut Members, name: &'static str, max: u32) -> Result<u32, MemberError> {
    match members.u32(name)? {
        number if (1..=max).contains(&number) => Ok(number),
        _ => Err(MemberError::wrong(name, "within its bounds")),
    }
}

fn opt_secs(members: &mut Members, name: &'static str) -> Result<Option<u32>, MemberError> {
    match members.opt_u32(name)? {
        Some(secs) if !(1..=MAX_SECS).contains(&secs) => {
            Err(MemberError::wrong(name, "within its bounds"))
        }
        other => Ok(other),
    }
}

fn stages(members: &mut Members, approvals: u32) -> Result<Vec<Stage>, MemberError> {
    let wrong = || MemberError::wrong("stages", "2 to 8 stages that add up to `approvals`");
    let Some(value) = members.opt_value("stages") else {
        return Ok(Vec::new());
    };
    let items = value
        .as_array()
        .filter(|items| (2..=MAX_STAGES).contains(&items.len()))
        .ok_or_else(wrong)?;
    let mut stages: Vec<Stage> = Vec::new();
    for item in items {
        let mut members = Members::of(item)?;
        let name = members.str("name")?;
        let approvals = bounded(&mut members, "approvals", MAX_APPROVALS)?;
        members.finish()?;
        if !Stage::is_name(&name) || stages.iter().any(|other| other.name == name) {
            return Err(wrong());
        }
        stages.push(Stage { name, approvals });
    }
    let sum: u32 = stages.iter().map(|stage| stage.approvals).sum();
    if sum == approvals {
        Ok(stages)
    } else {
        Err(wrong())
    }
}

/// There, it is true: one encoding of one meaning.
fn flag(members: &mut Members, name: &'static str) -> Result<bool, MemberError> {
    match members.opt_value(name) {
        None => Ok(false),
        Some(Value::Bool(true)) => Ok(true),
        Some(_) => Err(MemberError::wrong(name, "true, or absent")),
    }
}

fn lift(members: &mut Members) -> Result<Vec<String>, MemberError> {
    let wrong = || MemberError::wrong("lift", "1 to 16 JSON pointers");
    let Some(value) = members.opt_value("lift") else {
        return Ok(Vec::new());
    };
    let items = value
        .as_array()
        .filter(|items| (1..=16).contains(&items.len()))
        .ok_or_else(wrong)?;
    items
        .iter()
        .map(|item| match item.as_str() {
            Some(pointer) if pointer.starts_with('/') && pointer.len() <= 256 => {
                Ok(pointer.to_owned())
            }
            _ => Err(wrong()),
        })
        .collect()
}

macro_rules! wire_names {
    ($name:ident { $($variant:ident = $text:literal),+ }) => {
        impl $name {
            /// Its name on the wire and in policies.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads its name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
wire_names!(By { Others = "others", Requester = "requester" });
wire_names!(StepUp { None = "none", Oidc = "oidc", Webauthn = "webauthn" });
wire_names!(MatchWords { None = "none", Words = "words" });
wire_names!(ReasonRule { Optional = "optional", OnDeny = "on_deny", Always = "always" });
wire_names!(NotifyButtons { None = "none", Deny = "deny", Both = "both" });

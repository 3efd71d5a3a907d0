//! Why the policy answers as it does, for the people who write and review it. Nothing is decided from this.

use countersign_model::{By, Operation, PolicyAnswer, Requirement, Stage, TokenRule};

use crate::annotations::{Approve, Rule, Terms};
use crate::policy::{Entry, Policy};

/// Why the policy answers as it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What it answers.
    pub answer: PolicyAnswer,
    /// The rules that apply: permits, or forbids.
    pub applies: Vec<RuleAt>,
    /// The rules that name this action and do not apply here.
    pub passed_over: Vec<RuleAt>,
    /// What the answer asks for, where it does not deny.
    pub asks: Vec<Asked>,
    /// What the caller's own token must have.
    pub token: TokenRule,
    /// Who may vote, in each stage.
    pub voters: Vec<Voters>,
}

/// A rule, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAt {
    /// Its id.
    pub id: String,
    /// Its line, counted from 1.
    pub line: usize,
}

/// One thing that is asked for, as an annotation writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The annotation.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// The rules that say so; none: it is so unless a rule says otherwise.
    pub rules: Vec<String>,
    /// Whether nothing would be different without it.
    pub is_default: bool,
}

/// Who may vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voters {
    /// In which stage; none: there are no stages.
    pub stage: Option<String>,
    /// In words for people.
    pub who: String,
    /// The rules that say so.
    pub rules: Vec<RuleAt>,
}

impl Policy {
    /// Why the policy answers as it does.
    pub fn explain(&self, operation: &Operation) -> Explanation {
        let decided = self.decide(operation);
        let applies = |entry: &&Entry| decided.by.iter().any(|one| one.id == entry.id);
        let about = |entry: &&Entry| {
            let names = entry.actions.as_ref();
            names.is_none_or(|names| names.contains(operation.action()))
        };
        let passed_over = self
            .rules
            .iter()
            .filter(|entry| about(entry) && !applies(entry))
            .map(Entry::at)
            .collect();
        let (answer, asks, token) = match &decided.terms {
            Err(reason) => {
                let reason = reason.clone();
                (PolicyAnswer::Deny { reason }, vec![], TokenRule::default())
            }
            Ok(terms) => {
                let answer = match &terms.approve {
                    None => PolicyAnswer::Allow,
                    Some(approve) => PolicyAnswer::Approve(approve.requirement.clone()),
                };
                (answer, asked(terms, &decided.by), terms.token.clone())
            }
        };
        let voters = match &answer {
            PolicyAnswer::Approve(requirement) => self.voters(operation, requirement),
            PolicyAnswer::Allow | PolicyAnswer::Deny { .. } => vec![],
        };
        Explanation {
            answer,
            applies: decided.by.iter().map(|entry| entry.at()).collect(),
            passed_over,
            asks,
            token,
            voters,
        }
    }

    fn voters(&self, operation: &Operation, requirement: &Requirement) -> Vec<Voters> {
        if requirement.by == By::Requester {
            return vec![Voters {
                stage: None,
                who: "the requester in person".to_owned(),
                rules: vec![],
            }];
        }
        let mut stages: Vec<Option<&str>> = requirement
            .stages
            .iter()
            .map(|stage| Some(stage.name.as_str()))
            .collect();
        if stages.is_empty() {
            stages.push(None);
        }
        let voters = |stage: Option<&str>| {
            let (who, rules) = self.could_vote(operation, stage);
            Voters {
                stage: stage.map(str::to_owned),
                who,
                rules: rules.into_iter().map(Entry::at).collect(),
            }
        };
        stages.into_iter().map(voters).collect()
    }
}

impl Entry {
    fn at(&self) -> RuleAt {
        RuleAt {
            id: self.id.clone(),
            line: self.line,
        }
    }
}

/// Several values of one annotation become one of which each rule wrote a part.
const TOGETHER: [&str; 5] = [
    "irreversible",
    "lift",
    "digest_only",
    "token_scope",
    "token_acr",
];

fn asked(terms: &Terms, by: &[&Entry]) -> Vec<Asked> {
    let usual: Vec<(&str, String)> = usual().map_or_else(Vec::new, |terms| as_annotations(&terms));
    as_annotations(terms)
        .into_iter()
        .map(|(name, value)| {
            let says_so = |entry: &&&Entry| {
                let Rule::Permit(own) = &entry.rule else {
                    return false;
                };
                let wrote = entry.written.iter().any(|(written, _)| written == name);
                wrote
                    && (TOGETHER.contains(&name)
                        || as_annotations(own).contains(&(name, value.clone())))
            };
            Asked {
                rules: by
                    .iter()
                    .filter(says_so)
                    .map(|entry| entry.id.clone())
                    .collect(),
                is_default: usual.contains(&(name, value.clone())),
                name,
                value,
            }
        })
        .collect()
}

/// What a permit asks for that says no more than "once approved".
fn usual() -> Option<Terms> {
    let annotations = [("approvals", "1")].into_iter();
    match crate::annotations::read(crate::annotations::Place::Permit, annotations) {
        Ok(Rule::Permit(terms)) => Some(terms),
        Ok(Rule::Vote { .. } | Rule::Forbid { .. }) | Err(_) => None,
    }
}

/// Terms as annotations would write them, everything written out.
fn as_annotations(terms: &Terms) -> Vec<(&'static str, String)> {
    let Terms { approve, token } = terms;
    let mut all = approve.as_ref().map_or_else(Vec::new, of_approval);
    // Destructured, so that a new member stops the build here.
    let TokenRule {
        scope,
        acr,
        max_age_secs,
    } = token;
    all.extend(scope.clone().map(|scope| ("token_scope", scope)));
    if !acr.is_empty() {
        all.push(("token_acr", acr.join(" ")));
    }
    all.extend(max_age_secs.map(|secs| ("token_max_age", time(secs))));
    all
}

fn of_approval(approve: &Approve) -> Vec<(&'static str, String)> {
    let Approve {
        requirement,
        digest_only,
        cool_down_secs,
    } = approve;
    let Requirement {
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
    } = requirement;
    let mut all = vec![("by", by.as_str().to_owned())];
    if stages.is_empty() {
        all.push(("approvals", approvals.to_string()));
    } else {
        let stage = |stage: &Stage| format!("{}:{}", stage.name, stage.approvals);
        let stages: Vec<String> = stages.iter().map(stage).collect();
        all.push(("stages", stages.join(", ")));
    }
    all.push(("step_up", step_up.as_str().to_owned()));
    all.extend(acr.clone().map(|acr| ("acr", acr)));
    all.extend(scope.clone().map(|scope| ("scope", scope)));
    all.push(("match", match_words.as_str().to_owned()));
    all.extend(hold.then(|| ("hold", "yes".to_owned())));
    all.push(("fresh_claims", time(*fresh_claims_secs)));
    all.extend(release_claims_secs.map(|secs| ("release_claims", time(secs))));
    all.push(("reason", reason.as_str().to_owned()));
    all.push(("notify_buttons", notify_buttons.as_str().to_owned()));
    all.push(("ttl", time(*ttl_secs)));
    all.push(("grant", time(*grant_secs)));
    all.extend(urgent.then(|| ("urgent", "yes".to_owned())));
    all.extend(irreversible.clone().map(|words| ("irreversible", words)));
    if !lift.is_empty() {
        all.push(("lift", lift.join(",")));
    }
    if !digest_only.is_empty() {
        let types: Vec<&str> = digest_only.iter().map(String::as_str).collect();
        all.push(("digest_only", types.join(", ")));
    }
    all.extend(cool_down_secs.map(|secs| ("cooldown", time(secs))));
    all
}

/// The way annotations write it.
fn time(secs: u32) -> String {
    match secs {
        _ if secs.is_multiple_of(3600) => format!("{}h", secs / 3600),
        _ if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}

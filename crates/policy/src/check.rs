//! A policy against what it runs among: the providers that are trusted, and the gates that ask.
//!
//! A policy that loads is sound in itself. It can still name a group of a provider that nobody trusts, or want a
//! step-up that no approver's provider can give. This says so before people find out; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use countersign_model::{
    By, Issuer, MatchWords, NotifyButtons, ReasonRule, Requirement, StepUp, Subject,
};

use crate::annotations::{Rule, Terms, near};
use crate::error::Source;
use crate::merge::strictest;
use crate::policy::{Entry, Policy};

/// What a policy runs among, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The trusted providers.
    pub providers: Option<Vec<ProviderFacts>>,
    /// The gates that ask.
    pub gates: Option<Vec<GateFacts>>,
}

/// What matters here of one provider.
#[derive(Debug, Clone)]
pub struct ProviderFacts {
    /// Its issuer.
    pub issuer: Issuer,
    /// Its accounts may vote.
    pub approves: bool,
    /// Its accounts may ask, as people or as programs.
    pub requests: bool,
    /// The groups that it may assert; any, where there is no list.
    pub groups: Option<BTreeSet<String>>,
    /// The authentication contexts that it may assert; any, where there is no list.
    pub acrs: Option<BTreeSet<String>>,
    /// Whether it can sign a person in again for one vote; if not, why.
    pub steps_up: Result<(), String>,
}

/// What matters here of one gate.
#[derive(Debug, Clone, Default)]
pub struct GateFacts {
    /// Its file, for people.
    pub name: String,
    /// The actions that its calls become.
    pub actions: BTreeSet<String>,
    /// The types of their resources.
    pub resource_types: BTreeSet<String>,
    /// The claims that it copies into operations.
    pub claims: BTreeSet<String>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Something in the policy cannot work.
    Error,
    /// It works, and perhaps not as meant.
    Warning,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// The policy's id; none where it is about the whole.
    pub policy: Option<String>,
    /// Its line and column, each counted from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl Policy {
    /// Compares the policy with what it runs among. `text` is what it was loaded from.
    pub fn check(&self, text: &str, around: &Surroundings) -> Vec<Finding> {
        let mut findings = Findings {
            source: Source::new(text),
            found: Vec::new(),
        };
        for entry in &self.rules {
            if let Some(providers) = &around.providers {
                names(entry, providers, &mut findings);
                if let Rule::Permit(terms) = &entry.rule {
                    self.can_be_met(entry, terms, providers, &mut findings);
                }
            }
            if let Some(gates) = &around.gates {
                asked_for(entry, gates, &mut findings);
            }
            buttons(entry, &mut findings);
        }
        for gate in around.gates.iter().flatten() {
            for action in gate.actions.iter().filter(|action| !self.knows(action)) {
                findings.found.push(Finding {
                    weight: Weight::Error,
                    policy: None,
                    place: None,
                    sentence: format!(
                        "`{}` has a route with the action `{action}`, which no rule names: every such call is denied",
                        gate.name
                    ),
                });
            }
        }
        self.may_contradict(&mut findings);
        self.odd_scopes(&mut findings);
        findings.found.sort_by_key(|finding| finding.place);
        findings.found
    }

    /// Whether anybody who may vote on it can do what it wants.
    fn can_be_met(
        &self,
        entry: &Entry,
        terms: &Terms,
        providers: &[ProviderFacts],
        findings: &mut Findings<'_>,
    ) {
        let acrs = &terms.token.acr;
        let states = |provider: &&ProviderFacts, acr: &String| {
            provider.acrs.as_ref().is_none_or(|acrs| acrs.contains(acr))
        };
        let callers: Vec<&ProviderFacts> = providers.iter().filter(|one| one.requests).collect();
        if !acrs.is_empty()
            && !callers
                .iter()
                .any(|one| acrs.iter().any(|acr| states(one, acr)))
        {
            findings.at(
                entry,
                "token_acr",
                format!(
                    "no provider whose accounts may ask can assert `{}`: no token will ever do",
                    acrs.join("` or `")
                ),
            );
        }
        let Some(approve) = &terms.approve else {
            return;
        };
        let requirement = &approve.requirement;
        if requirement.by == By::Requester {
            let named = issuers(entry);
            let own = providers
                .iter()
                .filter(|one| one.approves && one.requests && among(&named, one));
            voters_can(
                entry,
                requirement,
                &own.collect::<Vec<_>>(),
                "no requester",
                findings,
            );
            return;
        }
        let mut stages: Vec<Option<&str>> = requirement
            .stages
            .iter()
            .map(|stage| Some(stage.name.as_str()))
            .collect();
        if stages.is_empty() {
            stages.push(None);
        }
        for stage in stages {
            let mut voters: Vec<&ProviderFacts> = Vec::new();
            for vote in self.votes_on(entry, stage) {
                let named = issuers(vote);
                voters.extend(
                    providers
                        .iter()
                        .filter(|one| one.approves && among(&named, one)),
                );
            }
            let who = stage.map_or_else(
                || "nobody who may vote on it".to_owned(),
                |stage| format!("nobody who may vote in the stage `{stage}`"),
            );
            voters_can(entry, requirement, &voters, &who, findings);
        }
    }

    /// The vote permits of a stage that are about one of a rule's actions.
    fn votes_on(&self, entry: &Entry, stage: Option<&str>) -> impl Iterator<Item = &Entry> {
        self.rules.iter().filter(move |vote| match &vote.rule {
            Rule::Vote { stage: own, .. } => {
                let about = vote.votes_on.as_ref();
                own.as_deref() == stage
                    && about.is_none_or(|actions| {
                        entry
                            .actions
                            .iter()
                            .flatten()
                            .any(|one| actions.contains(one))
                    })
            }
            Rule::Permit(_) | Rule::Forbid { .. } => false,
        })
    }

    /// Nobody can list all scopes of an API. But where one has a letter more than another it is often a slip, and a
    /// scope that does not exist can never be had.
    fn odd_scopes(&self, findings: &mut Findings<'_>) {
        let mut scopes: BTreeMap<&str, (&Entry, &str)> = BTreeMap::new();
        for entry in &self.rules {
            let Rule::Permit(Terms { approve, token }) = &entry.rule else {
                continue;
            };
            let step_up = approve
                .as_ref()
                .and_then(|one| one.requirement.scope.as_deref());
            let token = token.scope.iter().flat_map(|scopes| scopes.split(' '));
            let named = step_up.map(|scope| (scope, "scope")).into_iter();
            for (scope, annotation) in named.chain(token.map(|scope| (scope, "token_scope"))) {
                scopes.entry(scope).or_insert((entry, annotation));
            }
        }
        // More than this no person reads, and pairs are many.
        let all: Vec<&str> = scopes.keys().copied().take(500).collect();
        for (scope, (entry, annotation)) in scopes.iter().take(500) {
            let Some(other) = all
                .iter()
                .find(|other| other.len() != scope.len() && near(other, scope))
            else {
                continue;
            };
            findings.push(
                Weight::Warning,
                entry,
                entry.offset_of(annotation),
                format!(
                    "the scope `{scope}` is a letter away from `{other}`: is one of them a slip?"
                ),
            );
        }
    }

    /// Two permits of one action that nothing could meet together: where both apply, it is denied.
    fn may_contradict(&self, findings: &mut Findings<'_>) {
        let mut by_action: BTreeMap<&str, Vec<(&Entry, &Terms)>> = BTreeMap::new();
        for entry in &self.rules {
            if let Rule::Permit(terms) = &entry.rule {
                for action in entry.actions.iter().flatten() {
                    by_action.entry(action).or_default().push((entry, terms));
                }
            }
        }
        let mut told = BTreeSet::new();
        for (action, together) in by_action {
            // More than this no person reads, and pairs are many.
            for (at, (one, terms)) in together.iter().enumerate().take(200) {
                for (other, others) in together.iter().skip(at + 1).take(200) {
                    let Err(conflict) = strictest((*terms).clone(), others) else {
                        continue;
                    };
                    if told.insert((&one.id, &other.id)) {
                        findings.push(
                            Weight::Warning,
                            other,
                            other.offset,
                            format!(
                                "where it applies to `{action}` together with `{}` the operation is denied: they differ in {}",
                                one.id, conflict.about
                            ),
                        );
                    }
                }
            }
        }
    }
}

/// Whether somebody with an account at one of these providers can do what the requirement wants.
fn voters_can(
    entry: &Entry,
    requirement: &Requirement,
    voters: &[&ProviderFacts],
    who: &str,
    findings: &mut Findings<'_>,
) {
    if voters.is_empty() {
        return findings.whole(
            entry,
            format!("{who} has an account at a provider whose accounts may approve"),
        );
    }
    if requirement.step_up != StepUp::Oidc {
        return;
    }
    let able: Vec<&&ProviderFacts> = voters.iter().filter(|one| one.steps_up.is_ok()).collect();
    if able.is_empty() {
        let mut why: Vec<String> = voters
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.issuer, one.steps_up.as_ref().err()?)))
            .collect();
        why.dedup();
        return findings.at(
                entry,
                "step_up",
                format!(
                    "{who} can step up at their provider ({}); `@step_up(\"webauthn\")` needs no provider",
                    why.join("; ")
                ),
            );
    }
    if let Some(acr) = &requirement.acr {
        let stated =
            |one: &&&ProviderFacts| one.acrs.as_ref().is_none_or(|acrs| acrs.contains(acr));
        if !able.iter().any(stated) {
            findings.at(
                    entry,
                    "acr",
                    format!(
                        "{who} can reach the acr `{acr}`: no provider of theirs that steps up may assert it"
                    ),
                );
        }
    }
}

/// Groups, people and issuers of providers that are trusted, and for that.
fn names(entry: &Entry, providers: &[ProviderFacts], findings: &mut Findings<'_>) {
    let find = |issuer: &str| providers.iter().find(|one| one.issuer.as_str() == issuer);
    let of_voters = match &entry.rule {
        Rule::Vote { .. } => Some(true),
        Rule::Permit(_) => Some(false),
        Rule::Forbid { .. } => None,
    };
    for group in &entry.mentions.groups {
        let Some((issuer, name)) = group.split_once('#') else {
            continue;
        };
        match find(issuer) {
            None => findings.on(
                entry,
                group,
                format!("the group `{group}` is of a provider that is not trusted here"),
            ),
            Some(provider) if provider.groups.as_ref().is_some_and(|all| !all.contains(name)) => {
                findings.on(
                    entry,
                    group,
                    format!("`{issuer}` may not assert the group `{name}`: nobody is ever in it"),
                );
            }
            Some(provider) => match of_voters {
                Some(true) if !provider.approves => findings.on(
                    entry,
                    group,
                    format!("the accounts of `{issuer}` may not approve, so nobody in `{name}` ever votes"),
                ),
                Some(false) if !provider.requests => findings.on(
                    entry,
                    group,
                    format!("the accounts of `{issuer}` may not ask, so nobody in `{name}` ever does"),
                ),
                Some(_) | None => {}
            },
        }
    }
    let issuer_of = |person: &String| Some(Subject::parse(person).ok()?.iss.as_str().to_owned());
    for person in &entry.mentions.people {
        if issuer_of(person).is_some_and(|issuer| find(&issuer).is_none()) {
            findings.on(
                entry,
                person,
                format!("`{person}` is of a provider that is not trusted here"),
            );
        }
    }
    for issuer in &entry.mentions.issuers {
        if find(issuer).is_none() {
            findings.on(entry, issuer, format!("`{issuer}` is not trusted here"));
        }
    }
}

/// Actions, types and claims that some gate asks with.
fn asked_for(entry: &Entry, gates: &[GateFacts], findings: &mut Findings<'_>) {
    let files: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
    let files = files.join("` and `");
    for action in entry
        .actions
        .iter()
        .flatten()
        .filter(|one| *one != crate::entities::VOTE)
    {
        if !gates.iter().any(|gate| gate.actions.contains(action)) {
            findings.on(
                entry,
                action,
                format!("no route of `{files}` has the action `{action}`"),
            );
        }
    }
    for kind in &entry.mentions.resource_types {
        if !gates.iter().any(|gate| gate.resource_types.contains(kind)) {
            findings.on(
                entry,
                kind,
                format!("no route of `{files}` has resources of the type `{kind}`"),
            );
        }
    }
    // Of a voter every claim is there; of a requester only what a gate copies.
    let about_votes = entry
        .actions
        .as_ref()
        .is_some_and(|all| all.contains(crate::entities::VOTE));
    if about_votes {
        return;
    }
    const ALWAYS: [&str; 6] = ["type", "iss", "sub", "groups", "act", "client_id"];
    for claim in entry
        .mentions
        .claims
        .iter()
        .filter(|one| !ALWAYS.contains(&one.as_str()))
    {
        if !gates.iter().any(|gate| gate.claims.contains(claim)) {
            findings.whole(
                entry,
                format!(
                    "it looks at the requester's claim `{claim}`, which `{files}` does not copy into operations: name it \
                     under `claims` of a [[provider]]"
                ),
            );
        }
    }
}

/// A button on a notification can carry neither words, nor a reason, nor a sign-in, and is not held.
fn buttons(entry: &Entry, findings: &mut Findings<'_>) {
    let Rule::Permit(Terms {
        approve: Some(approve),
        ..
    }) = &entry.rule
    else {
        return;
    };
    let requirement = &approve.requirement;
    let needs_window = requirement.step_up != StepUp::None
        || requirement.match_words == MatchWords::Words
        || requirement.hold
        || requirement.reason != ReasonRule::Optional;
    if requirement.notify_buttons == NotifyButtons::Both && needs_window {
        let offset = entry.offset_of("notify_buttons");
        findings.push(
            Weight::Warning,
            entry,
            offset,
            "an Approve button on a notification carries no words, no reason and no sign-in, and is not held: it is left out"
                .to_owned(),
        );
    }
}

/// The issuers that a rule names, by groups, people or themselves.
fn issuers(entry: &Entry) -> BTreeSet<&str> {
    let mentions = &entry.mentions;
    let groups = mentions
        .groups
        .iter()
        .filter_map(|group| Some(group.split_once('#')?.0));
    let people = mentions
        .people
        .iter()
        .filter_map(|person| Some(person.split_once('|')?.0));
    groups
        .chain(people)
        .chain(mentions.issuers.iter().map(String::as_str))
        .collect()
}

fn among(named: &BTreeSet<&str>, provider: &ProviderFacts) -> bool {
    named.is_empty() || named.contains(provider.issuer.as_str())
}

struct Findings<'a> {
    source: Source<'a>,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn push(&mut self, weight: Weight, entry: &Entry, offset: usize, sentence: String) {
        self.found.push(Finding {
            weight,
            policy: Some(entry.id.clone()),
            place: Some(self.source.place(offset)),
            sentence,
        });
    }

    fn whole(&mut self, entry: &Entry, sentence: String) {
        self.push(Weight::Error, entry, entry.offset, sentence);
    }

    fn at(&mut self, entry: &Entry, annotation: &str, sentence: String) {
        self.push(Weight::Error, entry, entry.offset_of(annotation), sentence);
    }

    fn on(&mut self, entry: &Entry, literal: &str, sentence: String) {
        let offset = self.source.literal(entry.offset, literal);
        self.push(Weight::Error, entry, offset, sentence);
    }
}

impl Entry {
    /// Where an annotation stands; where it has none such, where it begins.
    fn offset_of(&self, annotation: &str) -> usize {
        let written = self.written.iter().find(|(name, _)| name == annotation);
        written.map_or(self.offset, |(_, at)| *at)
    }
}

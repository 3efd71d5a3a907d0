//! What is wrong with a policy as a whole, though each of its rules is right by itself: a rule that silently does
//! nothing, and a permit that nobody could ever use.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countersign_model::By;
use serde_json::Value;

use crate::annotations::{Rule, Terms, near};
use crate::draft::Draft;
use crate::entities::VOTE;
use crate::error::{LoadError, Source};
use crate::facts::fits;
use crate::merge::strictest;

/// Each policy has an id of its own.
pub(crate) fn ids(drafts: &[Draft], source: &Source<'_>) -> Result<(), LoadError> {
    let mut ids = BTreeSet::new();
    for draft in drafts {
        if !ids.insert(&draft.id) {
            return Err(draft.error(source, "another policy before it has the same `@id`"));
        }
    }
    Ok(())
}

/// All actions that operations can have.
///
/// A permit declares an action by naming it. A forbid does not: misspelt, it would forbid nothing that can happen,
/// and say so to nobody. One that means an action which nothing permits says that twice.
pub(crate) fn actions(
    drafts: &[Draft],
    source: &Source<'_>,
) -> Result<BTreeSet<String>, LoadError> {
    let named = |draft: &Draft| {
        let actions = draft.actions.clone().into_iter().flatten();
        actions
            .filter(|action| action != VOTE)
            .collect::<BTreeSet<_>>()
    };
    let mut known: BTreeSet<String> = drafts
        .iter()
        .filter(|draft| matches!(draft.rule, Rule::Permit(_)))
        .flat_map(named)
        .collect();
    let permitted = known.clone();
    for draft in drafts {
        let Rule::Forbid {
            never_permitted, ..
        } = &draft.rule
        else {
            continue;
        };
        let named = named(draft);
        let at = |sentence: String| draft.error_at(source, "never_permitted", sentence);
        if let Some(stray) = never_permitted.difference(&named).next() {
            return Err(at(format!(
                "`@never_permitted` names `{stray}`, and the scope does not"
            )));
        }
        if let Some(other) = never_permitted.intersection(&permitted).next() {
            return Err(at(format!(
                "`@never_permitted` names `{other}`, and a permit permits it"
            )));
        }
        if let Some(lone) = named
            .iter()
            .find(|action| !permitted.contains(*action) && !never_permitted.contains(*action))
        {
            return Err(draft.error_on(
                source,
                lone,
                format!(
                    "no permit names the action `{lone}`{}, so this would forbid nothing; where nothing is meant to \
                     permit it, say so with `@never_permitted(\"{lone}\")`",
                    meant(&permitted, lone)
                ),
            ));
        }
        known.extend(named);
    }
    Ok(known)
}

fn meant(known: &BTreeSet<String>, name: &str) -> String {
    known
        .iter()
        .find(|known| near(known, name))
        .map_or_else(String::new, |known| format!(" (did you mean `{known}`?)"))
}

/// A rule about votes compares the operation's action with text, which Cedar takes as it comes.
pub(crate) fn compared_actions(
    drafts: &[Draft],
    known: &BTreeSet<String>,
    source: &Source<'_>,
) -> Result<(), LoadError> {
    for draft in drafts {
        let mentions = &draft.mentions;
        if let Some(action) = mentions.actions.difference(known).next() {
            return Err(draft.error_on(
                source,
                action,
                format!(
                    "`resource.action` is never `{action}`: no rule names that action{}",
                    meant(known, action)
                ),
            ));
        }
        let silent = |pattern: &&Vec<_>| !known.iter().any(|action| fits(pattern, action));
        if mentions
            .action_patterns
            .iter()
            .any(|pattern| silent(&pattern))
        {
            return Err(draft.error(
                source,
                "it compares `resource.action` with a pattern that no action of this policy fits",
            ));
        }
    }
    Ok(())
}

/// Whatever wants approvals has people who could give them, in each of its stages; and each stage that somebody
/// may vote in is one of a requirement.
pub(crate) fn voters(drafts: &[Draft], source: &Source<'_>) -> Result<(), LoadError> {
    // By stage: what its voters can vote on. `None`: every action.
    let mut voters: BTreeMap<Option<&str>, Option<BTreeSet<String>>> = BTreeMap::new();
    let mut stages = BTreeSet::new();
    for draft in drafts {
        match &draft.rule {
            Rule::Vote { stage, .. } => {
                let actions = draft.votes().and_then(|reach| reach.actions);
                let known = voters
                    .entry(stage.as_deref())
                    .or_insert_with(|| Some(BTreeSet::new()));
                match (known.as_mut(), actions) {
                    (Some(known), Some(actions)) => known.extend(actions),
                    (_, None) => *known = None,
                    (None, Some(_)) => {}
                }
            }
            Rule::Permit(terms) => {
                let requirement = terms.approve.as_ref().map(|approve| &approve.requirement);
                stages.extend(
                    requirement
                        .into_iter()
                        .flat_map(|requirement| &requirement.stages)
                        .map(|stage| stage.name.as_str()),
                );
            }
            Rule::Forbid { .. } => {}
        }
    }
    let somebody = |stage: Option<&str>, action: &str| {
        voters
            .get(&stage)
            .is_some_and(|actions| actions.as_ref().is_none_or(|named| named.contains(action)))
    };
    for draft in drafts {
        match &draft.rule {
            Rule::Vote {
                stage: Some(stage), ..
            } if !stages.contains(stage.as_str()) => {
                let near = stages.iter().find(|known| near(known, stage));
                let meant =
                    near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
                return Err(draft.error_at(
                    source,
                    "stage",
                    format!("no permit has a stage `{stage}`{meant}"),
                ));
            }
            Rule::Vote { .. } | Rule::Forbid { .. } => {}
            Rule::Permit(Terms { approve: None, .. }) => {}
            Rule::Permit(Terms {
                approve: Some(approve),
                ..
            }) => {
                if approve.requirement.by == By::Requester {
                    continue;
                }
                let mut needed: Vec<Option<&str>> = approve
                    .requirement
                    .stages
                    .iter()
                    .map(|stage| Some(stage.name.as_str()))
                    .collect();
                if needed.is_empty() {
                    needed.push(None);
                }
                for action in draft.actions.iter().flatten() {
                    match needed.iter().find(|stage| !somebody(**stage, action)) {
                        None => {}
                        Some(Some(stage)) => {
                            return Err(draft.error_at(
                                source,
                                "stages",
                                format!(
                                    "nobody could vote on `{action}` in the stage `{stage}`: no permit of \
                                     `Action::\"vote\"` with `@stage(\"{stage}\")` is about it"
                                ),
                            ));
                        }
                        Some(None) => {
                            return Err(draft.error(
                                source,
                                format!(
                                    "it wants approvals that nobody could give: no permit of `Action::\"vote\"` is \
                                     about `{action}`"
                                ),
                            ));
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Two permits that always apply together and that nothing meets together: the operation could never happen.
/// Others that differ may never meet; where they do, the operation is denied.
pub(crate) fn conflicts(drafts: &[Draft], source: &Source<'_>) -> Result<(), LoadError> {
    let mut by_action: BTreeMap<&str, Vec<(&Draft, &Terms)>> = BTreeMap::new();
    for draft in drafts {
        if let Rule::Permit(terms) = &draft.rule {
            for action in draft.actions.iter().flatten() {
                by_action.entry(action).or_default().push((draft, terms));
            }
        }
    }
    for together in by_action.values() {
        // What always applies comes first; everything else applies beside it, and beside its own like.
        let (always, others): (Vec<_>, Vec<_>) = together
            .iter()
            .partition(|(draft, _)| condition(draft) == UNCONDITIONAL);
        let mut base: Option<(Vec<&str>, Terms)> = None;
        for (draft, terms) in always {
            base = Some(beside(base, draft, terms, source)?);
        }
        let mut alike: HashMap<String, (Vec<&str>, Terms)> = HashMap::new();
        for (draft, terms) in others {
            let condition = condition(draft);
            let before = alike.remove(&condition).or_else(|| base.clone());
            alike.insert(condition, beside(before, draft, terms, source)?);
        }
    }
    Ok(())
}

fn beside<'a>(
    before: Option<(Vec<&'a str>, Terms)>,
    draft: &'a Draft,
    terms: &Terms,
    source: &Source<'_>,
) -> Result<(Vec<&'a str>, Terms), LoadError> {
    let Some((mut ids, merged)) = before else {
        return Ok((vec![&draft.id], terms.clone()));
    };
    match strictest(merged, terms) {
        Ok(merged) => {
            ids.push(&draft.id);
            Ok((ids, merged))
        }
        Err(conflict) => Err(draft.error(
            source,
            format!(
                "it always applies together with `{}` and differs in {}, so nothing meets both",
                ids.join("`, `"),
                conflict.about
            ),
        )),
    }
}

const UNCONDITIONAL: &str = "";

/// When a policy applies, its action apart, as text; two with the same text apply together.
fn condition(draft: &Draft) -> String {
    let scope = |name: &str| match draft.form.get(name) {
        // Operations' principals and resources are of one type each.
        Some(scope) if scope.get("in").is_none() && scope.get("entity").is_none() => String::new(),
        other => other.unwrap_or(&Value::Null).to_string(),
    };
    let conditions = draft.form.get("conditions").and_then(Value::as_array);
    let conditions = conditions.filter(|conditions| !conditions.is_empty());
    scope("principal")
        + &scope("resource")
        + &conditions.map_or_else(String::new, |conditions| {
            Value::Array(conditions.clone()).to_string()
        })
}

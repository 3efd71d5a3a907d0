//! Which policies can apply at all, by the action and the type of resource: what a decision costs does not grow
//! with the policies about other things.
//!
//! A policy that names no action, or no type before anything else in its condition, stands under "any".

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{Policy as CedarPolicy, PolicySet};

/// What a policy can apply to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// These actions; any, where there are none.
    pub(crate) actions: Option<BTreeSet<String>>,
    /// Resources of these types; any, where there are none.
    pub(crate) types: Option<BTreeSet<String>>,
}

/// Policies by what they can apply to.
#[derive(Default)]
pub(crate) struct Index {
    by_action: HashMap<String, ByType>,
    any_action: ByType,
}

#[derive(Default)]
struct ByType {
    by_type: HashMap<String, PolicySet>,
    any_type: PolicySet,
}

impl Index {
    pub(crate) fn add(&mut self, policy: &CedarPolicy, reach: &Reach) -> Result<(), String> {
        match &reach.actions {
            None => self.any_action.add(policy, reach),
            Some(actions) => actions.iter().try_for_each(|action| {
                let under = self.by_action.entry(action.clone()).or_default();
                under.add(policy, reach)
            }),
        }
    }

    /// All sets with a policy that can apply. Never none, so that Cedar is always asked.
    pub(crate) fn about(&self, action: &str, kind: &str) -> Vec<&PolicySet> {
        let under = [self.by_action.get(action), Some(&self.any_action)];
        let sets = under
            .into_iter()
            .flatten()
            .flat_map(|under| [under.by_type.get(kind), Some(&under.any_type)]);
        let mut sets: Vec<&PolicySet> = sets.flatten().filter(|set| !set.is_empty()).collect();
        if sets.is_empty() {
            sets.push(&self.any_action.any_type);
        }
        sets
    }
}

impl ByType {
    fn add(&mut self, policy: &CedarPolicy, reach: &Reach) -> Result<(), String> {
        let odd = |error: cedar_policy::PolicySetError| error.to_string();
        match &reach.types {
            None => self.any_type.add(policy.clone()).map_err(odd),
            Some(types) => types.iter().try_for_each(|kind| {
                let under = self.by_type.entry(kind.clone()).or_default();
                under.add(policy.clone()).map_err(odd)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::PolicyId;

    use super::*;

    #[test]
    fn every_policy_that_can_apply_is_asked_and_no_other() {
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let mut index = Index::default();
        for (id, actions, types) in [
            ("everything", None, None),
            ("type", None, some(&["t"])),
            ("action", some(&["a", "b"]), None),
            ("both", some(&["a"]), some(&["t", "u"])),
        ] {
            let policy: CedarPolicy = "permit (principal, action, resource);".parse().unwrap();
            let reach = Reach { actions, types };
            index
                .add(&policy.new_id(PolicyId::new(id)), &reach)
                .unwrap();
        }
        for (action, kind, expected) in [
            ("a", "t", vec!["action", "both", "everything", "type"]),
            ("a", "u", vec!["action", "both", "everything"]),
            ("a", "v", vec!["action", "everything"]),
            ("b", "t", vec!["action", "everything", "type"]),
            ("c", "u", vec!["everything"]),
        ] {
            let sets = index.about(action, kind);
            let mut found: Vec<String> = sets
                .iter()
                .flat_map(|set| set.policies().map(|policy| policy.id().to_string()))
                .collect();
            found.sort();
            assert_eq!(found, expected, "{action} {kind}");
        }
        assert_eq!(Index::default().about("a", "t").len(), 1);
    }
}

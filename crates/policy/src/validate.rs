//! Cedar's strict validation, in pieces.
//!
//! Cedar checks each policy once for every action of the schema, so that the time for the whole grows with policies ×
//! actions: ten thousand rules, each about an action of its own, would take minutes. Here a policy is checked against
//! the actions that it and its neighbors name, and one that none of them names.
//!
//! INVARIANT: the verdict is that of the whole. All actions of operations apply to the same types, so to a policy that
//! does not name them they are alike, and one stands for all. A name that no rule declares is in no piece, and is
//! refused in each.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{PolicyId, PolicySet, Schema, ValidationMode, Validator};

use crate::draft::Draft;
use crate::error::{LoadError, Source};
use crate::schema::schema;

/// Actions that the policies of one piece name, at most; unless a single one names more.
const PIECE: usize = 16;

/// Validates strictly, and without a warning: a policy that can never apply is a mistake, and so is a look-alike letter.
///
/// Answers with the first error of the text; where there is none, with the first warning.
pub(crate) fn validate(
    actions: &BTreeSet<String>,
    drafts: &[Draft],
    source: &Source<'_>,
) -> Result<(), LoadError> {
    let odd = |sentence: String| source.error(0, None, sentence);
    let mut warning = None;
    for Piece { named, drafts } in pieces(actions, drafts) {
        let another = actions.iter().find(|action| !named.contains(*action));
        let known = schema(named.iter().copied().chain(another)).map_err(odd)?;
        match first(&known, drafts, source)? {
            Verdict::Good => {}
            Verdict::Warning(found) => {
                warning.get_or_insert(found);
            }
            // Once more among all actions: Cedar proposes one that is like a misspelt name.
            Verdict::Error { wrong, found } => {
                let whole = schema(actions).map_err(odd)?;
                let alone = wrong.map_or(drafts, std::slice::from_ref);
                return Err(match first(&whole, alone, source)? {
                    Verdict::Error { found, .. } => found,
                    Verdict::Good | Verdict::Warning(_) => found,
                });
            }
        }
    }
    warning.map_or(Ok(()), Err)
}

/// Policies that stand one after another, and the actions that they name.
struct Piece<'a> {
    named: BTreeSet<&'a String>,
    drafts: &'a [Draft],
}

fn pieces<'a>(actions: &'a BTreeSet<String>, drafts: &'a [Draft]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut named = BTreeSet::new();
    let mut begin = 0;
    for (at, draft) in drafts.iter().enumerate() {
        let scope = draft.actions.iter().flatten();
        let own: BTreeSet<&String> = scope
            .chain(&draft.mentions.action_literals)
            .filter_map(|action| actions.get(action))
            .collect();
        let together = named.union(&own).count();
        if at > begin && together > PIECE.max(own.len()) {
            pieces.push(Piece {
                named: std::mem::take(&mut named),
                drafts: &drafts[begin..at],
            });
            begin = at;
        }
        named.extend(own);
    }
    pieces.push(Piece {
        named,
        drafts: &drafts[begin..],
    });
    pieces
}

/// What Cedar finds first, in the order of the text.
enum Verdict<'a> {
    Good,
    Warning(LoadError),
    Error {
        wrong: Option<&'a Draft>,
        found: LoadError,
    },
}

fn first<'a>(
    schema: &Schema,
    drafts: &'a [Draft],
    source: &Source<'_>,
) -> Result<Verdict<'a>, LoadError> {
    let set = PolicySet::from_policies(drafts.iter().map(|draft| draft.policy.clone()))
        .map_err(|error| source.error(0, None, error.to_string()))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let drafts: HashMap<&PolicyId, &'a Draft> = drafts
        .iter()
        .map(|draft| (draft.policy.id(), draft))
        .collect();
    let offset = |id: &PolicyId| drafts.get(id).map_or(0, |draft| draft.offset);
    let place = |error: &LoadError| (error.line, error.column, error.sentence.clone());
    let errors = result.validation_errors().map(|error| {
        let id = error.policy_id();
        let found = source.cedar(Some(id.as_ref()), offset(id), error);
        (drafts.get(id).copied(), found)
    });
    if let Some((wrong, found)) = errors.min_by_key(|(_, found)| place(found)) {
        return Ok(Verdict::Error { wrong, found });
    }
    let warnings = result.validation_warnings().map(|warning| {
        let id = warning.policy_id();
        source.cedar(Some(id.as_ref()), offset(id), warning)
    });
    Ok(warnings
        .min_by_key(place)
        .map_or(Verdict::Good, Verdict::Warning))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use cedar_policy::Policy as CedarPolicy;

    use super::*;

    fn drafts(set: &PolicySet, source: &Source<'_>) -> Vec<Draft> {
        let mut policies: Vec<&CedarPolicy> = set.policies().collect();
        policies.sort_by_key(|policy| crate::draft::begins(policy));
        let drafts = policies
            .into_iter()
            .map(|policy| Draft::read(policy, source));
        drafts.collect::<Result<_, _>>().unwrap()
    }

    fn at_once(
        actions: &BTreeSet<String>,
        drafts: &[Draft],
        source: &Source<'_>,
    ) -> Result<(), LoadError> {
        match first(&schema(actions).unwrap(), drafts, source)? {
            Verdict::Good => Ok(()),
            Verdict::Warning(found) | Verdict::Error { found, .. } => Err(found),
        }
    }

    /// Twenty permits of an action each, and this rule among them: how many pieces, and what is said about it.
    fn among_twenty(at: usize, rules: &str) -> (usize, Result<(), LoadError>) {
        let mut text = String::new();
        // Of one name another is a letter away, so that there is one that Cedar proposes.
        let action = |n| match n {
            7 => "customer.delete".to_owned(),
            n => format!("a{n}"),
        };
        for n in 0..20 {
            if n == at {
                writeln!(text, "{rules}").unwrap();
            }
            writeln!(
                text,
                "@id(\"p{n}\") permit (principal, action == Action::\"{}\", resource)\n\
                 when {{ resource.type == \"t\" }};",
                action(n)
            )
            .unwrap();
        }
        let set: PolicySet = text.parse().unwrap();
        let source = Source::new(&text);
        let drafts = drafts(&set, &source);
        let actions = (0..20).map(action).collect();
        let said = validate(&actions, &drafts, &source);
        assert_eq!(said, at_once(&actions, &drafts, &source), "{rules} at {at}");
        (pieces(&actions, &drafts).len(), said)
    }

    #[test]
    fn the_verdict_of_the_pieces_is_the_verdict_of_the_whole() {
        let seventeen: Vec<String> = (0..18)
            .filter(|n| *n != 7)
            .map(|n| format!("Action::\"a{n}\""))
            .collect();
        let seventeen = seventeen.join(", ");
        let forbid = |condition: &str| {
            format!("@id(\"x\")\nforbid (principal, action, resource) {condition};")
        };
        let permit = |condition: &str| {
            format!(
                "@id(\"x\")\npermit (principal, action == Action::\"a1\", resource) {condition};"
            )
        };
        for (rule, says) in [
            (permit(r#"when { principal.sub == "mara" }"#), ""),
            (forbid(r#"when { principal has email }"#), ""),
            (forbid(r#"when { action == Action::"a18" }"#), ""),
            (
                forbid(r#"when { resource is Resource && resource.id == "1" }"#),
                "",
            ),
            (
                forbid(r#"when { action == Action::"vote" && resource.action == "a1" }"#),
                "",
            ),
            (forbid(&format!("when {{ action in [{seventeen}] }}")), ""),
            // An action that no rule declares, and the one that is like it.
            (
                forbid(r#"when { action == Action::"customer.delet" }"#),
                "did you mean `Action::\"customer.delete\"`",
            ),
            (
                forbid(
                    r#"when { principal.sub == "m" && action in [Action::"a1", Action::"b1"] }"#,
                ),
                "unrecognized action `Action::\"b1\"`",
            ),
            // Wrong for one action, for all but some, for votes alone, for everything.
            (
                forbid(r#"when { action == Action::"a18" && context.nothing == "1" }"#),
                "attribute `nothing`",
            ),
            (
                forbid(&format!(
                    "when {{ !(action in [{seventeen}]) && resource is Resource && context.nothing == \"1\" }}"
                )),
                "attribute `nothing`",
            ),
            (forbid(r#"when { resource.id == "1" }"#), "attribute `id`"),
            (permit("when { principal.sub == 1 }"), "types"),
            (permit("when { context.ticket == \"T-1\" }"), "optional"),
            // It can never apply.
            (permit(r#"when { action == Action::"a2" }"#), "impossible"),
            (
                forbid(r#"when { action == Action::"a18" && action == Action::"a19" }"#),
                "impossible",
            ),
            (forbid(r#"when { resource is User }"#), "impossible"),
            // A letter that looks like another.
            (
                permit(r#"when { resource.type == "оrders" }"#),
                "mixed script",
            ),
        ] {
            for at in [0, 19] {
                let (pieces, said) = among_twenty(at, &rule);
                assert!(pieces > 1, "one piece proves nothing");
                match said {
                    Ok(()) => assert_eq!("", says, "{rule}"),
                    Err(error) => {
                        assert!(!says.is_empty() && error.sentence.contains(says), "{error}");
                        assert_eq!(error.policy.as_deref(), Some("x"), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn errors_come_before_warnings_and_the_first_of_the_text_before_others() {
        let never =
            r#"@id("never") permit (principal, action == Action::"a1", resource) when { false };"#;
        let wrong = |id: &str, action: &str| {
            format!(
                "@id(\"{id}\") permit (principal, action == Action::\"{action}\", resource) when {{ context.nothing }};"
            )
        };
        let text = |rules: &[&str]| -> String {
            let permits = (0..40).map(|n| {
                format!("@id(\"p{n}\") permit (principal, action == Action::\"a{n}\", resource);\n")
            });
            let (first, last) = (rules[0], rules[1]);
            format!("{first}\n{}{last}\n", permits.collect::<String>())
        };
        for (rules, expected) in [
            ([never, &wrong("late", "a2")], "late"),
            ([&wrong("early", "a2"), &wrong("late", "a3")], "early"),
            ([&wrong("early", "a2"), never], "early"),
        ] {
            let text = text(&rules);
            let set: PolicySet = text.parse().unwrap();
            let source = Source::new(&text);
            let drafts = drafts(&set, &source);
            let actions = (0..40).map(|n| format!("a{n}")).collect();
            let error = validate(&actions, &drafts, &source).unwrap_err();
            assert_eq!(error.policy.as_deref(), Some(expected));
            assert_eq!(Err(error), at_once(&actions, &drafts, &source));
        }
    }

    #[test]
    fn policies_that_name_many_actions_stand_alone() {
        let mut text = String::from("@id(\"all\") permit (principal, action in [");
        for n in 0..100 {
            write!(text, "Action::\"a{n}\", ").unwrap();
        }
        text.push_str("Action::\"a100\"], resource);\n");
        for n in 0..100 {
            writeln!(
                text,
                "@id(\"p{n}\") permit (principal, action == Action::\"a{n}\", resource);"
            )
            .unwrap();
        }
        let set: PolicySet = text.parse().unwrap();
        let source = Source::new(&text);
        let drafts = drafts(&set, &source);
        let actions = (0..101).map(|n| format!("a{n}")).collect();
        let sizes: Vec<(usize, usize)> = pieces(&actions, &drafts)
            .iter()
            .map(|piece| (piece.drafts.len(), piece.named.len()))
            .collect();
        assert_eq!(sizes[..2], [(1, 101), (16, 16)]);
        assert_eq!(sizes.iter().map(|size| size.0).sum::<usize>(), 101);
        assert_eq!(validate(&actions, &drafts, &source), Ok(()));
    }
}

//! What of an operation is new beside the last one like it that this person approved from this device, and that was run.
//!
//! Alike are operations of the same requester, asked for by the same party on their behalf, with the same action and
//! resource at the same gate. What one is compared with is what
//! this device verified: the bytes, by the signatures of gate and server, and the approval, by this device's own key. Only
//! that it was run, and when, is the server's word. It was seen, too: somebody else's approval is no reason to pass over a
//! line that this person never read. None of it goes into a vote.

use std::time::Duration;

use countersign_api::http::RequestState;
use countersign_api::ipc::{Exhibit, Line, Role, Since};
use countersign_display::RENDERER;
use countersign_history::{Approved, MAX_PARTS, Part};
use countersign_model::{Digest, Operation, Subject};
use serde_json::json;

use crate::inner::Inner;
use crate::item::Item;
use crate::session::Session;

/// A card waits so long for what is compared with it, which is there at once unless the disk hangs, and then comes without.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most parts between what is the same at the beginning and at the end. Beyond, all of them count as new.
const MAX_BETWEEN: usize = 400;

impl Inner {
    /// What is new in an open request, where there is something to compare it with.
    pub(crate) async fn since(
        &self,
        session: &Session,
        item: &Item,
        exhibit: &Exhibit,
    ) -> Option<Since> {
        if item.state != RequestState::Pending {
            return None;
        }
        let archive = &self.options.history.as_ref()?.archive;
        let likeness = likeness(item.genuine().ok()?.open.operation());
        let approved = archive.approved(&session.account.id, likeness);
        match tokio::time::timeout(PATIENCE, approved).await {
            Ok(Ok(before)) => compared(&before?, exhibit),
            Ok(Err(error)) => {
                tracing::info!(code = error.code(), "nothing is compared: {error}");
                None
            }
            Err(_) => None,
        }
    }
}

/// What is kept of an operation that was approved here.
pub(crate) fn approved(operation: &Operation, exhibit: &Exhibit, at: i64) -> Option<Approved> {
    let parts = parts(exhibit);
    (parts.len() <= MAX_PARTS).then(|| Approved {
        likeness: likeness(operation),
        at,
        parts: parts.into_iter().map(|(_, part)| part).collect(),
    })
}

/// The same for operations that are alike, as long as they are drawn alike.
fn likeness(operation: &Operation) -> Digest {
    let named = |subject: &Subject| json!([subject.iss.as_str(), subject.sub]);
    let acting: Vec<_> = operation.act_chain().iter().map(named).collect();
    let alike = json!([
        RENDERER,
        operation.pep().as_str(),
        operation.subject_type(),
        named(operation.subject()),
        acting,
        operation.action(),
        operation.resource_type(),
        operation.resource_id(),
        operation.resource_properties().get("service"),
    ]);
    Digest::tagged("countersign/likeness/v2", alike.to_string().as_bytes())
}

/// The spans of an exhibit by their places, in order: each with what it is, the field that it stands in, and whether it
/// begins a line.
fn parts(exhibit: &Exhibit) -> Vec<(u32, Part)> {
    let Exhibit {
        title,
        lines,
        details,
    } = exhibit;
    let details = details
        .iter()
        .flat_map(|field| field.lines.iter().map(|line| (field.label.as_str(), line)));
    let all = std::iter::once(("title", title))
        .chain(lines.iter().map(|line| ("lines", line)))
        .chain(details);
    let spans = all.flat_map(|(place, line)| of_line(place, line));
    (0..)
        .zip(spans)
        .filter_map(|(at, part)| Some((at, part?)))
        .collect()
}

/// A line's own number is no part of it: one that comes in between moves those of all that follow.
fn of_line<'a>(place: &'a str, line: &'a Line) -> impl Iterator<Item = Option<Part>> + 'a {
    let number = line.spans.first().filter(|span| {
        span.role == Role::Punctuation
            && span
                .text
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_digit())
    });
    let first = usize::from(number.is_some());
    let is_empty = line.spans.len() == first;
    line.spans.iter().enumerate().map(move |(at, span)| {
        let whole = match at < first {
            true if is_empty => json!([place]),
            true => return None,
            false => json!([place, at == first, span.role, span.text]),
        };
        Some(*Digest::of(whole.to_string().as_bytes()).as_bytes())
    })
}

/// `None` where less than half of either is the same: then it is another thing, and marks would say nothing.
fn compared(before: &Approved, exhibit: &Exhibit) -> Option<Since> {
    let (places, now): (Vec<u32>, Vec<Part>) = parts(exhibit).into_iter().unzip();
    if now.len() > MAX_PARTS {
        return None;
    }
    let kept = in_common(&before.parts, &now);
    let common = kept.iter().filter(|kept| **kept).count();
    if common * 2 < now.len().max(before.parts.len()) {
        return None;
    }
    let mut fresh: Vec<(u32, u32)> = Vec::new();
    for (at, _) in places.into_iter().zip(kept).filter(|(_, kept)| !kept) {
        match fresh.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            Some(_) | None => fresh.push((at, at + 1)),
        }
    }
    Some(Since {
        at: before.at,
        fresh,
        gone: u32::try_from(before.parts.len() - common).unwrap_or(u32::MAX),
    })
}

/// Which of the second's parts the two have in common, in the same order: a longest common subsequence.
fn in_common(first: &[Part], second: &[Part]) -> Vec<bool> {
    let same = |pair: &(&Part, &Part)| pair.0 == pair.1;
    let head = first.iter().zip(second).take_while(same).count();
    let (a, b) = (&first[head..], &second[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut kept = vec![true; second.len()];
    kept[head..head + b.len()].fill(false);
    if a.len() > MAX_BETWEEN || b.len() > MAX_BETWEEN {
        return kept;
    }
    // The length of the longest for what begins here in each of the two.
    let width = b.len() + 1;
    let mut longest = vec![0_u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            kept[head + j] = true;
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{Field, Span};

    use super::*;

    fn spans(texts: &str) -> Line {
        let span = |text: &str| Span {
            role: if text.chars().all(|c| c.is_ascii_digit()) {
                Role::Punctuation
            } else {
                Role::Data
            },
            text: text.to_owned(),
        };
        Line {
            indent: 0,
            spans: texts.split(' ').map(span).collect(),
        }
    }

    fn exhibit(lines: &[&str], details: &[&str]) -> Exhibit {
        Exhibit {
            title: spans("PUT /config"),
            lines: lines.iter().map(|line| spans(line)).collect(),
            details: vec![Field {
                label: "headers".to_owned(),
                lines: details.iter().map(|line| spans(line)).collect(),
            }],
        }
    }

    /// What is marked, and how much is gone.
    fn marked(before: &Exhibit, now: &Exhibit) -> Option<(Vec<String>, u32)> {
        let before = Approved {
            likeness: Digest::of(b""),
            at: 1,
            parts: parts(before).into_iter().map(|(_, part)| part).collect(),
        };
        let since = compared(&before, now)?;
        let lines = now.details.iter().flat_map(|field| &field.lines);
        let all: Vec<&Span> = std::iter::once(&now.title)
            .chain(&now.lines)
            .chain(lines)
            .flat_map(|line| &line.spans)
            .collect();
        let texts = since.fresh.iter().map(|(from, to)| {
            let texts = all[*from as usize..*to as usize].iter();
            texts
                .map(|span| span.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        });
        Some((texts.collect(), since.gone))
    }

    #[test]
    fn what_it_did_not_have_is_marked_and_what_is_missing_is_counted() {
        let before = exhibit(
            &["1 deployctl", "2 --service=shop", "3 --canary"],
            &["trace a"],
        );
        for (lines, details, fresh, gone) in [
            (
                vec!["1 deployctl", "2 --service=shop", "3 --canary"],
                "trace a",
                vec![],
                0,
            ),
            // The numbers of the lines moved, and nothing else.
            (
                vec!["1 deployctl", "2 --force", "3 --service=shop", "4 --canary"],
                "trace a",
                vec!["--force"],
                0,
            ),
            (
                vec!["1 deployctl", "2 --service=shop"],
                "trace a",
                vec![],
                1,
            ),
            (
                vec!["1 deployctl", "2 --service=shop", "3 --canary"],
                "trace b",
                vec!["b"],
                1,
            ),
            // The same words in another order are not the same.
            (
                vec!["1 --service=shop", "2 deployctl", "3 --canary"],
                "trace a",
                vec!["deployctl"],
                1,
            ),
            // An empty line.
            (
                vec!["1 deployctl", "2", "3 --service=shop", "4 --canary"],
                "trace a",
                vec!["2"],
                0,
            ),
            // Two lines in one.
            (
                vec!["1 deployctl", "2 --service=shop --canary"],
                "trace a",
                vec!["--canary"],
                1,
            ),
        ] {
            let fresh = fresh.into_iter().map(str::to_owned).collect();
            let now = exhibit(&lines, &[details]);
            assert_eq!(marked(&before, &now), Some((fresh, gone)), "{lines:?}");
        }
    }

    #[test]
    fn what_somebody_else_asks_for_on_their_behalf_is_not_alike() {
        let asked = |kind: &str, act: serde_json::Value, note: &str| {
            let operation = Operation::build(json!({
                "subject": { "type": kind, "id": "https://op.example|mara", "properties": { "act": act } },
                "action": { "name": "deploy", "properties": { "note": note } },
                "resource": { "type": "service", "id": "shop" },
                "context": { "pep": "ci", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" },
            }));
            likeness(&operation.unwrap())
        };
        let agent = |sub: &str| json!({ "iss": "https://agents.example", "sub": sub });
        let by_agent = asked("user", agent("ops-7"), "one");
        assert_eq!(by_agent, asked("user", agent("ops-7"), "two"));
        assert_ne!(by_agent, asked("user", agent("ops-8"), "one"));
        assert_ne!(by_agent, asked("agent", agent("ops-7"), "one"));
        let in_person = Operation::build(json!({
            "subject": { "type": "user", "id": "https://op.example|mara" },
            "action": { "name": "deploy", "properties": { "note": "one" } },
            "resource": { "type": "service", "id": "shop" },
            "context": { "pep": "ci", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" },
        }));
        assert_ne!(by_agent, likeness(&in_person.unwrap()));
    }

    #[test]
    fn what_has_little_in_common_is_not_compared() {
        let before = exhibit(&["1 DELETE customers", "2 WHERE 42"], &[]);
        let other = exhibit(&["1 UPDATE a", "2 b", "3 c", "4 d e f g h i j k"], &[]);
        assert_eq!(marked(&before, &other), None);
        // Most of it is missing, and all that is left was there.
        let long = exhibit(
            &["1 DELETE customers", "2 WHERE 42", "3 AND b", "4 AND c"],
            &["trace a"],
        );
        let short = exhibit(&["1 DELETE customers"], &[]);
        assert_eq!(marked(&long, &short), None);
    }

    #[test]
    fn a_long_one_is_compared_as_far_as_it_is_cheap_and_never_called_the_same() {
        let line = |n: usize| format!("x{n}");
        let many = |texts: Vec<String>| {
            exhibit(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[])
        };
        let before = many((0..1_500).map(line).collect());
        let mut texts: Vec<String> = (0..1_500).map(line).collect();
        texts[700] = "y".to_owned();
        assert_eq!(
            marked(&before, &many(texts.clone())),
            Some((vec!["y".to_owned()], 1))
        );
        // What lies between the first change and the last is too much: all of it is marked.
        texts[200] = "y".to_owned();
        let (fresh, gone) = marked(&before, &many(texts)).unwrap();
        assert_eq!((fresh.len(), gone), (1, 501));
        // More than is kept.
        let most = many((0..MAX_PARTS).map(line).collect());
        assert_eq!(marked(&most, &most), None);
    }

    #[test]
    fn what_is_the_same_to_the_eye_is_the_same_part_and_nothing_else_is() {
        let part = |place: &str, first: bool, role, text: &str| {
            let other = Span {
                role: Role::Data,
                text: "a".to_owned(),
            };
            let span = Span {
                role,
                text: text.to_owned(),
            };
            let line = Line {
                indent: 0,
                spans: if first { vec![span] } else { vec![other, span] },
            };
            of_line(place, &line).last().flatten()
        };
        let one = part("lines", true, Role::Data, "U+202E RLO");
        assert_ne!(one, part("lines", true, Role::Chip, "U+202E RLO"));
        assert_ne!(one, part("lines", false, Role::Data, "U+202E RLO"));
        assert_ne!(one, part("title", true, Role::Data, "U+202E RLO"));
        // A number is one of a line only at its beginning.
        let number = |first, text| part("lines", first, Role::Punctuation, text);
        assert_eq!(number(true, " 9  "), number(true, "10  "));
        assert_ne!(number(false, "9"), number(false, "10"));
        assert!(number(true, "9").is_some(), "an empty line is a line");
    }
}

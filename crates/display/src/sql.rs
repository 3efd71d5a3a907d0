//! A statement of SQL as an exhibit: highlighted, with the bound values in their places, and the
//! gate's preview of what it would touch. Its members are in `docs/spec/operation.md`.
//!
//! The lexer gives a look and nothing else. An operation whose members have other types than these is no statement for
//! this crate: then all of it is a tree.

use std::collections::BTreeSet;

use countersign_model::Operation;
use serde_json::{Map, Value};

use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::exhibit::{Apart, Properties, properties, rest_fields, value_spans};
use crate::lexer::{Token, tokens};
use crate::text::wrap;
use crate::visible::{Edges, Shown, shown};

/// A statement, its bound values and its preview.
pub(crate) struct Sql<'a> {
    statement: &'a str,
    parameters: Vec<(&'a str, Option<&'a str>)>,
    preview: Option<Preview<'a>>,
    rest: Map<String, Value>,
}

/// What it would touch, as the gate found.
struct Preview<'a> {
    /// It was run and rolled back; else it was estimated.
    tried: bool,
    rows: u64,
    of: Option<u64>,
    cascade: Vec<(&'a str, u64)>,
}

impl<'a> Sql<'a> {
    /// Reads the members; none where the operation is no statement, or has members of other types.
    pub(crate) fn read(operation: &'a Operation) -> Option<Self> {
        let Properties { all: known, rest } =
            properties(operation, "sql", &["statement", "parameters", "preview"])?;
        Some(Self {
            statement: known.get("statement")?.as_str()?,
            parameters: match known.get("parameters") {
                None => Vec::new(),
                Some(all) => all
                    .as_array()?
                    .iter()
                    .map(parameter)
                    .collect::<Option<_>>()?,
            },
            preview: match known.get("preview") {
                None => None,
                Some(preview) => Some(Preview::read(preview)?),
            },
            rest,
        })
    }

    /// The exhibit, and how many characters of the statement were made visible.
    pub(crate) fn exhibit(&self, operation: &Operation) -> (Exhibit, Apart) {
        let mut placed = BTreeSet::new();
        let (lines, made_visible) = self.lines(&mut placed);
        let mut details = Vec::new();
        // Those that stand in no place of the statement: nothing is left out.
        let unplaced = self
            .parameters
            .iter()
            .enumerate()
            .filter(|(at, _)| !placed.contains(at));
        let unplaced: Vec<Line> = unplaced
            .flat_map(|(at, parameter)| {
                let mut spans = vec![Span::new(Role::Value, format!("${}", at + 1))];
                spans.extend(bound(*parameter));
                wrap(Line { indent: 0, spans })
            })
            .collect();
        if !unplaced.is_empty() {
            details.push(Field::new("parameters", unplaced));
        }
        if let Some(preview) = &self.preview {
            details.push(Field::new("preview", preview.lines()));
        }
        details.extend(rest_fields(operation, &self.rest));
        let exhibit = Exhibit {
            title: Line::default(),
            lines,
            details,
        };
        let apart = Apart {
            pointer: "/action/properties/statement",
            made_visible,
        };
        (exhibit, apart)
    }

    /// The lines, and which parameters stand in them, by their index.
    fn lines(&self, placed: &mut BTreeSet<usize>) -> (Vec<Line>, u32) {
        let mut lines = Vec::new();
        let mut line = Line::default();
        let mut made_visible = 0;
        let tokens = tokens(self.statement);
        // What a name comes after: `FROM customers`.
        let mut names = false;
        for (at, (token, text)) in tokens.iter().copied().enumerate() {
            let next = tokens.get(at + 1).map(|(token, _)| *token);
            let (role, edges) = match token {
                Token::Break => {
                    lines.extend(wrap(std::mem::take(&mut line)));
                    continue;
                }
                // Spaces at a line's end are made visible, as in every text.
                Token::Space if matches!(next, None | Some(Token::Break)) => {
                    (Role::Data, Edges::Both)
                }
                Token::Space => (Role::Data, Edges::Quoted),
                Token::Word | Token::Quoted if names && !is(text, BETWEEN) => {
                    names = false;
                    (Role::Name, Edges::Quoted)
                }
                Token::Word => {
                    names |= is(text, BEFORE_NAME);
                    (word_role(text), Edges::Quoted)
                }
                Token::Quoted => (Role::Data, Edges::Quoted),
                Token::Parameter(number) => {
                    line.spans.push(Span::new(Role::Value, text));
                    let index = number.wrapping_sub(1) as usize;
                    match self.parameters.get(index) {
                        Some(parameter) => {
                            placed.insert(index);
                            line.spans.extend(bound(*parameter));
                        }
                        None => line.spans.push(Span::new(Role::Ours, " (not bound)")),
                    }
                    continue;
                }
                Token::Literal | Token::Comment => {
                    names = false;
                    (
                        Role::Data,
                        if next == Some(Token::Break) {
                            Edges::End
                        } else {
                            Edges::Quoted
                        },
                    )
                }
                Token::Mark => {
                    // A name goes on behind its schema, and nowhere else.
                    names = text == "."
                        && line
                            .spans
                            .last()
                            .is_some_and(|span| span.role == Role::Name);
                    (
                        if names { Role::Name } else { Role::Punctuation },
                        Edges::Quoted,
                    )
                }
            };
            let Shown {
                spans,
                made_visible: count,
            } = shown(text, role, edges);
            made_visible += count;
            line.spans.extend(spans);
        }
        lines.extend(wrap(line));
        (lines, made_visible)
    }
}

/// ` text 'tenant-0417'`, or ` text NULL`: its type and its value.
fn bound((kind, value): (&str, Option<&str>)) -> Vec<Span> {
    // The type is the gate's word for it, in the quiet look of ours; what hides in it still shows.
    let mut spans = if !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_graphic()) {
        vec![Span::new(Role::Ours, format!(" {kind} "))]
    } else {
        let mut spans = vec![Span::new(Role::Ours, " ")];
        spans.extend(shown(kind, Role::Ours, Edges::Both).spans);
        spans.push(Span::new(Role::Ours, " "));
        spans
    };
    match value {
        None => spans.push(Span::new(Role::Value, "NULL")),
        Some(text) => {
            let quoted = format!("'{}'", text.replace('\'', "''"));
            spans.extend(shown(&quoted, Role::Value, Edges::Quoted).spans);
        }
    }
    spans
}

fn parameter(value: &Value) -> Option<(&str, Option<&str>)> {
    match value.as_array()?.as_slice() {
        [kind, Value::Null] => Some((kind.as_str()?, None)),
        [kind, value] => Some((kind.as_str()?, Some(value.as_str()?))),
        _ => None,
    }
}

impl<'a> Preview<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        let preview = value.as_object()?;
        let known = ["how", "rows", "of", "cascade"];
        if preview.keys().any(|name| !known.contains(&name.as_str())) {
            return None;
        }
        Some(Self {
            tried: match preview.get("how")?.as_str()? {
                "rolled_back" => true,
                "estimated" => false,
                _ => return None,
            },
            rows: preview.get("rows")?.as_u64()?,
            of: match preview.get("of") {
                None => None,
                Some(of) => Some(of.as_u64()?),
            },
            cascade: match preview.get("cascade") {
                None => Vec::new(),
                Some(all) => all
                    .as_array()?
                    .iter()
                    .map(|each| match each.as_array()?.as_slice() {
                        [table, rows] => Some((table.as_str()?, rows.as_u64()?)),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            },
        })
    }

    fn lines(&self) -> Vec<Line> {
        let ours = |text: &str| Span::new(Role::Ours, text);
        let number = |count: u64| Span::new(Role::Value, count.to_string());
        let mut spans = vec![
            ours(if self.tried {
                "Run and rolled back: "
            } else {
                "Estimated, not run: "
            }),
            number(self.rows),
        ];
        if let Some(of) = self.of {
            spans.extend([ours(" of "), number(of)]);
        }
        spans.push(ours(if self.rows == 1 && self.of.is_none() {
            " row"
        } else {
            " rows"
        }));
        let mut lines = vec![Line { indent: 0, spans }];
        for (table, rows) in &self.cascade {
            let mut spans = vec![ours("and by cascade "), number(*rows), ours(" in ")];
            spans.extend(value_spans(table, Role::Name));
            lines.push(Line { indent: 0, spans });
        }
        lines.into_iter().flat_map(wrap).collect()
    }
}

/// Verbs that write, destroy, or let others do so: red on the card.
const WRITES: &str = "\
    ALTER CALL CLUSTER COPY CREATE DELETE DO DROP EXECUTE GRANT IMPORT INSERT LOCK MERGE REASSIGN REFRESH REINDEX \
    REVOKE SECURITY TRUNCATE UPDATE VACUUM";
/// The other words of the language that are most seen.
const WORDS: &str = "\
    ADD ALL ALWAYS AND ANY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST COLUMN COMMIT CONFLICT CONSTRAINT CROSS DEFAULT \
    DESC DISTINCT ELSE END EXCEPT EXISTS FALSE FETCH FOR FOREIGN FROM FULL FUNCTION GROUP HAVING IF ILIKE IN INDEX \
    INNER INTERSECT INTO IS JOIN KEY LEFT LIKE LIMIT NOT NOTHING NULL OFFSET ON ONLY OR ORDER OUTER OVER PARTITION \
    PRIMARY REFERENCES RESTRICT RETURNING RIGHT ROLE ROLLBACK SELECT SET TABLE THEN TO TRUE UNION USING VALUES WHEN \
    WHERE WITH";
/// A name comes after these.
const BEFORE_NAME: &str = "FROM INTO JOIN TABLE TRUNCATE UPDATE";
/// What may stand between such a word and the name.
const BETWEEN: &str = "IF NOT EXISTS ONLY TABLE OF LATERAL";

fn is(text: &str, words: &str) -> bool {
    words.split(' ').any(|word| text.eq_ignore_ascii_case(word))
}

fn word_role(text: &str) -> Role {
    if is(text, WRITES) {
        Role::Verb
    } else if is(text, WORDS) {
        Role::Key
    } else {
        Role::Data
    }
}

//! Texts of several lines, and long lines.
//!
//! A line longer than [`WIDTH`] goes on in the next one, which begins with `↪`; nothing is ever cut. `↪` and
//! the line numbers are ours: from outside neither can come at that place (a literal `↪` is a chip, and a
//! numbered text numbers all its lines), so what is one line can always be told from what is two.

use crate::document::{CONTINUES, Line, Role, Span};
use crate::visible::{Edges, Shown, shown};

/// Characters in a line before it goes on in the next.
pub(crate) const WIDTH: usize = 160;

/// Whether lines carry their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `1  first line`.
    Shown,
    /// None.
    Hidden,
}

/// Lines, and how many characters were made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    pub(crate) made_visible: u32,
}

/// A text of several lines, divided at LF. Every other character, CR too, is in a line.
pub(crate) fn lines(text: &str, role: Role, numbers: Numbers) -> Lines {
    let mut all = Lines::default();
    let count = text.split('\n').count();
    let digits = count.to_string().len();
    for (at, part) in text.split('\n').enumerate() {
        let Shown {
            spans,
            made_visible,
        } = shown(part, role, Edges::End);
        all.made_visible += made_visible;
        let mut line = Line { indent: 0, spans };
        if numbers == Numbers::Shown {
            line.spans.insert(
                0,
                Span::new(Role::Punctuation, format!("{:>digits$}  ", at + 1)),
            );
        }
        if numbers == Numbers::Shown && part.is_empty() && at + 1 == count {
            line.spans
                .push(Span::new(Role::Ours, "(nothing after the last line break)"));
        }
        all.lines.extend(wrap(line));
    }
    all
}

/// A long line as several.
pub(crate) fn wrap(line: Line) -> Vec<Line> {
    let length: usize = line
        .spans
        .iter()
        .map(|span| span.text.chars().count())
        .sum();
    if length <= WIDTH {
        return vec![line];
    }
    let indent = line.indent;
    let mut wrapped = Vec::new();
    let mut current = Line {
        indent,
        spans: Vec::new(),
    };
    let mut room = WIDTH;
    let next_line = |current: &mut Line, wrapped: &mut Vec<Line>| {
        let continued = Line {
            indent,
            spans: vec![Span::new(Role::Punctuation, format!("{CONTINUES} "))],
        };
        wrapped.push(std::mem::replace(current, continued));
    };
    for span in line.spans {
        let whole = matches!(span.role, Role::Chip | Role::Confusable);
        let length = span.text.chars().count();
        if length <= room {
            room -= length;
            current.spans.push(span);
        } else if whole {
            // A chip is not divided. It is short, but for look-alikes without end.
            next_line(&mut current, &mut wrapped);
            room = WIDTH.saturating_sub(length);
            current.spans.push(span);
        } else {
            let mut rest = span.text.as_str();
            while !rest.is_empty() {
                let at = break_at(rest, room);
                if at > 0 {
                    current.spans.push(Span::new(span.role, &rest[..at]));
                    room -= rest[..at].chars().count();
                }
                rest = &rest[at..];
                if !rest.is_empty() {
                    next_line(&mut current, &mut wrapped);
                    room = WIDTH;
                }
            }
        }
    }
    wrapped.push(current);
    wrapped
}

/// Where to divide, so that at most `room` characters come before: after a space where one is near the end,
/// never between a letter and its marks.
fn break_at(text: &str, room: usize) -> usize {
    let Some((hard, _)) = text.char_indices().nth(room) else {
        return text.len();
    };
    let head = &text[..hard];
    if let Some(space) = head.rfind(' ') {
        let left_over = head[space..].chars().count();
        if left_over <= room / 4 {
            return space + 1;
        }
    }
    let is_mark = unicode_normalization::char::is_combining_mark;
    let mut at = hard;
    while text[at..].starts_with(is_mark) {
        match text[..at].char_indices().next_back() {
            Some((before, _)) if before > 0 => at = before,
            // Nothing but marks: at most four stand on a letter, so this is not reached from `shown`.
            _ => return hard,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visible::safe_line;

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::plain_text).collect()
    }

    #[test]
    fn a_long_line_goes_on_and_nothing_is_lost() {
        let text: String = ('a'..='z').cycle().take(1_000).collect();
        let wrapped = plain(&wrap(safe_line(&text, Role::Data)));
        assert_eq!(wrapped.len(), 7);
        assert!(wrapped[1..].iter().all(|line| line.starts_with("↪ ")));
        let joined: String = wrapped
            .iter()
            .map(|line| line.trim_start_matches("↪ "))
            .collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn it_is_divided_after_a_space_where_one_is_near() {
        let text = "word ".repeat(50);
        let wrapped = plain(&wrap(safe_line(text.trim_end(), Role::Data)));
        assert!(wrapped[0].ends_with("word "));
        assert_eq!(wrapped.len(), 2);
    }

    #[test]
    fn a_letter_keeps_its_marks() {
        let text = format!("{}z\u{336}\u{337}{}", "a".repeat(WIDTH - 2), "b".repeat(10));
        let wrapped = plain(&wrap(safe_line(&text, Role::Data)));
        assert!(wrapped[1].starts_with("↪ z\u{336}\u{337}b"), "{wrapped:?}");
    }

    #[test]
    fn numbered_lines_tell_a_line_break_from_a_long_line() {
        let shown = lines("one\n  two \r\n\n", Role::Data, Numbers::Shown);
        assert_eq!(
            plain(&shown.lines),
            [
                "1  one",
                "2    two ⟦U+000D CR⟧",
                "3  ",
                "4  (nothing after the last line break)",
            ]
        );
        assert_eq!(shown.made_visible, 1);
    }
}

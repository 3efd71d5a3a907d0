//! Text for the places that can show nothing better than a string, notification and tray menu: lines of spans as one
//! string, and what the agent itself says ([`catalogue`]).

pub mod catalogue;

use countersign_api::ipc::{Line, Role};

/// The line as plain text. A character that was made visible, or that looks like one of another script, stands in angle
/// brackets, so that its name cannot be taken for text of the line.
#[must_use]
pub fn plain(line: &Line) -> String {
    let mut text = String::new();
    for span in &line.spans {
        match span.role {
            Role::Chip | Role::Confusable => {
                text.push('⟨');
                text.push_str(&span.text);
                text.push('⟩');
            }
            Role::Ours
            | Role::Data
            | Role::Name
            | Role::Verb
            | Role::Value
            | Role::Key
            | Role::Punctuation => text.push_str(&span.text),
        }
    }
    text
}

/// Text from outside, so that writing from right to left in it cannot reorder what stands beside it.
#[must_use]
pub fn isolated(text: &str) -> String {
    let turns = |c: char| matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x1_0800..=0x1_0fff | 0x1_e800..=0x1_efff);
    if text.contains(turns) {
        format!("\u{2068}{text}\u{2069}")
    } else {
        text.to_owned()
    }
}

/// Cuts to at most `max_chars` characters, the last of which is then an ellipsis.
#[must_use]
pub fn shorten(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::Span;

    use super::*;

    #[test]
    fn a_chip_cannot_pass_for_text() {
        let line = Line {
            indent: 0,
            spans: vec![
                Span {
                    role: Role::Data,
                    text: "a".into(),
                },
                Span {
                    role: Role::Chip,
                    text: "U+202E RLO".into(),
                },
                Span {
                    role: Role::Confusable,
                    text: "Cyrillic а".into(),
                },
            ],
        };
        assert_eq!(plain(&line), "a⟨U+202E RLO⟩⟨Cyrillic а⟩");
    }

    #[test]
    fn what_is_written_from_right_to_left_keeps_to_itself() {
        assert_eq!(isolated("orders-api"), "orders-api");
        assert_eq!(isolated("מרה"), "\u{2068}מרה\u{2069}");
    }

    #[test]
    fn shortening_says_so() {
        assert_eq!(shorten("abcd", 4), "abcd");
        assert_eq!(shorten("abcde", 4), "abc…");
    }
}

//! Lines of spans as one string, for the places that can show nothing better: notification and tray menu.

use countersign_api::ipc::{Line, Role};

/// The line as plain text. A character that was made visible stands in angle brackets, so that its name cannot be
/// taken for text of the line.
#[must_use]
pub fn plain(line: &Line) -> String {
    let mut text = String::new();
    for span in &line.spans {
        match span.role {
            Role::Chip => {
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
            | Role::Punctuation
            | Role::Confusable => text.push_str(&span.text),
        }
    }
    text
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

/// How long is left, as people say it.
#[must_use]
pub fn time_left(secs: i64) -> String {
    let minutes = secs / 60;
    match secs {
        ..=0 => "time is over".to_owned(),
        1..=59 => "less than a minute left".to_owned(),
        60..=119 => "1 minute left".to_owned(),
        120..=7199 => format!("{minutes} minutes left"),
        _ => format!("{} hours left", minutes / 60),
    }
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
                    text: "а".into(),
                },
            ],
        };
        assert_eq!(plain(&line), "a⟨U+202E RLO⟩а");
    }

    #[test]
    fn shortening_says_so() {
        assert_eq!(shorten("abcd", 4), "abcd");
        assert_eq!(shorten("abcde", 4), "abc…");
    }

    #[test]
    fn time_is_said_as_people_say_it() {
        let said: Vec<String> = [-3, 0, 1, 59, 60, 119, 120, 599, 7199, 7200]
            .map(time_left)
            .into();
        assert_eq!(
            said,
            [
                "time is over",
                "time is over",
                "less than a minute left",
                "less than a minute left",
                "1 minute left",
                "1 minute left",
                "2 minutes left",
                "9 minutes left",
                "119 minutes left",
                "2 hours left"
            ]
        );
    }
}

//! Text on a terminal. What comes from outside is shown with every character that hides or steers made visible:
//! no escape sequence of a requester reaches the terminal.

use countersign_api::ipc;
use countersign_display::{Role, safe_line};

/// Text from outside, fit for a terminal.
pub(crate) fn safe(text: &str) -> String {
    let line = safe_line(text, Role::Data);
    line.spans
        .iter()
        .map(|span| shown(span.role == Role::Chip, &span.text))
        .collect()
}

/// A line that the approver library has made visible already.
pub(crate) fn line(line: &ipc::Line) -> String {
    let mut text = "  ".repeat(usize::from(line.indent));
    for span in &line.spans {
        text.push_str(&shown(span.role == ipc::Role::Chip, &span.text));
    }
    // The library has replaced them; this terminal does not rely on it.
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn shown(chip: bool, text: &str) -> String {
    if chip {
        format!("‹{text}›")
    } else {
        text.to_owned()
    }
}

/// `1 h 02 min`, `9 min`, `42 s`.
pub(crate) fn duration(secs: i64) -> String {
    match secs {
        ..=0 => "no time".to_owned(),
        1..=90 => format!("{secs} s"),
        91..=3599 => format!("{} min", (secs + 30) / 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_bidi_controls_become_visible() {
        let text = safe("a\u{1b}[2Jb\u{202e}c\r\nd");
        assert!(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
        assert!(
            text.contains('‹') && text.contains('a') && text.contains('d'),
            "{text}"
        );
    }

    #[test]
    fn a_line_of_another_process_cannot_steer_the_terminal() {
        let span = ipc::Span {
            role: ipc::Role::Data,
            text: "x\u{1b}[31m".to_owned(),
        };
        let chip = ipc::Span {
            role: ipc::Role::Chip,
            text: "U+202E RLO".to_owned(),
        };
        let text = line(&ipc::Line {
            indent: 1,
            spans: vec![span, chip],
        });
        assert_eq!(text, "  x\u{fffd}[31m‹U+202E RLO›");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(-4), "no time");
        assert_eq!(duration(42), "42 s");
        assert_eq!(duration(540), "9 min");
        assert_eq!(duration(3720), "1 h 02 min");
    }
}

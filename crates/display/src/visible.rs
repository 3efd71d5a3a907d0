//! Text from outside, made safe to look at: every character that hides, deceives or rearranges its
//! neighbors becomes a chip that names it; letters that pass for others carry their script's name.
//!
//! What becomes a chip: controls (C0, C1, DEL), everything default-ignorable (bidi controls, zero-width,
//! variation selectors, tags, soft hyphen, fillers), line and paragraph separators, non-ASCII spaces,
//! unassigned and private-use characters, a combining mark without a letter to stand on, or beyond the
//! fourth on one letter, or one that a precomposed letter exists for (two spellings that look the same), and
//! the three characters that this crate itself writes with. A run of one character is one chip with a count.
//!
//! The mapping is injective: with chips set off (by their look, or by `⟦⟧` in plain text), two different
//! texts never look the same. Runs of right-to-left letters are spans of their own, so that a window which
//! isolates each span shows the order of values as it is.

use unicode_normalization::char::{compose, is_combining_mark};
use unicode_security::GeneralSecurityProfile;
use unicode_security::general_security_profile::IdentifierType;

use crate::document::{CHIP_CLOSES, CHIP_OPENS, CONTINUES, Line, Role, Span};
use crate::letters::{is_right_to_left, lookalikes, script_name};
use crate::names::{chip, code_point, unassigned};

/// Marks that one letter may carry. Vietnamese and Hebrew need up to three.
const MAX_MARKS: usize = 4;

/// After so many bytes of look-alikes the name of their script stands again: a line has to fit somewhere.
const MAX_LETTERS_BYTES: usize = 64;

/// Whether spaces at the edges of a text are made visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// Both edges: a value that stands alone.
    Both,
    /// The end only: a line of a longer text, whose indentation speaks.
    End,
    /// Neither: quotes show where the text ends.
    Quoted,
}

/// Spans, and how many characters of the text were made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) spans: Vec<Span>,
    pub(crate) made_visible: u32,
}

/// A text from outside as one line: a line break in it becomes a chip too.
pub fn safe_line(text: &str, role: Role) -> Line {
    Line {
        indent: 0,
        spans: shown(text, role, Edges::Both).spans,
    }
}

/// How many characters of a text are made visible when it is shown as one line.
pub fn count_made_visible(text: &str) -> u32 {
    shown(text, Role::Data, Edges::Both).made_visible
}

/// Makes a text visible.
pub(crate) fn shown(text: &str, role: Role, edges: Edges) -> Shown {
    let plain = |c: char| matches!(c, '!'..='~');
    if !text.is_empty() && text.chars().all(plain) {
        return Shown {
            spans: vec![Span::new(role, text)],
            made_visible: 0,
        };
    }
    let chars: Vec<char> = text.chars().collect();
    let marks = lookalikes(text);
    let (inner_from, inner_to) = inner(&chars, edges);
    let mut writer = Writer::new(role);
    for (at, c) in chars.iter().copied().enumerate() {
        if !(inner_from..inner_to).contains(&at) || hides(c) || !writer.can_carry(c) {
            writer.chip(c);
        } else if marks.get(at).copied().unwrap_or(false) {
            writer.confusable(c);
        } else {
            let right_to_left = is_right_to_left(c)
                || (writer.right_to_left && (is_combining_mark(c) || joins(&chars[at..])));
            writer.data(c, right_to_left);
        }
    }
    writer.finish()
}

/// Without the spaces at the edges that have to be seen.
fn inner(chars: &[char], edges: Edges) -> (usize, usize) {
    let is_space = |c: &&char| **c == ' ';
    let leading = chars.iter().take_while(is_space).count();
    let trailing = chars.iter().rev().take_while(is_space).count();
    match edges {
        Edges::Quoted => (0, chars.len()),
        Edges::End => (0, chars.len() - trailing),
        // Nothing but spaces: all of them.
        Edges::Both if leading == chars.len() => (0, 0),
        Edges::Both => (leading, chars.len() - trailing),
    }
}

/// A space between two right-to-left words belongs to them.
fn joins(rest: &[char]) -> bool {
    matches!(rest, [' ', next, ..] if is_right_to_left(*next))
}

/// Whether a character is never shown as itself.
fn hides(c: char) -> bool {
    if matches!(c, ' '..='~') {
        return false;
    }
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, CHIP_OPENS | CHIP_CLOSES | CONTINUES)
        || matches!(
            c.identifier_type(),
            Some(IdentifierType::Default_Ignorable | IdentifierType::Deprecated)
        )
        || matches!(u32::from(c),
            // Belt and braces over the table: what it may file under another type.
            0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF
            | 0xFFA0 | 0xFFF0..=0xFFFD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF)
        || unassigned(c)
}

/// Puts characters together to spans.
struct Writer {
    role: Role,
    shown: Shown,
    right_to_left: bool,
    /// The last character, where it can carry marks, and how many it carries.
    carrier: Option<(char, usize)>,
    /// The character whose chip is the last span, and how often it stands there.
    run: Option<(char, usize)>,
}

impl Writer {
    fn new(role: Role) -> Self {
        Self {
            role,
            shown: Shown::default(),
            right_to_left: false,
            carrier: None,
            run: None,
        }
    }

    /// Whether a mark has something to stand on. What is no mark always has.
    fn can_carry(&self, c: char) -> bool {
        if c.is_ascii() || !is_combining_mark(c) {
            return true;
        }
        match self.carrier {
            None => false,
            Some((letter, 0)) => compose(letter, c).is_none(),
            Some((_, marks)) => marks < MAX_MARKS,
        }
    }

    fn chip(&mut self, c: char) {
        self.carrier = None;
        // A space at an edge has to be seen, and deceives nobody.
        self.shown.made_visible += u32::from(c != ' ');
        match &mut self.run {
            Some((same, count)) if *same == c => {
                *count += 1;
                let text = format!("{} ×{count}", chip(c));
                if let Some(last) = self.shown.spans.last_mut() {
                    last.text = text;
                }
            }
            _ => {
                self.run = Some((c, 1));
                self.shown.spans.push(Span::new(Role::Chip, chip(c)));
            }
        }
    }

    fn confusable(&mut self, c: char) {
        self.run = None;
        self.carrier = None;
        self.shown.made_visible += 1;
        match script_name(c) {
            // Neighbors of one script share one name: `Cyrillic ра`.
            Some(script) => match self.shown.spans.last_mut() {
                Some(last)
                    if last.role == Role::Confusable
                        && last.text.len() < MAX_LETTERS_BYTES
                        && last.text.starts_with(&format!("{script} ")) =>
                {
                    last.text.push(c);
                }
                _ => self
                    .shown
                    .spans
                    .push(Span::new(Role::Confusable, format!("{script} {c}"))),
            },
            None => self.shown.spans.push(Span::new(
                Role::Confusable,
                format!("{} {c}", code_point(c)),
            )),
        }
    }

    fn data(&mut self, c: char, right_to_left: bool) {
        self.run = None;
        self.carrier = match self.carrier {
            Some((letter, marks)) if is_combining_mark(c) => Some((letter, marks + 1)),
            _ => c.is_alphanumeric().then_some((c, 0)),
        };
        let turns = self.right_to_left != right_to_left;
        self.right_to_left = right_to_left;
        match self.shown.spans.last_mut() {
            Some(last) if last.role == self.role && !turns => last.text.push(c),
            _ => self.shown.spans.push(Span::new(self.role, c)),
        }
    }

    fn finish(self) -> Shown {
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As plain text.
    fn plain(text: &str) -> String {
        safe_line(text, Role::Data).plain_text()
    }

    #[test]
    fn what_hides_or_rearranges_is_named() {
        for (text, expected) in [
            ("a\0b", "a⟦U+0000 NUL⟧b"),
            ("a\nb", "a⟦U+000A LF⟧b"),
            ("a\r\tb", "a⟦U+000D CR⟧⟦U+0009 TAB⟧b"),
            ("\u{1b}[31m", "⟦U+001B ESC⟧[31m"),
            ("\u{7f}\u{9b}x", "⟦U+007F DEL⟧⟦U+009B CSI⟧x"),
            ("Anders\u{202e}nossel", "Anders⟦U+202E RLO⟧nossel"),
            ("\u{2066}x\u{2069}", "⟦U+2066 LRI⟧x⟦U+2069 PDI⟧"),
            (
                "\u{61c}\u{200e}\u{200f}",
                "⟦U+061C ALM⟧⟦U+200E LRM⟧⟦U+200F RLM⟧",
            ),
            ("p\u{200b}elle", "p⟦U+200B ZWSP⟧elle"),
            (
                "a\u{200d}\u{200c}\u{2060}\u{feff}b",
                "a⟦U+200D ZWJ⟧⟦U+200C ZWNJ⟧⟦U+2060 WJ⟧⟦U+FEFF BOM⟧b",
            ),
            ("so\u{ad}ft", "so⟦U+00AD SHY⟧ft"),
            ("\u{2764}\u{fe0f}", "❤⟦U+FE0F VS16⟧"),
            ("x\u{e0100}", "x⟦U+E0100 VS17⟧"),
            (
                "x\u{e0041}\u{e0020}\u{e007f}",
                "x⟦U+E0041 tag A⟧⟦U+E0020 tag SP⟧⟦U+E007F cancel tag⟧",
            ),
            (
                "a\u{2028}\u{2029}b",
                "a⟦U+2028 line separator⟧⟦U+2029 paragraph separator⟧b",
            ),
            (
                "\u{e000}\u{f8ff}",
                "⟦U+E000 private use⟧⟦U+F8FF private use⟧",
            ),
            ("\u{378}", "⟦U+0378 unassigned⟧"),
            (
                "a\u{a0}b\u{3000}c",
                "a⟦U+00A0 NBSP⟧b⟦U+3000 ideographic space⟧c",
            ),
            (
                "\u{3164}\u{2800}",
                "⟦U+3164 Hangul filler⟧⟦U+2800 blank braille⟧",
            ),
            ("\u{2062}", "⟦U+2062 invisible operator⟧"),
            (" a  b ", "⟦U+0020 SP⟧a  b⟦U+0020 SP⟧"),
            ("   ", "⟦U+0020 SP ×3⟧"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_run_of_one_character_is_one_chip_with_its_count() {
        assert_eq!(plain(&"\u{200b}".repeat(60_000)), "⟦U+200B ZWSP ×60000⟧");
        assert_eq!(count_made_visible(&"\u{200b}".repeat(60_000)), 60_000);
    }

    #[test]
    fn marks_need_a_letter_and_stay_few() {
        assert_eq!(plain("\u{301}a"), "⟦U+0301 mark⟧a");
        assert_eq!(plain("=\u{338}"), "=⟦U+0338 mark⟧");
        assert_eq!(plain("\u{200b}\u{301}"), "⟦U+200B ZWSP⟧⟦U+0301 mark⟧");
        // Two spellings of é would look the same.
        assert_eq!(plain("e\u{301}"), "e⟦U+0301 mark⟧");
        assert_eq!(plain("é"), "é");
        let flood = format!("z{}", "\u{336}".repeat(7));
        assert_eq!(
            plain(&flood),
            format!("z{}⟦U+0336 mark ×3⟧", "\u{336}".repeat(4))
        );
    }

    #[test]
    fn a_literal_imitation_of_a_chip_is_told_apart() {
        assert_eq!(plain("U+202E RLO"), "U+202E RLO");
        assert_eq!(
            plain("⟦U+202E RLO⟧"),
            "⟦U+27E6 bracket⟧U+202E RLO⟦U+27E7 bracket⟧"
        );
        assert_eq!(plain("↪ x"), "⟦U+21AA arrow⟧ x");
    }

    #[test]
    fn lookalikes_carry_the_name_of_their_script() {
        assert_eq!(plain("р\u{430}ypal"), "⟦Cyrillic ра⟧ypal");
        assert_eq!(plain("\u{FF41}dmin"), "⟦Fullwidth ａ⟧dmin");
        assert_eq!(plain("\u{1D41A}dmin"), "⟦U+1D41A 𝐚⟧dmin");
        assert_eq!(plain("host\u{2024}example"), "host⟦U+2024 ․⟧example");
    }

    #[test]
    fn honest_names_stay_readable() {
        for name in [
            "محمد علي",
            "דוד",
            "山田太郎",
            "김민수",
            "🦀 Ferris",
            "François Łukasz",
            "Nguyễn Văn Ế",
            "นภา",
        ] {
            let line = safe_line(name, Role::Name);
            assert!(
                line.spans.iter().all(|span| span.role == Role::Name),
                "{name}"
            );
            assert_eq!(line.plain_text(), name);
            assert_eq!(count_made_visible(name), 0);
        }
    }

    #[test]
    fn right_to_left_words_are_spans_of_their_own() {
        let texts = |text| {
            safe_line(text, Role::Data)
                .spans
                .into_iter()
                .map(|span| span.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            texts("id in ('אב', 12, 34)"),
            ["id in ('", "אב", "', 12, 34)"]
        );
        assert_eq!(texts("שלום עולם"), ["שלום עולם"]);
    }
}

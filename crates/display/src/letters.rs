//! Letters that pass for others: which characters of a text belong to another script than their word, or
//! look like ASCII without being it.
//!
//! Over the tables of UTS 39 (`unicode-security`). A text that is honestly written in another script is left
//! alone; what is marked:
//! - a letter of another script inside a word that has Latin letters (`pаypal` with a Cyrillic `а`), save
//!   Chinese, Japanese and Korean letters that look like no ASCII character (`Tシャツ`);
//! - in a word that mixes other scripts, the letters of the rarer ones;
//! - a whole word of a left-to-right script each letter of which passes for ASCII (`сору`), unless the same
//!   text has at least as many words of that script that cannot pass;
//! - digits, mathematical, full-width and phonetic letters, and punctuation, that look like ASCII.
//!
//! It deliberately does not judge ASCII look-alikes (`l`, `1`, `I`): those are a matter of the typeface.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_security::mixed_script::AugmentedScriptSet;
use unicode_security::{GeneralSecurityProfile, skeleton};

/// Punctuation of good typography in many languages. It looks like ASCII, and everybody writes it.
const TYPOGRAPHY: &str = "–—‘’“”‚„‹›«»…·•×°´¨¸";

/// For each character of the text, whether it is one that passes for another. Empty: none is.
pub(crate) fn lookalikes(text: &str) -> Vec<bool> {
    if text.is_ascii() {
        return Vec::new();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut marked = vec![false; chars.len()];
    let has_cjk = chars.iter().any(|c| is_cjk(c.script()));
    let mut whole_words = WholeWords::default();
    let mut at = 0;
    while at < chars.len() {
        let end = at + chars[at..].iter().take_while(|c| in_word(**c)).count();
        if end == at {
            let before = at.checked_sub(1).map(|before| chars[before]);
            marked[at] = punctuation_passes(chars[at], before, has_cjk);
            at += 1;
        } else {
            judge_word(&chars[at..end], at, &mut marked, &mut whole_words);
            at = end;
        }
    }
    whole_words.mark(&mut marked);
    marked
}

/// `Cyrillic ` for its letters, nothing where the script says nothing: then the code point has to.
pub(crate) fn script_name(c: char) -> Option<&'static str> {
    if matches!(c, '\u{FF01}'..='\u{FF5E}') {
        return Some("Fullwidth");
    }
    let says_something = c.script() != Script::Latin && is_of_one_script(c.script());
    says_something.then(|| c.script().full_name())
}

/// Whether a character is written from right to left.
pub(crate) fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c),
        0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF)
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Not one that many scripts share, and not unassigned.
fn is_of_one_script(script: Script) -> bool {
    !matches!(script, Script::Common | Script::Inherited | Script::Unknown)
}

fn is_cjk(script: Script) -> bool {
    matches!(
        script,
        Script::Han | Script::Hiragana | Script::Katakana | Script::Hangul | Script::Bopomofo
    )
}

/// What the characters of ASCII look like that the tables write with several: `m` as `rn`, `"` as `''`.
static ASCII_AS_SEVERAL: LazyLock<Vec<Vec<char>>> = LazyLock::new(|| {
    let looks = ('!'..='~').map(looks_like);
    looks.filter(|looks| looks.len() > 1).collect()
});

/// What it looks like, by the tables.
fn looks_like(c: char) -> Vec<char> {
    skeleton(c.encode_utf8(&mut [0; 4])).collect()
}

/// Whether it looks like a character of ASCII without being one, or is a Latin letter that looks like several (`ﬁ`).
fn passes_for_ascii(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    match looks_like(c).as_slice() {
        [] => false,
        [twin] => twin.is_ascii(),
        several => {
            ASCII_AS_SEVERAL.iter().any(|ascii| ascii == several)
                || (c.script() == Script::Latin && several.iter().all(char::is_ascii))
        }
    }
}

fn punctuation_passes(c: char, before: Option<char>, has_cjk: bool) -> bool {
    // Full-width punctuation is what Chinese and Japanese texts are written with; Hebrew and Arabic have marks of their
    // own behind a letter (`צה״ל`).
    let at_home = (has_cjk && matches!(c, '\u{FF01}'..='\u{FF5E}' | '\u{3000}'..='\u{303F}'))
        || (is_right_to_left(c) && before.is_some_and(is_right_to_left));
    !TYPOGRAPHY.contains(c) && !at_home && passes_for_ascii(c)
}

fn judge_word(word: &[char], at: usize, marked: &mut [bool], whole_words: &mut WholeWords) {
    if word.iter().all(char::is_ascii) {
        return;
    }
    let letters = || word.iter().copied().filter(|c| !is_combining_mark(*c));
    let has_latin =
        letters().any(|c| c.script() == Script::Latin && !matches!(c, '\u{FF01}'..='\u{FF5E}'));
    let has_ascii = letters().any(|c| c.is_ascii_alphanumeric());
    let home = home_script(word);
    for (offset, c) in word.iter().copied().enumerate() {
        if c.is_ascii() {
            continue;
        }
        let script = c.script();
        marked[at + offset] = if is_combining_mark(c) {
            // Some stand beside their letter: behind a Latin one, the sign of another script for a breath is a colon.
            has_ascii && passes_for_ascii(c)
        } else if script == Script::Latin || !is_of_one_script(script) {
            !c.identifier_allowed() && passes_for_ascii(c)
        } else if is_cjk(script) {
            has_ascii && passes_for_ascii(c)
        } else {
            has_latin || (c.is_numeric() && has_ascii) || home.is_some_and(|home| home != script)
        };
    }
    whole_words.note(word, at);
}

/// In a word that mixes scripts, the one that most letters have.
fn home_script(word: &[char]) -> Option<Script> {
    let set = AugmentedScriptSet::for_str(&word.iter().collect::<String>());
    if !set.is_empty() {
        return None;
    }
    let mut counts: BTreeMap<&'static str, (usize, Script)> = BTreeMap::new();
    for script in word.iter().map(UnicodeScript::script) {
        if is_of_one_script(script) {
            counts.entry(script.full_name()).or_insert((0, script)).0 += 1;
        }
    }
    counts
        .values()
        .max_by_key(|(count, _)| *count)
        .map(|(_, script)| *script)
}

/// Words of one script each letter of which passes for ASCII, and how many words of it do not.
#[derive(Default)]
struct WholeWords {
    passing: BTreeMap<&'static str, Vec<std::ops::Range<usize>>>,
    honest: BTreeMap<&'static str, usize>,
}

impl WholeWords {
    fn note(&mut self, word: &[char], at: usize) {
        let letters = || {
            word.iter()
                .copied()
                .filter(|c| !is_combining_mark(*c) && !c.is_ascii_digit())
        };
        let Some(script) = letters().next().map(|c| c.script()) else {
            return;
        };
        let foreign = script != Script::Latin && is_of_one_script(script) && !is_cjk(script);
        if !foreign || letters().any(|c| c.script() != script || is_right_to_left(c)) {
            return;
        }
        if letters().all(passes_for_ascii) {
            self.passing
                .entry(script.full_name())
                .or_default()
                .push(at..at + word.len());
        } else {
            *self.honest.entry(script.full_name()).or_default() += 1;
        }
    }

    fn mark(self, marked: &mut [bool]) {
        for (script, words) in self.passing {
            if self.honest.get(script).copied().unwrap_or(0) < words.len() {
                for word in words {
                    marked[word].fill(true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters that are marked.
    fn marked(text: &str) -> String {
        let marks = lookalikes(text);
        text.chars()
            .zip(marks)
            .filter(|(_, marked)| *marked)
            .map(|(c, _)| c)
            .collect()
    }

    #[test]
    fn letters_of_another_script_in_a_latin_word_are_marked() {
        for (text, expected) in [
            ("p\u{430}ypal", "\u{430}"),
            ("аdmin", "а"),
            ("Οrders", "Ο"),
            ("orders-\u{0440}rod", "\u{0440}"),
            ("scоpe/аdmin", "оа"),
            ("gооgle Привет", "оо"),
            ("userімя", "імя"),
            ("4\u{09E8}", "\u{09E8}"),
            ("\u{FF41}dmin", "\u{FF41}"),
            ("\u{1D41A}dmin", "\u{1D41A}"),
            ("\u{0261}roup", "\u{0261}"),
            ("Мοсква", "\u{3bf}"),
            // What the tables write with several: `m` is `rn` there, `ﬁ` is `fi`.
            ("ad\u{1D5C6}in", "\u{1D5C6}"),
            ("ad\u{FF4D}in", "\u{FF4D}"),
            ("\u{FB01}nance", "\u{FB01}"),
            ("https\u{903}//evil", "\u{903}"),
        ] {
            assert_eq!(marked(text), expected, "{text}");
        }
    }

    #[test]
    fn a_whole_word_that_passes_for_ascii_is_marked_unless_the_text_is_written_so() {
        assert_eq!(marked("/сору"), "сору");
        assert_eq!(marked("рауа"), "рауа");
        assert_eq!(marked("DELETE FROM сору"), "сору");
        assert_eq!(marked("договор с клиентом"), "");
        assert_eq!(marked("он сказал: удалить"), "");
    }

    #[test]
    fn punctuation_that_passes_for_ascii_is_marked_typography_is_not() {
        assert_eq!(marked("a\u{2215}b"), "\u{2215}");
        assert_eq!(marked("drop\u{037E}"), "\u{037E}");
        assert_eq!(marked("host\u{2024}example"), "\u{2024}");
        assert_eq!(marked("“we’ll” do it – now"), "");
        assert_eq!(marked("请删除，谢谢！"), "");
        assert_eq!(marked("a，b"), "，");
        assert_eq!(
            marked("\u{FF02}x\u{2033} 5\u{FF05}"),
            "\u{FF02}\u{2033}\u{FF05}"
        );
        assert_eq!(marked("\u{5F4}x\u{5F3}"), "\u{5F4}\u{5F3}");
    }

    #[test]
    fn no_character_passes_for_ascii_in_a_word_of_ascii_but_letters_of_living_languages() {
        let passing = ('\u{80}'..=char::MAX).filter(|c| passes_for_ascii(*c));
        let unmarked: String = passing
            .filter(|c| {
                let text = format!("a{c}b");
                let line = crate::visible::safe_line(&text, crate::document::Role::Data);
                line.plain_text() == text && !TYPOGRAPHY.contains(*c)
            })
            .collect();
        assert_eq!(unmarked, "ÆæþıŒœƁƊƒƖƘƳƷɌɣɩʋʻʼ");
    }

    #[test]
    fn honest_names_are_left_alone() {
        for name in [
            "Żółć Łukasz",
            "Straße",
            "Ærø",
            "Ng\u{1ECD}zi",
            "Yıldız Işık",
            "محمد علي",
            "דוד בן־גוריון",
            "ג׳ורג׳, צה״ל, ٥٠٪",
            "山田太郎",
            "김민수",
            "Алексей Смирнов",
            "Γιώργος Παπαδόπουλος",
            "Tシャツ",
            "🦀 Ferris",
            "नरेन्द्र",
            "François",
            "10 µs, ½ m², 5 ㎏, ⑴ Ærø œuvre",
        ] {
            assert_eq!(marked(name), "", "{name}");
        }
    }
}

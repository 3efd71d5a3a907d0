//! Text as the words that find it, in the way that people type them: without case, accents and vowel marks, and also
//! from the middle where a word has one (`refundPayment`, `tenant0391`, `الكتاب`). Scripts without spaces are
//! found by each pair of letters.
//!
//! Entries and searches go through the same folding, so that a search is a set of plain words: nothing in it is syntax.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The most words of one entry. What is beyond is not found by.
pub(crate) const MAX_WORDS: usize = 1_500;
/// The most words of one search. What is beyond is not looked for.
pub(crate) const MAX_SEARCH_WORDS: usize = 12;
/// Beginnings of so many characters at most stand in the index of words themselves (`prefix` in module `schema`).
const SHORT_CHARS: usize = 3;
/// A longer word is found by its beginning only.
const MAX_CHARS: usize = 40;

/// What an entry with these texts is found by.
pub(crate) fn of_entry<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut words = Words(BTreeSet::new());
    for piece in texts.into_iter().flat_map(runs).flat_map(pieces) {
        if words.is_full() {
            break;
        }
        if piece.chars().any(is_spaceless) {
            pairs(&fold(piece), &mut words);
        } else {
            whole(piece, &mut words);
        }
    }
    words.0
}

/// At most [`MAX_WORDS`].
struct Words(BTreeSet<String>);

impl Words {
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_WORDS
    }

    fn put(&mut self, word: String) {
        if !word.is_empty() && !self.is_full() {
            self.0.insert(word);
        }
    }
}

/// The words of a search: each has to begin a word of the entry.
pub(crate) fn of_search(text: &str) -> Vec<String> {
    let mut words = BTreeSet::new();
    for piece in runs(text).flat_map(pieces) {
        if piece.chars().any(is_spaceless) {
            let letters: Vec<char> = fold(piece).chars().collect();
            match letters.as_slice() {
                [] => {}
                [one] => {
                    words.insert(one.to_string());
                }
                more => words.extend(more.windows(2).map(String::from_iter)),
            }
        } else {
            let word = begun(piece);
            if !word.is_empty() {
                words.insert(word);
            }
        }
    }
    // A word that begins another one adds nothing.
    let all: Vec<String> = words.into_iter().collect();
    let mut kept = all.clone();
    kept.retain(|word| {
        !all.iter()
            .any(|other| other != word && other.starts_with(word.as_str()))
    });
    kept.truncate(MAX_SEARCH_WORDS);
    kept
}

/// Whether an entry with these words is found by this search: what the index does, said plainly.
pub(crate) fn found(words: &BTreeSet<String>, search: &[String]) -> bool {
    search.iter().all(|sought| {
        words
            .range::<str, _>((
                std::ops::Bound::Included(sought.as_str()),
                std::ops::Bound::Unbounded,
            ))
            .next()
            .is_some_and(|word| word.starts_with(sought.as_str()))
    })
}

/// What begins so is found in the index at once. Of a longer word the index gathers everything that begins with it first.
pub(crate) fn is_short(word: &str) -> bool {
    word.chars().count() <= SHORT_CHARS
}

/// Runs of letters, marks and digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || is_combining_mark(c) || c == TATWEEL))
        .filter(|run| !run.is_empty())
}

/// A run, cut where a script without spaces begins or ends.
fn pieces(run: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut last) = (0, None);
    for (at, c) in run.char_indices() {
        let now = if is_combining_mark(c) {
            last
        } else {
            Some(is_spaceless(c))
        };
        if last.is_some() && now != last {
            found.push(&run[from..at]);
            from = at;
        }
        last = now;
    }
    found.push(&run[from..]);
    found
}

/// A word, and its parts from where it goes on anew.
fn whole(word: &str, words: &mut Words) {
    words.put(begun(word));
    if let Some(spelled) = spelled_out(word) {
        words.put(begun(&spelled));
    }
    let mut before: Option<char> = None;
    for (at, c) in word.char_indices() {
        let anew = before.is_some_and(|before| {
            (before.is_lowercase() && c.is_uppercase())
                || (before.is_alphabetic() && c.is_numeric())
                || (before.is_numeric() && c.is_alphabetic())
        });
        if anew && words.is_full() {
            return;
        }
        if anew {
            words.put(begun(&word[at..]));
        }
        before = Some(c);
    }
    // The article of Arabic is written as one with its word.
    if let Some(rest) = begun(word).strip_prefix("ال")
        && rest.chars().count() > 1
    {
        words.put(rest.to_owned());
    }
}

/// The beginning that a word is found by. No more of it is looked at, however long it is: parts of one run all go to
/// its end.
fn begun(word: &str) -> String {
    let looked_at = word.char_indices().nth(MAX_CHARS * 4);
    let beginning = &word[..looked_at.map_or(word.len(), |(at, _)| at)];
    fold(beginning).chars().take(MAX_CHARS).collect()
}

/// Each pair of neighbours, and each letter that ends a run: a search for one letter finds by the beginning of a pair.
fn pairs(letters: &str, words: &mut Words) {
    let letters: Vec<char> = letters.chars().collect();
    for pair in letters.windows(2) {
        words.put(pair.iter().collect());
    }
    if let Some(last) = letters.last() {
        words.put(last.to_string());
    }
}

const TATWEEL: char = '\u{640}';

/// Without case, accents, vowel marks and joining lines.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            TATWEEL => {}
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ø' | 'Ø' => folded.push('o'),
            'đ' | 'Đ' => folded.push('d'),
            'ł' | 'Ł' => folded.push('l'),
            'ı' => folded.push('i'),
            'æ' | 'Æ' => folded.push_str("ae"),
            'œ' | 'Œ' => folded.push_str("oe"),
            // The two final forms of Arabic that are typed either way.
            'ى' => folded.push('ي'),
            'ة' => folded.push('ه'),
            other => folded.extend(other.to_lowercase().filter(|c| c.is_alphanumeric())),
        }
    }
    folded
}

/// German as it is typed without umlauts: `Müller`, `Mueller`.
fn spelled_out(word: &str) -> Option<String> {
    let composed: String = word.nfc().collect();
    if !composed.contains(['ä', 'ö', 'ü', 'Ä', 'Ö', 'Ü']) {
        return None;
    }
    let mut spelled = String::with_capacity(composed.len() + 4);
    for c in composed.chars() {
        match c {
            'ä' | 'Ä' => spelled.push_str("ae"),
            'ö' | 'Ö' => spelled.push_str("oe"),
            'ü' | 'Ü' => spelled.push_str("ue"),
            other => spelled.push(other),
        }
    }
    Some(spelled)
}

/// Of a script that is written without spaces between its words.
fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF      // Thai, Lao
        | 0x1000..=0x109F    // Myanmar
        | 0x1780..=0x17FF    // Khmer
        | 0x3005..=0x3007 | 0x3021..=0x3029
        | 0x3040..=0x30FF    // Hiragana, Katakana
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF
        | 0xAC00..=0xD7AF    // Hangul
        | 0xFF66..=0xFF9F    // Katakana, half width
        | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str, search: &str) -> bool {
        found(&of_entry([text]), &of_search(search))
    }

    #[test]
    fn words_are_found_by_their_beginning_without_case_or_accents() {
        assert!(finds("DELETE FROM public.customers", "cust del"));
        assert!(finds("Tove Sandström", "sandstrom"));
        assert!(finds("tove sandstrom", "SANDSTRÖM"));
        assert!(!finds("customers", "ustomers"));
        assert!(!finds("customers", "customers orders"));
    }

    #[test]
    fn german_is_found_as_it_is_typed() {
        for typed in ["Müller", "muller", "Mueller", "MÜLL", "strasse", "straße"] {
            assert!(finds("Müller, Hauptstraße; Straße", typed), "{typed}");
        }
        // Composed and decomposed are the same.
        assert!(finds("Mu\u{308}ller", "müller"));
        assert!(finds("Mu\u{308}ller", "mueller"));
    }

    #[test]
    fn arabic_is_found_without_marks_and_without_the_article() {
        for typed in ["كتاب", "الكتاب", "كِتَاب", "كـتـاب", "مدرسه", "احمد"]
        {
            assert!(finds("الكِتاب أحمد مدرسة", typed), "{typed}");
        }
        assert!(!finds("الكتاب", "قلم"));
    }

    #[test]
    fn scripts_without_spaces_are_found_from_anywhere() {
        for typed in ["東京", "京都", "東京都庁", "東", "庁", "データ", "타베이"] {
            assert!(
                finds("東京都庁のデータベース 데이타베이스", typed),
                "{typed}"
            );
        }
        assert!(!finds("東京都庁", "大阪"));
        assert!(finds("orders東京prod", "prod"));
        assert!(finds("orders東京prod", "京"));
    }

    #[test]
    fn names_of_programs_are_found_from_the_middle() {
        for typed in ["refund", "payment", "refundpay", "tenant", "0391", "v2"] {
            assert!(finds("refundPayment tenant0391 api/v2", typed), "{typed}");
        }
    }

    #[test]
    fn an_entry_has_no_more_words_than_it_may() {
        let one_run: String = (0..3_000).map(|n| format!("a{n}")).collect();
        let letters: String = (0..3_000)
            .filter_map(|n| char::from_u32(0x4E00 + n))
            .collect();
        for text in [&one_run, &letters] {
            assert_eq!(of_entry([text.as_str()]).len(), MAX_WORDS);
        }
    }

    #[test]
    fn nothing_of_a_search_is_syntax_and_what_has_no_words_seeks_nothing() {
        assert_eq!(
            of_search("\"a\" OR b* NEAR(c) -d ^e :f"),
            ["a", "b", "c", "d", "e", "f", "near", "or"]
        );
        assert!(of_search("*:\"'();-- \u{202E}\u{0}").is_empty());
        assert!(of_search(&"wort ".repeat(500)).len() == 1);
        let many: String = (0..100).map(|n| format!("x{n}y ")).collect();
        assert_eq!(of_search(&many).len(), MAX_SEARCH_WORDS);
    }
}

//! The list of matching words stands in `docs/spec/words.txt`, for those who implement the specification.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use countersign_model::{Digest, matching_words};

#[test]
fn word_list_of_the_specification_is_the_one_in_use() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/words.txt");
    let list = bip39::Language::English.word_list();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, format!("{}\n", list.join("\n"))).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().eq(list.iter().copied()));
    let starts: BTreeSet<&str> = list.iter().map(|word| &word[..word.len().min(4)]).collect();
    assert_eq!(starts.len(), 2048, "four letters tell every word");
}

#[test]
fn both_words_come_from_the_whole_list() {
    let (mut first, mut second) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..40_000_u32 {
        let [a, b] = matching_words(Digest::of(&number.to_be_bytes()));
        first.insert(a);
        second.insert(b);
    }
    assert_eq!((first.len(), second.len()), (2048, 2048));
}

//! The two matching words that a requester's terminal and an approver's card both show.
//!
//! They prevent mix-ups between requests that look alike. They are not a secret.

use crate::Digest;

/// The words for a request: 22 bits of `H("countersign/match/v1\n" || request_jws_digest)` (the digest's 32
/// bytes), 11 for each word, from BIP 39's English list of 2,048.
pub fn matching_words(request_jws_digest: Digest) -> [&'static str; 2] {
    let digest = Digest::tagged("countersign/match/v1", request_jws_digest.as_bytes());
    let [a, b, c, ..] = *digest.as_bytes();
    let bits = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let list = bip39::Language::English.word_list();
    // Of 24 bits the first 22: the lowest two fall away.
    [list[bits >> 13], list[bits >> 2 & 0x7ff]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_depend_on_every_request() {
        let [first, second] = matching_words(Digest::of(b"a request"));
        assert_eq!([first, second], matching_words(Digest::of(b"a request")));
        assert_ne!(
            [first, second],
            matching_words(Digest::of(b"another request"))
        );
    }
}

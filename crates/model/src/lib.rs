//! Vocabulary: strict operation parsing, JCS, digests, ids, requirement, matching words.

//! Why a policy does not load, for the person who wrote it.

/// Why a policy does not load: where, and one sentence that says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {sentence}", policy.as_ref().map_or_else(String::new, |id| format!(", policy `{id}`")))]
pub struct LoadError {
    /// Counted from 1.
    pub line: usize,
    /// The id of the policy, where it has one.
    pub policy: Option<String>,
    /// What is wrong, and what to write instead.
    pub sentence: String,
}

/// The text of a policy, to find lines in.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a>(pub(crate) &'a str);

impl Source<'_> {
    /// The line of a byte offset, counted from 1.
    pub(crate) fn line(self, offset: usize) -> usize {
        let before = self.0.as_bytes().get(..offset).unwrap_or(self.0.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// An error of the Cedar library, in its words, at its first label.
    pub(crate) fn cedar(
        self,
        policy: Option<&str>,
        fallback: usize,
        error: &dyn miette::Diagnostic,
    ) -> LoadError {
        let label = error.labels().and_then(|mut labels| labels.next());
        let mut sentence = error.to_string();
        if let Some(text) = label.as_ref().and_then(|label| label.label()) {
            sentence = format!("{sentence} ({text})");
        }
        if let Some(help) = error.help() {
            sentence = format!("{sentence}; {help}");
        }
        if let Some(id) = policy {
            // It stands before the sentence already.
            sentence = sentence.replace(&format!("for policy `{id}`, "), "");
        }
        LoadError {
            line: label.map_or(fallback, |label| self.line(label.offset())),
            policy: policy.map(str::to_owned),
            sentence,
        }
    }
}

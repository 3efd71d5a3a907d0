//! Why a policy does not load, for the person who wrote it.

/// Why a policy does not load: where, and one sentence that says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {sentence}", policy.as_ref().map_or_else(String::new, |id| format!(", policy `{id}`")))]
pub struct LoadError {
    /// Counted from 1.
    pub line: usize,
    /// Where in the line, in characters from 1; where it is about a whole policy, where that begins.
    pub column: usize,
    /// The id of the policy, where it has one.
    pub policy: Option<String>,
    /// What is wrong, and what to write instead.
    pub sentence: String,
}

/// The text of a policy, to find places in.
pub(crate) struct Source<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            text,
            lines: std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect(),
        }
    }

    /// The line and column of a byte offset, each counted from 1.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self
            .lines
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..offset);
        let before = before.or_else(|| self.text.get(start..)).unwrap_or("");
        (1 + line, 1 + before.chars().count())
    }

    /// Where a text stands as a literal, from an offset on; else that offset.
    pub(crate) fn literal(&self, from: usize, text: &str) -> usize {
        let found = self
            .text
            .get(from..)
            .and_then(|rest| rest.find(&format!("\"{text}\"")));
        found.map_or(from, |at| from + at)
    }

    /// An error at an offset.
    pub(crate) fn error(
        &self,
        offset: usize,
        policy: Option<String>,
        sentence: impl Into<String>,
    ) -> LoadError {
        let (line, column) = self.place(offset);
        LoadError {
            line,
            column,
            policy,
            sentence: sentence.into(),
        }
    }

    /// An error of the Cedar library, in its words, at its first label.
    pub(crate) fn cedar(
        &self,
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
        let offset = label.map_or(fallback, |label| label.offset());
        self.error(offset, policy.map(str::to_owned), sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let source = Source::new("a\nä\"b\" \"c\"");
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(1), (1, 2));
        assert_eq!(source.place(2), (2, 1));
        assert_eq!(source.place(source.literal(0, "c")), (2, 6));
        assert_eq!(source.literal(4, "nowhere"), 4);
        assert_eq!(source.place(1000), (2, 9));
    }
}

//! A line of a file with a caret under the place that a finding is about.

use std::fmt::Write as _;
use std::path::Path;

use super::shown;

/// `--> policy.cedar:3:34`, the line, and a caret.
pub(super) fn excerpt(path: &Path, text: &str, line: usize, column: usize) -> String {
    let mut out = format!("  --> {}:{line}:{column}\n", path.display());
    let Some(source) = text.lines().nth(line.saturating_sub(1)) else {
        return out;
    };
    let margin = " ".repeat(line.to_string().len());
    // A tab would move the caret; what steers a terminal is made visible, and then moves it too.
    let source = source.replace('\t', " ");
    let before: String = source.chars().take(column.saturating_sub(1)).collect();
    let indent = " ".repeat(visible(&before).chars().count());
    let _ = write!(
        out,
        "   {margin} |\n   {line} | {}\n   {margin} | {indent}^\n",
        visible(&source)
    );
    out
}

/// Word by word: spaces at the edges of a line of source are nothing to point out.
fn visible(source: &str) -> String {
    let words = source.split(' ').map(|word| match word {
        "" => String::new(),
        word => shown(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_column() {
        let text = "one\n\twhen { \"ä\" == x };\n";
        assert_eq!(
            excerpt(Path::new("p.cedar"), text, 2, 10),
            "  --> p.cedar:2:10\n     |\n   2 |  when { \"ä\" == x };\n     |          ^\n"
        );
        assert_eq!(
            excerpt(Path::new("p.cedar"), text, 9, 1),
            "  --> p.cedar:9:1\n"
        );
    }

    #[test]
    fn what_steers_a_terminal_is_visible_and_moves_the_caret() {
        let drawn = excerpt(Path::new("p"), "a\u{1b}[2Jb", 1, 6);
        assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
        let lines: Vec<&str> = drawn.lines().collect();
        let at = lines[2].chars().position(|c| c == 'b').unwrap();
        assert_eq!(lines[3].chars().position(|c| c == '^'), Some(at), "{drawn}");
    }
}

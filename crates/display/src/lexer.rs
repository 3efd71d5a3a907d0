//! A statement of SQL as tokens, for its look alone: the text of the tokens, one after the other, is the statement.
//!
//! It follows the lexical rules of PostgreSQL (documentation, 4.1) as far as they tell where a literal, a comment and a
//! parameter begin and end, and never fails: what it does not know is a word or a mark. Nothing is decided by it: what is
//! approved are the bytes.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Spaces and tabs, without line breaks.
    Space,
    /// LF.
    Break,
    /// An identifier or keyword.
    Word,
    /// An identifier in double quotes.
    Quoted,
    /// A literal: a string of any kind, or a number.
    Literal,
    /// A comment.
    Comment,
    /// `$1`.
    Parameter(u32),
    /// Anything else, a character at a time.
    Mark,
}

/// The tokens of a statement. A literal or comment of several lines is several tokens, with a [`Token::Break`] between.
pub(crate) fn tokens(statement: &str) -> Vec<(Token, &str)> {
    let mut all = Vec::new();
    let mut rest = statement;
    let mut after_word = false;
    while !rest.is_empty() {
        let (token, length) = next(rest, after_word);
        let (text, tail) = rest.split_at(length);
        after_word = matches!(token, Token::Word | Token::Parameter(_));
        rest = tail;
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                all.push((Token::Break, "\n"));
            }
            if !line.is_empty() {
                all.push((token, line));
            }
        }
    }
    all
}

/// The token at the beginning of a text that is not empty, and its length in bytes.
fn next(text: &str, after_word: bool) -> (Token, usize) {
    let Some(first) = text.chars().next() else {
        return (Token::Mark, 0);
    };
    let tail = &text[first.len_utf8()..];
    match first {
        '\n' => (Token::Break, 1),
        ' ' | '\t' | '\r' => (Token::Space, run(text, |c| matches!(c, ' ' | '\t' | '\r'))),
        '\'' => (Token::Literal, 1 + string(tail, false)),
        'E' | 'e' if tail.starts_with('\'') => (Token::Literal, 2 + string(&tail[1..], true)),
        '"' => (
            Token::Quoted,
            1 + tail.find('"').map_or(tail.len(), |at| at + 1),
        ),
        '-' if tail.starts_with('-') => (Token::Comment, text.find('\n').unwrap_or(text.len())),
        '/' if tail.starts_with('*') => (Token::Comment, comment(text)),
        '$' if !after_word => dollar(text),
        '0'..='9' => (
            Token::Literal,
            run(text, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '.' | '_')
            }),
        ),
        first if in_word(first) => (Token::Word, run(text, |c| in_word(c) || c == '$')),
        first => (Token::Mark, first.len_utf8()),
    }
}

fn run(text: &str, within: impl Fn(char) -> bool) -> usize {
    text.find(|c| !within(c)).unwrap_or(text.len())
}

/// As PostgreSQL has it: ASCII letters, digits, the underscore, and whatever is not ASCII.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The length of a string's rest, its closing quote included.
fn string(text: &str, escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a comment between `/*` and `*/`, which nest.
fn comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// `$1`, or a string between `$tag$` and `$tag$`.
fn dollar(text: &str) -> (Token, usize) {
    let digits = run(&text[1..], |c| c.is_ascii_digit());
    if digits > 0 {
        let length = 1 + digits;
        return match text[1..length].parse() {
            Ok(number) => (Token::Parameter(number), length),
            Err(_) => (Token::Mark, 1),
        };
    }
    let tag = 1 + run(&text[1..], in_word);
    if !text[tag..].starts_with('$') {
        return (Token::Mark, 1);
    }
    let (opening, body) = text.split_at(tag + 1);
    let length = body
        .find(opening)
        .map_or(body.len(), |at| at + opening.len());
    (Token::Literal, opening.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statement: &str, want: &[(Token, &str)]) {
        assert_eq!(tokens(statement), want);
    }

    #[test]
    fn a_parameter_is_one_only_where_the_database_takes_it_for_one() {
        use Token::{Break, Comment, Literal, Mark, Parameter, Quoted, Space, Word};
        check("a=$1", &[(Word, "a"), (Mark, "="), (Parameter(1), "$1")]);
        check(
            "'$1' \"$1\"",
            &[(Literal, "'$1'"), (Space, " "), (Quoted, "\"$1\"")],
        );
        check(
            "'it''s $1' $2",
            &[(Literal, "'it''s $1'"), (Space, " "), (Parameter(2), "$2")],
        );
        check(
            "E'\\' $1' $2",
            &[(Literal, "E'\\' $1'"), (Space, " "), (Parameter(2), "$2")],
        );
        check(
            "$x$ $1 $x$$2",
            &[(Literal, "$x$ $1 $x$"), (Parameter(2), "$2")],
        );
        check("$$ $1 $$", &[(Literal, "$$ $1 $$")]);
        check(
            "-- $1\n$2",
            &[(Comment, "-- $1"), (Break, "\n"), (Parameter(2), "$2")],
        );
        check(
            "/* /* $1 */ $1 */$2",
            &[(Comment, "/* /* $1 */ $1 */"), (Parameter(2), "$2")],
        );
        check("a$1", &[(Word, "a$1")]);
        check("$99999999999", &[(Mark, "$"), (Literal, "99999999999")]);
    }

    #[test]
    fn what_is_open_to_the_end_goes_to_the_end_and_lines_are_told_apart() {
        use Token::{Break, Comment, Literal};
        check("'a\nb", &[(Literal, "'a"), (Break, "\n"), (Literal, "b")]);
        check("/* a", &[(Comment, "/* a")]);
        check("E'\\", &[(Literal, "E'\\")]);
    }
}

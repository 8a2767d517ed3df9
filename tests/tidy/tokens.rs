//! Rust's source text as words and marks: enough to see paths, items and names.

/// A part of a source text: comments are gone, a literal is one mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Mark(char),
}

/// Splits Rust into words and marks; comments vanish, a string or character becomes `"`.
pub(super) fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let (token, length) = next_token(rest);
        if let Some(token) = token {
            found.push((token, line));
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    found
}

fn next_token(rest: &[char]) -> (Option<Token>, usize) {
    let literal = |length: usize| (Some(Token::Mark('"')), length.min(rest.len()));
    let word_end = |from: usize| {
        from + rest[from..]
            .iter()
            .take_while(|c| c.is_alphanumeric() || **c == '_')
            .count()
    };
    match rest {
        ['/', '/', ..] => (
            None,
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ),
        ['/', '*', ..] => (None, comment_end(rest)),
        ['"', ..] => literal(quote_end(rest, 1, '"')),
        ['b' | 'c', '"', ..] => literal(quote_end(rest, 2, '"')),
        ['b', '\'', ..] => literal(quote_end(rest, 2, '\'')),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => literal(quote_end(rest, 1, '\'')),
        ['\'', ..] => (None, word_end(1)),
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if raw_end(rest).is_some() => {
            literal(raw_end(rest).unwrap_or(1))
        }
        ['r', '#', ..] => (
            Some(Token::Word(rest[2..word_end(2)].iter().collect())),
            word_end(2),
        ),
        [first, ..] if first.is_alphanumeric() || *first == '_' => (
            Some(Token::Word(rest[..word_end(0)].iter().collect())),
            word_end(0),
        ),
        [first, ..] if first.is_whitespace() => (None, 1),
        [first, ..] => (Some(Token::Mark(*first)), 1),
        [] => (None, 0),
    }
}

fn comment_end(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quote_end(rest: &[char], mut at: usize, quote: char) -> usize {
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The end of `r"…"` or `r#"…"#`; `None` if this is not such a literal.
fn raw_end(rest: &[char]) -> Option<usize> {
    let open = rest.iter().position(|c| *c == 'r')? + 1;
    let hashes = rest[open..].iter().take_while(|c| **c == '#').count();
    if rest.get(open + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let body = open + hashes + 1;
    let inside = rest[body..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(body + inside + close.len())
}

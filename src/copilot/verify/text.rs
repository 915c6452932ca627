//! Words and quotations in sentences, found whatever their case, white space and quotation marks.

/// Lower case, white space as one blank, quotation marks and escapes left out: how telemetry is quoted varies.
pub(in crate::copilot) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars() {
        match c {
            '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '\\' => {}
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    let mut out = out.trim_end().to_owned();
    out.push(' ');
    if out.trim().is_empty() { String::new() } else { out }
}

/// Whether `word` stands in `text` as a whole: neither letter nor digit touches it, nor does a decimal point go on.
pub(in crate::copilot) fn stands_in(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            let mut next = after.chars();
            let goes_on = match next.next() {
                Some(c) if c.is_alphanumeric() => true,
                Some('.' | ',') => next.next().is_some_and(|c| c.is_ascii_digit()),
                _ => false,
            };
            let mut last = before.chars().rev();
            let began = match last.next() {
                Some(c) if c.is_alphanumeric() => true,
                Some('.' | ',') => last.next().is_some_and(|c| c.is_ascii_digit()),
                _ => false,
            };
            !goes_on && !began
        })
}

/// The first part of a long name, by which people call it: `PetSearch` of `PetSearch_AWS::ECS::Fargate`.
pub(super) fn first_part(name: &str) -> &str {
    name.split(['_', ':', '.']).next().unwrap_or_default()
}

/// As [`stands_in`] for a number: no part of a time, a name or a range.
pub(super) fn stands_apart(text: &str, number: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '/');
    stands_in(text, number)
        && text
            .match_indices(number)
            .any(|(at, _)| !text[..at].ends_with(joins) && !text[at + number.len()..].starts_with(joins))
}

/// The quotations of a sentence, and the sentence without them.
pub(super) fn split_quotations(text: &str) -> (Vec<String>, String) {
    let mut quotations = Vec::new();
    let mut rest = String::with_capacity(text.len());
    let mut left = text;
    // An apostrophe opens no quotation, and closes none inside of a word.
    let opens = |left: &str, at: usize, c: char| match c {
        '"' | '`' | '“' => true,
        '\'' => {
            !left[..at].ends_with(char::is_alphanumeric)
                && left[at + 1..]
                    .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '[' | '{' | '(' | '<' | '/' | '-' | '_'))
        }
        _ => false,
    };
    while let Some((at, open)) = left.char_indices().find(|&(at, c)| opens(left, at, c)) {
        let close = if open == '“' { '”' } else { open };
        let inside = &left[at + open.len_utf8()..];
        let ends = |&(end, _): &(usize, &str)| open != '\'' || !inside[end + 1..].starts_with(char::is_alphanumeric);
        let Some((end, _)) = inside.match_indices(close).find(ends) else { break };
        rest.push_str(&left[..at]);
        rest.push(' ');
        quotations.push(inside[..end].to_owned());
        left = &inside[end + close.len_utf8()..];
    }
    rest.push_str(left);
    (quotations, rest)
}

//! Lines of code and configuration as tokens, whatever the language.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// An identifier or keyword.
    Word,
    /// A number, with a unit where one is written to it: `300ms`, `64Mi`.
    Number,
    /// A quoted string, quotes included.
    Text,
    /// Anything else, one character, or a comparison or assignment of two.
    Sign,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token<'t> {
    /// What it is.
    pub(super) kind: Kind,
    /// As written.
    pub(super) text: &'t str,
}

/// Operators of two characters that must not be taken for two of one.
const PAIRS: &[&str] = &["==", "!=", "<=", ">=", "&&", "||", ":=", "=>", "->", "::", "++", "--", "+=", "-="];

/// The tokens of one line without its comment; spaces are none.
pub(super) fn tokens(line: &str) -> Vec<Token<'_>> {
    let line = without_comment(line);
    let mut out = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if first.is_alphabetic() || matches!(first, '_' | '$' | '@') {
            let tail = &rest[first.len_utf8()..];
            (Kind::Word, first.len_utf8() + run(tail, |c| c.is_alphanumeric() || c == '_'))
        } else if first.is_ascii_digit() {
            let digits = run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
            (Kind::Number, rest[..digits].trim_end_matches('.').len().max(1))
        } else if matches!(first, '"' | '\'' | '`') {
            (Kind::Text, quoted(rest, first))
        } else {
            let pair = PAIRS.iter().any(|pair| rest.starts_with(pair));
            (Kind::Sign, if pair { 2 } else { first.len_utf8() })
        };
        let (text, tail) = rest.split_at(length);
        out.push(Token { kind, text });
        rest = tail.trim_start();
    }
    out
}

fn run(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// Length of a quoted string; without its end, of the quote alone (an apostrophe, or a string of several lines).
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    quote.len_utf8()
}

/// The line up to a comment at its end. What begins with a comment sign is empty.
fn without_comment(line: &str) -> &str {
    let trimmed = line.trim_start();
    let heads = ["//", "/*", "* ", "*/", "<!--", "-- ", "\"\"\""];
    let preprocessor = ["#include", "#define", "#if", "#endif", "#else", "#["];
    if heads.iter().any(|head| trimmed.starts_with(head)) || trimmed == "*" || trimmed == "--" {
        return "";
    }
    if trimmed.starts_with('#') && !preprocessor.iter().any(|head| trimmed.starts_with(head)) {
        return "";
    }
    let end = [" // ", "\t// ", " # ", " -- "].iter().filter_map(|sign| line.find(sign)).min();
    end.map_or(line, |end| &line[..end])
}

/// The parts of an identifier in lower case, three letters and longer: `getItemPrice`, `get_item_price` and
/// `get-item-price` alike.
pub(super) fn parts(word: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![String::new()];
    let mut previous_lower = false;
    for c in word.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && previous_lower) {
            out.push(String::new());
        }
        previous_lower = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric()
            && let Some(part) = out.last_mut()
        {
            part.extend(c.to_lowercase());
        }
    }
    out.retain(|part| part.chars().count() >= 3 && !part.starts_with(|c: char| c.is_ascii_digit()));
    out
}

/// The value of a number with its unit in a base unit (seconds, bytes, or one), for telling how much it changed.
pub(super) fn value_of(number: &str, unit: Option<&str>) -> Option<f64> {
    let plain: String = number.chars().filter(|c| *c != '_').collect();
    let split = plain.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(plain.len());
    let (digits, own) = plain.split_at(split);
    let value: f64 = digits.trim_end_matches('.').parse().ok()?;
    let unit = if own.is_empty() { unit.unwrap_or("") } else { own };
    let factor = match unit.to_ascii_lowercase().trim_end_matches('s') {
        "n" | "nano" | "nanosecond" => 1e-9,
        "u" | "micro" | "microsecond" => 1e-6,
        "m" if own == "ms" => 1e-3,
        "milli" | "millisecond" => 1e-3,
        "m" if own == "m" => 60.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        "k" | "kb" | "ki" | "kib" => 1_024.0,
        "mb" | "mi" | "mib" => 1_048_576.0,
        "g" | "gb" | "gi" | "gib" => 1_073_741_824.0,
        _ => 1.0,
    };
    Some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<&str> {
        tokens(line).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn lines_of_any_language_are_cut_alike() {
        assert_eq!(texts("\tcfg.MaxConns = 20 // more"), ["cfg", ".", "MaxConns", "=", "20"]);
        assert_eq!(texts("timeout: 300ms # short"), ["timeout", ":", "300ms"]);
        assert_eq!(texts(r#"x := f("a \" b", 'c')"#), ["x", ":=", "f", "(", r#""a \" b""#, ",", "'c'", ")"]);
        assert_eq!(texts("  # a comment"), Vec::<&str>::new());
        assert_eq!(texts("it's ünïcode"), ["it", "'", "s", "ünïcode"]);
    }

    #[test]
    fn identifiers_have_parts() {
        assert_eq!(parts("getItemPrice"), ["get", "item", "price"]);
        assert_eq!(parts("pool_size"), ["pool", "size"]);
    }

    #[test]
    fn figures_know_their_units() {
        assert_eq!(value_of("300ms", None), Some(0.3));
        assert_eq!(value_of("5", Some("Second")), Some(5.0));
        assert_eq!(value_of("2m", None), Some(120.0));
        assert_eq!(value_of("1_000", None), Some(1_000.0));
        assert_eq!(value_of("v1", None), None);
    }
}

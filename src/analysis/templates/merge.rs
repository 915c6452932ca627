//! Second pass: forms that are one statement in the program's code become one template.
//!
//! Two rules, neither of which depends on the order of the entries. *Places*: forms that differ in one place are
//! merged when it holds many different words, or a few that look made up ([`places`]). *Call site*: forms that name the same code location are aligned word by word, which
//! brings together lists of different lengths. Forms that differ in a telling word (a level, a status, `failed`) are
//! never merged.

use std::collections::BTreeMap;

use super::lexer::{Sink, scan};
use super::places;
use super::table::{Precision, Shape};

/// Tokens of a template; the rest of a longer line is one variable part.
const MAX_TOKENS: usize = 160;
/// Templates kept for one call site before the least alike are merged.
const MAX_PER_SITE: usize = 12;
/// Share of common words that makes two forms of one call site alike.
const SITE_LIKENESS: f64 = 0.5;

/// A token of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Token<'a> {
    /// A word or punctuation.
    Literal(&'a str),
    /// A telling word.
    Pinned(&'a str),
    /// A blank.
    Space,
    /// A variable part.
    Mask,
    /// A value that never varied.
    Value(&'a str),
}

impl Token<'_> {
    pub(super) fn is_word(self) -> bool {
        match self {
            Self::Literal(text) => text.len() > 1 || text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric),
            Self::Pinned(_) => true,
            _ => false,
        }
    }
}

/// A template: its tokens and the forms that it covers.
#[derive(Debug, Clone)]
pub(super) struct Template<'a> {
    /// Index of the service.
    pub service: u32,
    /// The tokens.
    pub tokens: Vec<Token<'a>>,
    /// Indices of its forms.
    pub forms: Vec<u32>,
    /// Lines in all.
    pub weight: u64,
}

impl Template<'_> {
    /// The template as people read it, variable parts as `<*>`.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for token in &self.tokens {
            match token {
                Token::Literal(text) | Token::Pinned(text) | Token::Value(text) => out.push_str(text),
                Token::Space => out.push(' '),
                Token::Mask if out.ends_with("<*>") => {}
                Token::Mask => out.push_str("<*>"),
            }
        }
        for doubled in ["<*> <*>", "<*>, <*>", "<*>,<*>", "<*>=<*>, <*>=<*>"] {
            while out.contains(doubled) {
                out = out.replace(doubled, "<*>");
            }
        }
        out
    }
}

#[derive(Default)]
struct TokenSink<'a> {
    tokens: Vec<Token<'a>>,
    constant: Vec<bool>,
    slot: usize,
}

impl<'a> TokenSink<'a> {
    fn push(&mut self, token: Token<'a>) {
        if self.tokens.len() < MAX_TOKENS {
            self.tokens.push(token);
        } else if self.tokens.len() == MAX_TOKENS {
            self.tokens.push(Token::Mask);
        }
    }
}

impl<'a> Sink<'a> for TokenSink<'a> {
    fn literal(&mut self, text: &'a str) {
        self.push(Token::Literal(text));
    }
    fn space(&mut self) {
        self.push(Token::Space);
    }
    fn mask(&mut self) {
        self.push(Token::Mask);
    }
    fn slot(&mut self, text: &'a str) {
        let constant = self.constant.get(self.slot).copied().unwrap_or(false);
        self.slot += 1;
        self.push(if constant { Token::Value(text) } else { Token::Mask });
    }
    fn pinned(&mut self, text: &'a str) {
        self.push(Token::Pinned(text));
    }
}

fn tokens_of<'a>(shape: &Shape, text: &'a str) -> Vec<Token<'a>> {
    let mut sink = TokenSink { constant: shape.slots.iter().map(|hash| *hash != 0).collect(), ..TokenSink::default() };
    match shape.precision {
        Precision::Full => scan(text, &mut sink),
        Precision::Beginning => {
            scan(text, &mut sink);
            let mut words = 0;
            let keep = sink.tokens.iter().position(|token| {
                words += usize::from(token.is_word());
                words > 4
            });
            sink.tokens.truncate(keep.unwrap_or(usize::MAX));
            sink.tokens.push(Token::Mask);
        }
        Precision::Stream => sink.tokens.push(Token::Mask),
    }
    // Tens of thousands of these may be held at once.
    sink.tokens.shrink_to_fit();
    // A value that was seen once has not shown that it is constant.
    if shape.count < 2 {
        for token in &mut sink.tokens {
            if matches!(token, Token::Value(_)) {
                *token = Token::Mask;
            }
        }
    }
    sink.tokens
}

/// The templates of all streams, sorted by stream and text. `text` gives a line of the form with an index.
pub(super) fn templates<'a>(shapes: &[Shape], text: impl Fn(usize) -> &'a str) -> Vec<Template<'a>> {
    let mut groups: BTreeMap<Identity<'_>, Vec<Template<'a>>> = BTreeMap::new();
    for (index, shape) in shapes.iter().enumerate() {
        let tokens = tokens_of(shape, text(index));
        groups.entry(identity(shape.stream, &tokens)).or_default().push(Template {
            service: shape.stream,
            tokens,
            forms: vec![index as u32],
            weight: shape.count,
        });
    }
    let mut out = Vec::new();
    for (Identity { site, .. }, mut group) in groups {
        group.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.tokens.cmp(&b.tokens)));
        let mut group = places::merged(group);
        if site.is_some() {
            group = by_alignment(group);
        }
        out.extend(group);
    }
    out
}

/// What two forms of one template always share.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity<'a> {
    service: u32,
    /// Word and line of the call site.
    site: Option<(&'a str, &'a str)>,
    /// Telling words, sorted.
    pins: Vec<&'a str>,
}

fn identity<'a>(service: u32, tokens: &[Token<'a>]) -> Identity<'a> {
    let mut site = None;
    let mut pins = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Pinned(text) = token else { continue };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Some([Token::Literal(word), Token::Literal("#" | ":")])) =
            (is_number, at.checked_sub(2).map(|from| &tokens[from..at]))
        {
            site = site.or(Some((*word, *text)));
        }
        pins.push(*text);
    }
    pins.sort_unstable();
    pins.dedup();
    Identity { service, site, pins }
}

/// Merges templates of one call site along their longest common subsequence.
fn by_alignment(group: Vec<Template<'_>>) -> Vec<Template<'_>> {
    let mut out: Vec<Template<'_>> = Vec::new();
    for template in group {
        let mut best: Option<(f64, usize, Vec<Token<'_>>)> = None;
        for (at, other) in out.iter().enumerate() {
            let common = common(&other.tokens, &template.tokens);
            let words = |tokens: &[Token<'_>]| tokens.iter().filter(|token| token.is_word()).count() as f64;
            let likeness = 2.0 * words(&common) / (words(&other.tokens) + words(&template.tokens)).max(1.0);
            if best.as_ref().is_none_or(|(most, ..)| likeness > *most) {
                let done = likeness > 0.8;
                best = Some((likeness, at, common));
                if done {
                    break;
                }
            }
        }
        match best {
            Some((likeness, at, tokens)) if likeness >= SITE_LIKENESS || out.len() >= MAX_PER_SITE => {
                let into = &mut out[at];
                into.tokens = tokens;
                into.forms.extend(template.forms);
                into.weight += template.weight;
            }
            _ => out.push(template),
        }
    }
    out
}

/// The longest common subsequence of two token lists, with a mask in each gap.
pub(super) fn common<'a>(a: &[Token<'a>], b: &[Token<'a>]) -> Vec<Token<'a>> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (middle_a, middle_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let width = middle_b.len() + 1;
    let mut length = vec![0_u16; (middle_a.len() + 1) * width];
    for i in (0..middle_a.len()).rev() {
        for j in (0..middle_b.len()).rev() {
            length[i * width + j] = if middle_a[i] == middle_b[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let mut out = a[..head].to_vec();
    let (mut i, mut j) = (0, 0);
    while i < middle_a.len() && j < middle_b.len() {
        if middle_a[i] == middle_b[j] {
            push(&mut out, middle_a[i]);
            i += 1;
            j += 1;
        } else {
            push(&mut out, Token::Mask);
            if length[(i + 1) * width + j] >= length[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    if i < middle_a.len() || j < middle_b.len() {
        push(&mut out, Token::Mask);
    }
    for token in &a[a.len() - tail..] {
        push(&mut out, *token);
    }
    out
}

pub(super) fn push<'a>(out: &mut Vec<Token<'a>>, token: Token<'a>) {
    if token != Token::Mask || out.last() != Some(&Token::Mask) {
        out.push(token);
    }
}

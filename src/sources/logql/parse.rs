//! From words to a log query: selector and pipeline.

use regex::{Regex, RegexBuilder};

use super::fields::{FieldPattern, Unit};
use super::lex::{Kind, Token};
use super::pipeline::{Compare, LabelFilter, LineFilter, Operand, Pipeline, Stage};
use crate::domain::Labels;
use crate::sources::replay::ReplayError;

/// What can be asked in place of something outside the subset.
pub(super) const SUPPORTED: &str = "supported are stream selectors, |= != |~ !~ with or, json, logfmt, pattern, regexp, \
     label filters, drop, keep, unwrap, and rate, count_over_time, bytes_rate, bytes_over_time and the _over_time \
     functions of unwrapped values inside PromQL's aggregations and operators";

/// Bytes a compiled regular expression may take.
const REGEX_SIZE: usize = 1 << 20;
/// Stages of one pipeline.
const MAX_STAGES: usize = 64;
/// Parentheses open at once in a label filter.
const MAX_DEPTH: usize = 32;

/// One matcher of a stream selector.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) name: String,
    value: String,
    regex: Option<Regex>,
    negated: bool,
}

impl Matcher {
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).unwrap_or_default();
        let found = self.regex.as_ref().map_or(value == self.value, |regex| regex.is_match(value));
        found != self.negated
    }

    fn matches_empty(&self) -> bool {
        self.matches(&Labels::new())
    }
}

/// A log query: which streams, and what is done with their lines.
#[derive(Debug, Clone)]
pub(super) struct LogQuery {
    pub(super) matchers: Vec<Matcher>,
    pub(super) pipeline: Pipeline,
}

impl LogQuery {
    pub(super) fn selects(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Reads words one after the other.
pub(super) struct Parser<'t> {
    tokens: &'t [Token],
    pub(super) at: usize,
}

impl<'t> Parser<'t> {
    pub(super) fn new(tokens: &'t [Token], at: usize) -> Self {
        Self { tokens, at }
    }

    pub(super) fn peek(&self) -> Option<&'t Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn next_token(&mut self) -> Option<&'t Kind> {
        let token = self.peek();
        self.at += 1;
        token
    }

    pub(super) fn eat(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Mark(found)) if *found == mark);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<(), ReplayError> {
        if self.eat(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    /// An error that says what stands in place of what.
    pub(super) fn unexpected(&self, wanted: &str) -> ReplayError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Kind::Word(word) | Kind::Number(word)) => format!("`{word}`"),
            Some(Kind::Text(text)) => format!("\"{text}\""),
            Some(Kind::Mark(mark)) => format!("`{mark}`"),
        };
        let place =
            self.tokens.get(self.at).map_or(String::new(), |token| format!(" at character {}", token.start + 1));
        ReplayError::Wrong(format!("the expression does not parse: {wanted} expected, {found} found{place}"))
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, ReplayError> {
        match self.peek() {
            Some(Kind::Word(word)) => {
                self.at += 1;
                Ok(word.clone())
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn text(&mut self) -> Result<String, ReplayError> {
        match self.peek() {
            Some(Kind::Text(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.unexpected("a string")),
        }
    }

    /// `{a="b", c=~"d"}`.
    pub(super) fn selector(&mut self) -> Result<Vec<Matcher>, ReplayError> {
        self.expect("{")?;
        let mut matchers = Vec::new();
        while !self.eat("}") {
            if !matchers.is_empty() {
                self.expect(",")?;
                if self.eat("}") {
                    break;
                }
            }
            let name = self.word("a label name")?;
            let (is_regex, negated) = match self.next_token() {
                Some(Kind::Mark("=")) => (false, false),
                Some(Kind::Mark("!=")) => (false, true),
                Some(Kind::Mark("=~")) => (true, false),
                Some(Kind::Mark("!~")) => (true, true),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected("=, !=, =~ or !~"));
                }
            };
            let value = self.text()?;
            let regex = if is_regex { Some(anchored(&value)?) } else { None };
            matchers.push(Matcher { name, value, regex, negated });
        }
        Ok(matchers)
    }

    /// A selector with its pipeline; a range `[5m]` may stand after either, and is returned.
    pub(super) fn log_query(&mut self) -> Result<(LogQuery, Option<Span>), ReplayError> {
        let matchers = self.selector()?;
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(ReplayError::Wrong(
                "queries require at least one regexp or equality matcher that does not have an empty-compatible value"
                    .into(),
            ));
        }
        let mut span = self.span()?;
        let mut stages = Vec::new();
        while let Some(stage) = self.stage()? {
            stages.push(stage);
            if stages.len() > MAX_STAGES {
                return Err(ReplayError::TooLarge(format!("the pipeline has more than {MAX_STAGES} stages")));
            }
        }
        if span.is_none() {
            span = self.span()?;
        }
        Ok((LogQuery { matchers, pipeline: Pipeline { stages } }, span))
    }

    /// `[5m]` with `offset 1h` behind it.
    fn span(&mut self) -> Result<Option<Span>, ReplayError> {
        if !self.eat("[") {
            return Ok(None);
        }
        let range = self.duration()?;
        self.expect("]")?;
        let mut offset = 0;
        if self.eat_word("offset") {
            let sign = if self.eat("-") { -1 } else { 1 };
            offset = sign * self.duration()?;
        }
        Ok(Some(Span { range, offset }))
    }

    /// A duration in nanoseconds.
    fn duration(&mut self) -> Result<i64, ReplayError> {
        let Some(Kind::Number(text)) = self.peek() else { return Err(self.unexpected("a duration such as 5m")) };
        let nanos = crate::domain::time::parse_duration(text)
            .and_then(|span| i64::try_from(span.as_nanos()).ok())
            .filter(|&nanos| nanos > 0)
            .ok_or_else(|| self.unexpected("a duration such as 5m"))?;
        self.at += 1;
        Ok(nanos)
    }

    fn stage(&mut self) -> Result<Option<Stage>, ReplayError> {
        let filter = match self.peek() {
            Some(Kind::Mark("|=")) => Some((false, false)),
            Some(Kind::Mark("!=")) => Some((false, true)),
            Some(Kind::Mark("|~")) => Some((true, false)),
            Some(Kind::Mark("!~")) => Some((true, true)),
            Some(Kind::Mark("|>" | "!>")) => return Err(ReplayError::unsupported("the filter |> and !>", SUPPORTED)),
            Some(Kind::Mark("|")) => None,
            _ => return Ok(None),
        };
        self.at += 1;
        if let Some((is_regex, negated)) = filter {
            return self.line_filter(is_regex, negated).map(Some);
        }
        let Some(Kind::Word(word)) = self.peek() else {
            return self.label_filter(0).map(|filter| Some(Stage::Labels(filter)));
        };
        // A parser's name may also be a label: `| json = "x"`.
        let is_label = matches!(
            self.tokens.get(self.at + 1).map(|token| &token.kind),
            Some(Kind::Mark("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<="))
        );
        if is_label {
            return self.label_filter(0).map(|filter| Some(Stage::Labels(filter)));
        }
        self.at += 1;
        Ok(Some(match word.as_str() {
            "json" => Stage::Json(self.renamings()?),
            "logfmt" => {
                while self.eat("--") {
                    // `--strict` and `--keep-empty` change little that matters here.
                    self.word("a flag")?;
                    while self.eat("-") {
                        self.word("a flag")?;
                    }
                }
                Stage::Logfmt(self.renamings()?)
            }
            "pattern" => Stage::Pattern(FieldPattern::new(&self.text()?)?),
            "regexp" => {
                let pattern = self.text()?;
                let regex = plain_regex(&pattern)?;
                if regex.capture_names().flatten().next().is_none() {
                    return Err(ReplayError::Wrong("regexp needs at least one named group such as (?P<name>…)".into()));
                }
                Stage::Regexp(regex)
            }
            "drop" => Stage::Drop(self.names()?),
            "keep" => Stage::Keep(self.names()?),
            "unwrap" => self.unwrap()?,
            other => return Err(ReplayError::unsupported(format!("the stage | {other}"), SUPPORTED)),
        }))
    }

    fn line_filter(&mut self, is_regex: bool, negated: bool) -> Result<Stage, ReplayError> {
        if matches!(self.peek(), Some(Kind::Word(_))) {
            return Err(ReplayError::unsupported("a line filter with a function such as ip()", SUPPORTED));
        }
        let mut needles = vec![self.text()?];
        while self.eat_word("or") {
            needles.push(self.text()?);
        }
        let regexes =
            if is_regex { needles.iter().map(|one| plain_regex(one)).collect::<Result<_, _>>()? } else { Vec::new() };
        if is_regex {
            needles.clear();
        }
        Ok(Stage::Line(LineFilter { needles, regexes, negated }))
    }

    /// `a="b", c` behind a parser: which fields are wanted, under which names.
    fn renamings(&mut self) -> Result<Vec<(String, String)>, ReplayError> {
        let mut out = Vec::new();
        while matches!(self.peek(), Some(Kind::Word(_))) {
            let name = self.word("a label name")?;
            let source = if self.eat("=") { self.text()? } else { name.clone() };
            out.push((name, source));
            if !self.eat(",") {
                break;
            }
        }
        Ok(out)
    }

    fn names(&mut self) -> Result<Vec<String>, ReplayError> {
        let mut out = vec![self.word("a label name")?];
        while self.eat(",") {
            out.push(self.word("a label name")?);
        }
        if matches!(self.peek(), Some(Kind::Mark("=" | "!=" | "=~" | "!~"))) {
            return Err(ReplayError::unsupported("drop and keep with a matcher", SUPPORTED));
        }
        Ok(out)
    }

    fn unwrap(&mut self) -> Result<Stage, ReplayError> {
        let name = self.word("a label name")?;
        if !self.eat("(") {
            return Ok(Stage::Unwrap { label: name, unit: Unit::Plain });
        }
        let unit = match name.as_str() {
            "duration" | "duration_seconds" => Unit::Duration,
            "bytes" => Unit::Bytes,
            _ => return Err(ReplayError::unsupported(format!("unwrap {name}(…)"), SUPPORTED)),
        };
        let label = self.word("a label name")?;
        self.expect(")")?;
        Ok(Stage::Unwrap { label, unit })
    }

    /// `a="b" and (c > 5 or d != "e")`; a comma is `and`.
    fn label_filter(&mut self, depth: usize) -> Result<LabelFilter, ReplayError> {
        if depth > MAX_DEPTH {
            return Err(ReplayError::TooLarge("the label filter is too deeply nested".into()));
        }
        let mut any = vec![self.label_conjunction(depth)?];
        while self.eat_word("or") {
            any.push(self.label_conjunction(depth)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { LabelFilter::Any(any) })
    }

    fn label_conjunction(&mut self, depth: usize) -> Result<LabelFilter, ReplayError> {
        let mut all = vec![self.label_comparison(depth)?];
        loop {
            let next = self.eat_word("and")
                || self.eat(",")
                // Two filters side by side are joined too.
                || matches!(self.peek(), Some(Kind::Word(word)) if word != "or" && word != "by" && word != "without");
            if !next {
                break;
            }
            all.push(self.label_comparison(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { LabelFilter::All(all) })
    }

    fn label_comparison(&mut self, depth: usize) -> Result<LabelFilter, ReplayError> {
        if self.eat("(") {
            let inner = self.label_filter(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let label = self.word("a label filter")?;
        let compare = match self.next_token() {
            Some(Kind::Mark("=" | "==")) => Compare::Equal,
            Some(Kind::Mark("!=")) => Compare::NotEqual,
            Some(Kind::Mark("=~")) => Compare::Matches,
            Some(Kind::Mark("!~")) => Compare::MatchesNot,
            Some(Kind::Mark(">")) => Compare::Greater,
            Some(Kind::Mark(">=")) => Compare::AtLeast,
            Some(Kind::Mark("<")) => Compare::Less,
            Some(Kind::Mark("<=")) => Compare::AtMost,
            _ => {
                self.at -= 1;
                return Err(self.unexpected("a comparison"));
            }
        };
        let sign = if self.eat("-") { -1.0 } else { 1.0 };
        let operand = match (compare, self.peek()) {
            (Compare::Matches | Compare::MatchesNot, Some(Kind::Text(text))) => Operand::Regex(anchored(text)?),
            (Compare::Equal | Compare::NotEqual, Some(Kind::Text(text))) => Operand::Text(text.clone()),
            (Compare::Matches | Compare::MatchesNot, _) => return Err(self.unexpected("a string")),
            (_, Some(Kind::Number(text))) => {
                let (unit, value) = Unit::of(text).ok_or_else(|| self.unexpected("a number, duration or size"))?;
                Operand::Number(unit, sign * value)
            }
            (_, Some(Kind::Word(word))) => {
                return Err(ReplayError::unsupported(format!("the label filter function {word}"), SUPPORTED));
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.at += 1;
        Ok(LabelFilter::Compare { label, compare, operand })
    }
}

/// A range with its offset, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) range: i64,
    pub(super) offset: i64,
}

/// A regular expression that must match the whole value.
fn anchored(pattern: &str) -> Result<Regex, ReplayError> {
    build(&format!("^(?s:{pattern})$"), pattern)
}

/// A regular expression that may match anywhere.
fn plain_regex(pattern: &str) -> Result<Regex, ReplayError> {
    build(pattern, pattern)
}

fn build(full: &str, shown: &str) -> Result<Regex, ReplayError> {
    RegexBuilder::new(full)
        .size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| ReplayError::Wrong(format!("`{shown}` is not a regular expression: {error}")))
}

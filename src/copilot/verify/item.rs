//! What an item of evidence says, ready to be searched: its words, figures and times.

use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Token, Unit, tokens};
use super::numbers::Side;
use super::regex;
use super::sense::Shown;
use super::shares::shares;
use super::text::plain;
use crate::domain::Text;
use crate::domain::Timestamp;
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, EvidenceId, EvidenceKind, MetricDetail};

/// Text of one item that is searched at most, in bytes.
const ITEM_BYTES: usize = 64 << 10;

/// What a figure is of the item: a sentence may tell a level where it tells one, never how much it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The median of the baseline.
    Median,
    /// Another figure of the baseline, or of the time before.
    Before,
    /// The greatest deviation.
    Peak,
    /// Another figure of the window.
    After,
    /// The last figure of the window.
    Last,
    /// A sample, of whichever time.
    Sample,
    /// How much it changed: times, per cent.
    Change,
    /// How much it is of the ends of its normal range.
    Beyond,
    /// By how much it changed, in its own unit.
    Difference,
    /// What it is of what it was, in per cent.
    Share,
    /// How far out of the ordinary it is.
    Score,
    /// It stands in words that were recorded: a log line, a label, a diff.
    Said,
}

/// A figure of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) number: Number,
    pub(super) role: Role,
    /// Of a call: on whose side it was measured.
    pub(super) side: Option<Side>,
}

/// What an item says.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// All that it says, as [`plain`] makes it.
    pub(super) text: String,
    /// What was recorded in words, without what is told about it.
    pub(super) words: String,
    pub(super) figures: Vec<Figure>,
    /// Moments that it tells.
    pub(super) times: Vec<Timestamp>,
    /// From when to when its samples are shown, as they are written.
    pub(super) range: Vec<String>,
    /// The ends of the normal range of what was measured.
    pub(super) band: Option<(Number, Number)>,
    /// Which way it went.
    pub(super) shown: Shown,
    /// Services that it is of, as [`plain`] makes them.
    pub(super) names: Vec<String>,
    /// Parts of the name of what was measured: `pool` and `use` of `pool_in_use`.
    pub(super) parts: Vec<String>,
    /// Whether it names no service.
    pub(super) nameless: bool,
    /// What it is.
    pub(super) kind: Option<EvidenceKind>,
    /// Lines that a change took away and put in, as [`plain`] makes them.
    pub(super) removed: String,
    pub(super) added: String,
    /// Caller and callee of an edge, as [`plain`] makes them.
    pub(super) calls: Option<(String, String)>,
    /// Whether its figures are held apart from its words.
    pub(super) measured: bool,
}

impl Item {
    /// Words that were recorded.
    pub(super) fn say(&mut self, text: &str) {
        let measured = measures(text);
        // What was measured has its figures with their units; in the words about it they have lost some.
        if !self.measured {
            for token in tokens(&measured) {
                if let Token::Number(number, _) = token {
                    self.figure(Number::exact(number.value, number.unit), Role::Said);
                }
            }
        }
        if self.words.len() < ITEM_BYTES {
            for words in [Some(text), (measured != text).then_some(measured.as_str())].into_iter().flatten() {
                self.words.push('\n');
                self.words.push_str(&plain(words));
            }
        }
        self.quote(text);
    }

    /// What is told about it in our own words, with its figures.
    pub(super) fn tell(&mut self, text: &str) {
        for token in tokens(text) {
            if let Token::Number(number, _) = token {
                self.figure(Number::exact(number.value, number.unit), Role::Said);
            }
        }
        self.quote(text);
    }

    /// Words about it that are our own: their figures are held with their units already.
    pub(super) fn quote(&mut self, text: &str) {
        for (part, whole) in shares(text) {
            for part in [part, whole.saturating_sub(part)] {
                let percent = f64::from(part) / f64::from(whole) * 100.0;
                self.figure(Number::exact(percent, Unit::Percent), Role::Said);
            }
        }
        if self.text.len() < ITEM_BYTES {
            self.text.push('\n');
            self.text.push_str(&plain(text));
        }
    }

    /// A moment, as it may be told: to the second as it is shown.
    pub(super) fn moment(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.times.push(at);
            self.quote(&at.to_rfc3339());
            self.quote(&at.to_clock());
        }
    }

    /// The line of a pack. Of what was measured or counted the figures are held already, but for samples, which stand
    /// in lines of their own.
    pub(super) fn packed(&mut self, id: EvidenceId, text: &str) {
        match id.kind {
            EvidenceKind::Metric => {
                let mut lines = text.lines();
                self.quote(lines.next().unwrap_or_default());
                for line in lines {
                    if let Some((range, _)) = line.split_once(": ") {
                        self.range.extend(range.trim().split("..").map(str::to_owned));
                    }
                    // The range of times in front of the samples is none of its moments.
                    for token in tokens(line.split_once(": ").map_or(line, |(_, samples)| samples)) {
                        if let Token::Number(number, _) = token {
                            self.figure(number, Role::Sample);
                        }
                    }
                }
            }
            EvidenceKind::Log | EvidenceKind::Edge => self.quote(text),
            _ => self.say(text),
        }
    }

    /// What a change took away and put in: `off->on`, the lines of a diff.
    fn differs(&mut self, summary: &str, diff: &str) {
        static ARROW: LazyLock<Regex> = LazyLock::new(|| regex(r"(\S+?)\s?(?:->|→)\s?(\S+)"));
        let mut sides = [String::new(), String::new()];
        for pair in ARROW.captures_iter(summary) {
            for side in 0..2 {
                sides[side].push('\n');
                sides[side].push_str(&pair[side + 1]);
            }
        }
        for line in diff.lines() {
            let line = line.trim_start();
            if let Some((side, text)) =
                line.strip_prefix('-').map(|text| (0, text)).or_else(|| line.strip_prefix('+').map(|text| (1, text)))
            {
                sides[side].push('\n');
                sides[side].push_str(text);
            }
        }
        let [removed, added] = sides.map(|side| measures(&side));
        let numbers = |text: &str| -> Vec<Number> {
            let found = tokens(text).into_iter().filter_map(|token| match token {
                Token::Number(number, _) => Some(Number::exact(number.value, number.unit)),
                Token::Word(_) => None,
            });
            found.collect()
        };
        let (before, after) = (numbers(&removed), numbers(&added));
        // Where as many figures come as go, each takes the place of one.
        if before.len() == after.len() {
            for (before, after) in before.iter().zip(&after) {
                self.compare(before.base(), after.base(), before.unit);
            }
        }
        for (numbers, role) in [(before, Role::Before), (after, Role::After)] {
            for number in numbers {
                self.figure(number, role);
            }
        }
        self.removed = plain(&removed);
        self.added = plain(&added);
        self.say(diff);
    }

    fn figure(&mut self, number: Number, role: Role) {
        // What is measured is shown in three digits, and what people reckon from it is as exact as that.
        let shown = self.measured || matches!(number.unit, Unit::Rate(_));
        let number = if shown { Number::shown(number.value, number.unit) } else { number };
        if number.value.is_finite() {
            self.figures.push(Figure { number, role, side: None });
        }
    }

    fn before_after(&mut self, figures: BeforeAfter, unit: Unit) {
        let scale = if unit == Unit::Percent { 100.0 } else { 1.0 };
        for (value, role) in [(figures.before, Role::Before), (figures.after, Role::After)] {
            self.figure(Number::exact(value.unwrap_or(f64::NAN) * scale, unit), role);
        }
        if let (Some(before), Some(after)) = (figures.before, figures.after) {
            self.compare(before * scale, after * scale, unit);
        }
    }

    /// How many times as much, how much more in per cent, and how much more.
    fn compare(&mut self, before: f64, after: f64, unit: Unit) {
        for (value, unit, role) in [
            (after / before, Unit::Times, Role::Change),
            (before / after, Unit::Times, Role::Change),
            ((after - before) / before * 100.0, Unit::Percent, Role::Change),
            (after / before * 100.0, Unit::Percent, Role::Share),
            (after - before, unit, Role::Difference),
        ] {
            self.figure(Number::exact(value, unit), role);
        }
    }

    /// Takes in everything an evidence item holds.
    pub(super) fn hold(&mut self, evidence: &Evidence) {
        self.shown = Shown::of(evidence);
        self.kind = Some(evidence.id.kind);
        self.names.extend(evidence.service.iter().map(|name| plain(name).trim().to_owned()));
        self.nameless = evidence.service.as_deref().is_none_or(str::is_empty);
        match evidence.id.kind {
            EvidenceKind::Metric | EvidenceKind::Log | EvidenceKind::Edge => self.quote(&evidence.title),
            _ => self.say(&evidence.title),
        }
        self.say(evidence.service.as_deref().unwrap_or_default());
        self.say(&evidence.provenance.expr);
        self.moment(evidence.onset);
        match &evidence.detail {
            Detail::Alert(alert) => {
                for (name, value) in alert.labels.iter().chain(alert.annotations.iter()) {
                    self.say(name);
                    self.say(value);
                }
                self.say(alert.expression.as_deref().unwrap_or_default());
                self.moment(Some(alert.starts_at));
            }
            Detail::Metric(metric) => {
                let unit = unit_of(metric);
                let parts = metric.metric.split(|c: char| !c.is_alphanumeric()).filter(|part| part.len() > 2);
                self.parts = parts.map(str::to_lowercase).collect();
                self.say(&metric.metric);
                self.say(&metric.labels.to_string());
                let band = metric.baseline;
                for (value, role) in [
                    (band.low, Role::Before),
                    (band.median, Role::Median),
                    (band.high, Role::Before),
                    (metric.peak, Role::Peak),
                    (metric.last, Role::Last),
                ] {
                    self.figure(Number::exact(value, unit), role);
                }
                self.figure(Number::exact(metric.score, Unit::Bare), Role::Score);
                self.band = Some((Number::shown(band.low, unit), Number::shown(band.high, unit)));
                // What has no unit is told in the one that its name speaks of, or in any.
                if unit == Unit::Bare {
                    let also = spoken_unit(&metric.metric).unwrap_or(Unit::None);
                    // A share of one is told in per cent as it is.
                    let share = also == Unit::Percent && metric.peak.abs().max(band.high.abs()) <= 1.0;
                    for at in 0..self.figures.len() {
                        let Figure { number, role, .. } = self.figures[at];
                        if number.unit == Unit::Bare && !share {
                            self.figure(Number { unit: also, ..number }, role);
                        }
                    }
                }
                self.compare(band.median, metric.peak, unit);
                self.compare(band.median, metric.last, unit);
                for edge in [band.low, band.high] {
                    for after in [metric.peak, metric.last] {
                        self.figure(Number::exact(after / edge, Unit::Times), Role::Beyond);
                        self.figure(Number::exact(edge / after, Unit::Times), Role::Beyond);
                        self.figure(Number::exact((after - edge) / edge * 100.0, Unit::Percent), Role::Beyond);
                    }
                }
            }
            Detail::Log(log) => {
                self.say(&log.template);
                for entry in &log.exemplars {
                    self.say(&entry.line);
                    self.say(&entry.labels.to_string());
                }
                let minute = Unit::Rate(1.0 / 60.0);
                for (value, unit, role) in [
                    (log.baseline_count as f64, Unit::Bare, Role::Before),
                    (log.window_count as f64, Unit::Bare, Role::After),
                    (log.baseline_per_minute, minute, Role::Before),
                    (log.window_per_minute, minute, Role::After),
                ] {
                    self.figure(Number::exact(value, unit), role);
                }
                self.compare(log.baseline_per_minute, log.window_per_minute, minute);
                if let Some(branch) = &log.branch {
                    self.before_after(branch.share, Unit::Percent);
                    let rest = |share: Option<f64>| share.map(|share| 1.0 - share);
                    let others = BeforeAfter { before: rest(branch.share.before), after: rest(branch.share.after) };
                    self.before_after(others, Unit::Percent);
                }
                for one in &log.telling {
                    self.say(&one.field);
                    self.say(&one.value);
                    self.before_after(one.share, Unit::Percent);
                    self.figure(Number::exact(one.count as f64, Unit::Bare), Role::After);
                }
                self.moment(log.first);
            }
            Detail::Edge(edge) => {
                self.calls = Some((plain(&edge.client).trim().to_owned(), plain(&edge.server).trim().to_owned()));
                self.names.extend(self.calls.iter().flat_map(|(client, server)| [client.clone(), server.clone()]));
                self.say(&edge.client);
                self.say(&edge.server);
                self.before_after(edge.rate, Unit::Rate(1.0));
                self.before_after(edge.errors, Unit::Percent);
                for (figures, side) in
                    [(edge.client_seconds, Side::Client), (edge.p95, Side::Client), (edge.server_seconds, Side::Server)]
                {
                    let first = self.figures.len();
                    self.before_after(figures, Unit::Seconds(1.0));
                    self.figures[first..].iter_mut().for_each(|figure| figure.side = Some(side));
                }
                if edge.p95.before.or(edge.p95.after).is_some() {
                    self.say("p95");
                }
            }
            Detail::Change(change) => {
                for text in [change.kind.as_str(), &change.service, &change.reference, &change.summary, &change.author]
                {
                    self.say(text);
                }
                self.differs(&change.summary, change.diff.as_ref().map_or("", Text::as_str));
                self.moment(Some(change.at));
            }
            Detail::Runbook { text } | Detail::Query { text } => self.say(text),
        }
    }
}

/// Figures in code and configuration with the unit that stands beside them: `5*time.Second`, `timeout_ms=300`.
fn measures(text: &str) -> String {
    static SHAPES: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
        [
            (regex(r"\b(\d+(?:\.\d+)?)(px|rem|em|pt|vh|vw)\b"), "$1 $2"),
            (regex(r"(?i)\b(\d+(?:\.\d+)?)\s*\*\s*time\.(second|millisecond|minute|hour)s?\b"), "$1 $2"),
            (regex(r"(?i)\b(?:of|from)?(seconds|millis|milliseconds|minutes|hours)\((\d+(?:\.\d+)?)\)"), "$2 $1"),
            (regex(r"(?i)\b(seconds|milliseconds|minutes|hours)\s?=\s?(\d+(?:\.\d+)?)\b"), "$2 $1"),
            (regex(r#"(?i)_(ms|millis|seconds|secs|bytes)("?\s?[:=]\s?"?)(\d+(?:\.\d+)?)\b"#), "_$1$2$3 $1"),
        ]
    });
    let mut out = std::borrow::Cow::Borrowed(text);
    for (shape, with) in SHAPES.iter() {
        if shape.is_match(&out) {
            let unit = |groups: &::regex::Captures<'_>| {
                let mut one = String::new();
                groups.expand(with, &mut one);
                let one = one.to_lowercase();
                one.strip_suffix(" millis").map_or(one.clone(), |figure| format!("{figure} milliseconds"))
            };
            out = shape.replace_all(&out, unit).into_owned().into();
        }
    }
    out.into_owned()
}

/// The unit in which people tell a figure that has none, by its name: latencies in seconds, shares in per cent.
fn spoken_unit(name: &str) -> Option<Unit> {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let ends = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    if ends(&["_gib"]) {
        Some(Unit::Bytes(1_073_741_824.0))
    } else if ends(&["_mib"]) {
        Some(Unit::Bytes(1_048_576.0))
    } else if ends(&["_gb"]) {
        Some(Unit::Bytes(1e9))
    } else if ends(&["_mb"]) {
        Some(Unit::Bytes(1e6))
    } else if has(&["per_min", "rpm"]) {
        Some(Unit::Rate(1.0 / 60.0))
    } else if has(&["per_sec", "per_s", "rps", "qps"]) {
        Some(Unit::Rate(1.0))
    } else if has(&["latency", "duration", "response_time", "responsetime"]) {
        Some(Unit::Seconds(1.0))
    } else if has(&["availability", "percent", "utilization", "utilisation", "pct"]) {
        Some(Unit::Percent)
    } else {
        None
    }
}

/// The unit of a metric: as it is told, else as its name says.
pub(super) fn unit_of(metric: &MetricDetail) -> Unit {
    match metric.unit.as_str() {
        "s" => Unit::Seconds(1.0),
        "ms" => Unit::Seconds(1e-3),
        "B" => Unit::Bytes(1.0),
        "%" => Unit::Percent,
        "/s" => Unit::Rate(1.0),
        // What is divided by another rate is none.
        _ if metric.metric.starts_with("rate(") && !metric.metric.contains(" / ") => Unit::Rate(1.0),
        _ => unit_of_name(&metric.metric),
    }
}

/// The unit that a metric's name ends in, as Prometheus advises.
fn unit_of_name(name: &str) -> Unit {
    let name = name.trim_end_matches("_total").trim_end_matches("_sum");
    match name.rsplit('_').next().unwrap_or_default() {
        "seconds" => Unit::Seconds(1.0),
        "milliseconds" | "ms" => Unit::Seconds(1e-3),
        "bytes" => Unit::Bytes(1.0),
        "percent" => Unit::Percent,
        _ => Unit::Bare,
    }
}

//! What an item of evidence says, ready to be searched: its words, figures and times.

use super::figures::{Number, Token, Unit, tokens};
use super::sense::Shown;
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
    /// A sample, of whichever time.
    Sample,
    /// How much it changed: times, per cent, the difference.
    Change,
    /// It stands in words that were recorded: a log line, a label, a diff.
    Said,
}

/// A figure of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) number: Number,
    pub(super) role: Role,
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
    /// Which way it went.
    pub(super) shown: Shown,
    /// Whether its figures are held apart from its words.
    pub(super) measured: bool,
}

impl Item {
    /// Words that were recorded.
    pub(super) fn say(&mut self, text: &str) {
        // What was measured has its figures with their units; in the words about it they have lost some.
        if !self.measured {
            for token in tokens(text) {
                if let Token::Number(number, _) = token {
                    self.figure(Number { slack: 0.0, ..number }, Role::Said);
                }
            }
        }
        if self.words.len() < ITEM_BYTES {
            self.words.push('\n');
            self.words.push_str(&plain(text));
        }
        self.quote(text);
    }

    /// Words about it that are our own: their figures are held with their units already.
    pub(super) fn quote(&mut self, text: &str) {
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
                for line in text.lines().skip(1) {
                    for token in tokens(line) {
                        if let Token::Number(number, _) = token {
                            self.figure(number, Role::Sample);
                        }
                    }
                }
                self.quote(text);
            }
            EvidenceKind::Log | EvidenceKind::Edge => self.quote(text),
            _ => self.say(text),
        }
    }

    fn figure(&mut self, number: Number, role: Role) {
        if number.value.is_finite() {
            self.figures.push(Figure { number, role });
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
        let mut change = |value: f64, unit: Unit| self.figure(Number::exact(value, unit), Role::Change);
        change(after / before, Unit::Times);
        change(before / after, Unit::Times);
        change((after - before) / before * 100.0, Unit::Percent);
        change(after - before, unit);
    }

    /// Takes in everything an evidence item holds.
    pub(super) fn hold(&mut self, evidence: &Evidence) {
        self.shown = Shown::of(evidence);
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
                self.say(&metric.metric);
                self.say(&metric.labels.to_string());
                let band = metric.baseline;
                for (value, role) in [
                    (band.low, Role::Before),
                    (band.median, Role::Median),
                    (band.high, Role::Before),
                    (metric.peak, Role::Peak),
                    (metric.last, Role::After),
                ] {
                    self.figure(Number::exact(value, unit), role);
                }
                self.figure(Number::exact(metric.score, Unit::Bare), Role::After);
                self.compare(band.median, metric.peak, unit);
                self.compare(band.median, metric.last, unit);
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
                self.moment(log.first);
            }
            Detail::Edge(edge) => {
                self.say(&edge.client);
                self.say(&edge.server);
                self.before_after(edge.rate, Unit::Rate(1.0));
                self.before_after(edge.errors, Unit::Percent);
                self.before_after(edge.client_seconds, Unit::Seconds(1.0));
                self.before_after(edge.server_seconds, Unit::Seconds(1.0));
                self.before_after(edge.p95, Unit::Seconds(1.0));
                if edge.p95.before.or(edge.p95.after).is_some() {
                    self.say("p95");
                }
            }
            Detail::Change(change) => {
                for text in [change.kind.as_str(), &change.service, &change.reference, &change.summary, &change.author]
                {
                    self.say(text);
                }
                self.say(change.diff.as_ref().map_or("", Text::as_str));
                self.moment(Some(change.at));
            }
            Detail::Runbook { text } | Detail::Query { text } => self.say(text),
        }
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

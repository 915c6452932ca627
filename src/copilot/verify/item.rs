//! What an item of evidence says, ready to be searched: its words, figures and times.

use super::figures::{Number, Token, Unit, tokens};
use super::sense::Shown;
use super::text::plain;
use crate::domain::Text;
use crate::domain::Timestamp;
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, MetricDetail};

/// Text of one item that is searched at most, in bytes.
const ITEM_BYTES: usize = 64 << 10;
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// As [`plain`] makes it.
    pub(super) text: String,
    pub(super) numbers: Vec<Number>,
    pub(super) times: Vec<Timestamp>,
    pub(super) shown: Shown,
    /// Whether its figures are held apart from its words.
    pub(super) measured: bool,
}

impl Item {
    pub(super) fn say(&mut self, text: &str) {
        // What was measured has its figures with their units; in the words about it they have lost some.
        if !self.measured {
            for token in tokens(text) {
                if let Token::Number(number, _) = token {
                    self.numbers.push(Number { slack: 0.0, ..number });
                }
            }
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

    pub(super) fn clock(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.say(&at.to_rfc3339());
            self.say(&at.to_clock());
        }
    }

    pub(super) fn figure(&mut self, value: f64, unit: Unit) {
        if value.is_finite() {
            self.numbers.push(Number::exact(value, unit));
        }
    }

    pub(super) fn before_after(&mut self, figures: BeforeAfter, unit: Unit) {
        let scale = if unit == Unit::Percent { 100.0 } else { 1.0 };
        for value in [figures.before, figures.after].into_iter().flatten() {
            self.figure(value * scale, unit);
        }
        if let (Some(before), Some(after)) = (figures.before, figures.after) {
            self.compare(before, after);
        }
    }

    /// How many times as much, and how much more in per cent.
    pub(super) fn compare(&mut self, before: f64, after: f64) {
        if before != 0.0 {
            self.figure(after / before, Unit::Times);
            self.figure((after - before) / before * 100.0, Unit::Percent);
        }
        if after != 0.0 {
            self.figure(before / after, Unit::Times);
        }
    }

    /// Takes in everything an evidence item holds.
    pub(super) fn hold(&mut self, evidence: &Evidence) {
        self.shown = Shown::of(evidence);
        self.say(&evidence.title);
        self.say(evidence.service.as_deref().unwrap_or_default());
        self.say(&evidence.provenance.expr);
        self.times.extend(evidence.onset);
        self.clock(evidence.onset);
        match &evidence.detail {
            Detail::Alert(alert) => {
                for (name, value) in alert.labels.iter().chain(alert.annotations.iter()) {
                    self.say(name);
                    self.say(value);
                }
                self.say(alert.expression.as_deref().unwrap_or_default());
                self.times.push(alert.starts_at);
                self.clock(Some(alert.starts_at));
            }
            Detail::Metric(metric) => {
                let unit = unit_of(metric);
                self.say(&metric.metric);
                self.say(&metric.labels.to_string());
                let band = metric.baseline;
                for value in [band.low, band.median, band.high, metric.peak, metric.last] {
                    self.figure(value, unit);
                }
                self.figure(metric.score, Unit::Bare);
                self.compare(band.median, metric.peak);
                self.compare(band.median, metric.last);
            }
            Detail::Log(log) => {
                self.say(&log.template);
                for entry in &log.exemplars {
                    self.say(&entry.line);
                    self.say(&entry.labels.to_string());
                }
                self.figure(log.baseline_count as f64, Unit::Bare);
                self.figure(log.window_count as f64, Unit::Bare);
                self.figure(log.baseline_per_minute, Unit::Rate(1.0 / 60.0));
                self.figure(log.window_per_minute, Unit::Rate(1.0 / 60.0));
                self.compare(log.baseline_per_minute, log.window_per_minute);
                self.times.extend(log.first);
                self.clock(log.first);
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
                self.times.push(change.at);
                self.clock(Some(change.at));
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

//! Cited evidence held against fresh answers to the very queries that it came from.
//!
//! The answers are read as the first ones were: the same analysis of the same stretches of time makes the figures that
//! are compared, so that the same data gives the same figures, and a difference is one of the data.

use std::collections::{BTreeMap, HashSet};

use crate::analysis::edges::{compare_edges, graph};
use crate::analysis::entity::service_of;
use crate::analysis::inquiry::timing;
use crate::analysis::metrics::compare_metrics;
use crate::analysis::periods::Periods;
use crate::analysis::sequences::broken_habits;
use crate::analysis::templates::LogReading;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::evidence::{Detail, EdgeDetail, Evidence, EvidenceId, LogDetail, MetricDetail};
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Answer, Asked, Data, Lang, Planned, Purpose, Query};
use crate::domain::recheck::{Outcome, Rechecked};
use crate::domain::snapshot::{MetricAnswer, Snapshot};
use crate::domain::{Labels, Text, TimeRange, Timestamp};

use super::answers::{self, figure};

/// Most items that are asked again in one go.
pub const MOST_ITEMS: usize = 20;
/// Figures no farther apart than this share of the larger one are the same.
const TOLERANCE: f64 = 0.01;
/// Characters of an answer that is told to be another one.
const TOLD: usize = 200;

/// A question with what came of it.
pub type Answered = (Asked, Option<Answer>);

/// Ids that a diagnosis cites, each once: of the likeliest hypothesis first, observations last.
pub fn cited(diagnosis: &Diagnosis) -> Vec<EvidenceId> {
    let claims = diagnosis
        .hypotheses
        .iter()
        .flat_map(|hypothesis| hypothesis.supporting.iter().chain(&hypothesis.contradicting))
        .chain(&diagnosis.observations);
    let mut ids: Vec<EvidenceId> = Vec::new();
    for id in claims.flat_map(|claim| &claim.evidence).filter_map(|id| id.parse().ok()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The questions behind these items, each once, in a fixed order.
pub fn questions(snapshot: &Snapshot, items: &[&Evidence]) -> Vec<Planned> {
    let mut seen = HashSet::new();
    items
        .iter()
        .filter_map(|item| behind(snapshot, item).ok())
        .flatten()
        .filter(|query| seen.insert(query.clone()))
        .map(|query| Planned { query, purpose: Purpose::Question })
        .collect()
}

/// Says of each item whether the fresh answers to its questions still say the same. What has no answer among them is
/// not compared, with the reason.
pub fn compare(snapshot: &Snapshot, items: &[&Evidence], answers: &[Answered]) -> Vec<Rechecked> {
    let fresh = Fresh::of(snapshot, items, answers);
    items.iter().map(|item| fresh.judge(item)).collect()
}

/// The queries behind an item; why there is none.
fn behind(snapshot: &Snapshot, item: &Evidence) -> Result<Vec<Query>, &'static str> {
    let answered = || snapshot.asked.iter().filter(|asked| asked.outcome.is_ok()).map(|asked| &asked.planned.query);
    let queries: Vec<Query> = match &item.detail {
        Detail::Alert(_) => vec![Query::Alerts],
        Detail::Metric(_) => answered().filter(|query| is_for(query, &item.provenance.expr)).cloned().collect(),
        Detail::Edge(_) => {
            // One edge is told by several metrics, and judged by what its neighbours do.
            let of_edges = |answer: &&MetricAnswer| matches!(answer.purpose, Purpose::Edge { .. });
            let all: Vec<&MetricAnswer> = snapshot.metrics.iter().filter(of_edges).collect();
            let of_any = |query: &&Query| all.iter().any(|answer| is_for(query, &answer.provenance.expr));
            answered().filter(of_any).cloned().collect()
        }
        Detail::Log(_) => answered().filter(|query| is_log_question(snapshot, query)).cloned().collect(),
        Detail::Query { .. } => vec![asked_on_the_way(item).ok_or("how finely it was asked is not known")?],
        Detail::Change(_) => return Err("a change that was recorded stays recorded"),
        Detail::Runbook { .. } => return Err("a runbook is no answer to a query"),
    };
    if queries.is_empty() { Err("the queries behind it are not known") } else { Ok(queries) }
}

/// The question that an answer on the way came from: an expression at one instant, or the newest lines of a time.
fn asked_on_the_way(item: &Evidence) -> Option<Query> {
    let (lang, range, expr) = (item.provenance.lang?, item.provenance.range, item.provenance.expr.clone());
    if answers::gives_lines(lang, &expr) {
        return Some(answers::newest_lines(expr, range));
    }
    range.duration().is_zero().then_some(Query::Instant { lang, expr, at: range.start })
}

/// Whether a query is one of those that a metric question of this expression is asked by: an evaluation, or the raw
/// samples of a selector.
fn is_for(query: &Query, expr: &str) -> bool {
    match query {
        Query::Range { lang: Lang::PromQl, expr: asked, .. } => asked == expr,
        Query::Instant { lang: Lang::PromQl, expr: asked, .. } => {
            let span = asked.strip_prefix(expr).and_then(|rest| rest.strip_prefix('[')?.strip_suffix("s]"));
            span.is_some_and(|span| !span.is_empty() && span.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => false,
    }
}

fn is_log_question(snapshot: &Snapshot, query: &Query) -> bool {
    let Query::Logs { expr, range, .. } = query else { return false };
    snapshot.log_questions.iter().any(|question| question.expr == *expr && question.range == *range)
}

/// What the fresh answers say.
struct Fresh<'a> {
    snapshot: &'a Snapshot,
    answers: BTreeMap<String, &'a Answered>,
    /// By expression, metric and labels.
    metrics: BTreeMap<(String, String, Labels), MetricDetail>,
    /// By caller and callee.
    edges: BTreeMap<(String, String), EdgeDetail>,
    /// By service and template.
    logs: Vec<(String, LogDetail)>,
    lines: Snapshot,
}

impl<'a> Fresh<'a> {
    fn of(snapshot: &'a Snapshot, items: &[&Evidence], answers: &'a [Answered]) -> Self {
        let answers = answers.iter().map(|answered| (key(&answered.0.planned.query), answered)).collect();
        let mut fresh = Self {
            snapshot,
            answers,
            metrics: BTreeMap::new(),
            edges: BTreeMap::new(),
            logs: Vec::new(),
            lines: bare(snapshot),
        };
        let has = |wanted: fn(&Detail) -> bool| items.iter().any(|item| wanted(&item.detail));
        if has(|detail| matches!(detail, Detail::Metric(_))) {
            let cited = |expr: &str| {
                items.iter().any(|item| matches!(item.detail, Detail::Metric(_)) && item.provenance.expr == expr)
            };
            let answers = fresh.metric_answers(|answer| !is_edge(answer) && cited(&answer.provenance.expr));
            let found = compare_metrics(&Snapshot { metrics: answers, ..bare(snapshot) });
            fresh.metrics = found
                .into_iter()
                .map(|one| {
                    let key = (one.provenance.expr, one.detail.metric.clone(), one.detail.labels.clone());
                    (key, one.detail)
                })
                .collect();
        }
        if has(|detail| matches!(detail, Detail::Edge(_))) {
            let found = compare_edges(&Snapshot { metrics: fresh.metric_answers(is_edge), ..bare(snapshot) });
            let by_ends = |detail: EdgeDetail| ((detail.client.clone(), detail.server.clone()), detail);
            fresh.edges = found.into_iter().map(|one| by_ends(one.detail)).collect();
        }
        if has(|detail| matches!(detail, Detail::Log(_))) {
            fresh.read_logs();
        }
        fresh
    }

    /// The metric answers that are wanted, with the fresh series in place of theirs.
    fn metric_answers(&self, wanted: impl Fn(&MetricAnswer) -> bool) -> Vec<MetricAnswer> {
        let incident = &self.snapshot.incident;
        let mut stretches = timing::stretches(incident.window, incident.baseline);
        stretches.extend(&self.snapshot.seasons);
        let mut found = Vec::new();
        for answer in self.snapshot.metrics.iter().filter(|answer| wanted(answer)) {
            let mut series: Vec<Series> = Vec::new();
            for (asked, fresh) in self.answers.values() {
                let query = &asked.planned.query;
                let (Some(Data::Series(found)), Some(range)) = (fresh.as_ref().map(|one| &one.data), query.range())
                else {
                    continue;
                };
                if !is_for(query, &answer.provenance.expr) {
                    continue;
                }
                let stretch = stretches.iter().copied().find(|one| one.end == range.end).unwrap_or(range);
                series.extend(found.iter().map(|one| within(one, stretch)));
            }
            found.push(MetricAnswer { series: Series::in_order(&series), ..without_series(answer) });
        }
        found
    }

    fn read_logs(&mut self) {
        let mut lines = bare(self.snapshot);
        for asked in &self.snapshot.asked {
            let again = self.answers.get(&key(&asked.planned.query));
            lines.asked.push(again.map_or_else(|| asked.clone(), |again| again.0.clone()));
            if let Some(Data::Logs(entries)) = again.and_then(|again| again.1.as_ref()).map(|answer| &answer.data) {
                lines.logs.extend(entries.iter().cloned());
            }
        }
        lines
            .logs
            .sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.labels.cmp(&b.labels)).then_with(|| a.line.cmp(&b.line)));
        let reading = LogReading::of(&lines.logs, Periods::of(&lines));
        let known = graph(self.snapshot);
        let calls = |caller: &str, callee: &str| {
            known.is_empty() || known.iter().any(|edge| edge.client == caller && edge.server == callee)
        };
        let habits = broken_habits(&reading, &calls).into_iter().map(|one| (one.service, one.detail));
        self.logs = reading.compare().into_iter().map(|one| (one.service, one.detail)).chain(habits).collect();
        self.lines = lines;
    }

    fn judge(&self, item: &Evidence) -> Rechecked {
        let not_asked =
            |why: &str| Rechecked { id: item.id, outcome: Outcome::NotAsked { why: Text::from(why) }, remark: None };
        let queries = match behind(self.snapshot, item) {
            Ok(queries) => queries,
            Err(why) => return not_asked(why),
        };
        let mut cut = false;
        for query in &queries {
            match self.answers.get(&key(query)) {
                Some((_, Some(answer))) => cut |= answer.is_cut(),
                Some((asked, None)) => {
                    let why = asked.outcome.as_ref().err().map_or("", |why| why.as_str());
                    return not_asked(&format!("no answer this time: {why}"));
                }
                None => return not_asked("its query was not asked again"),
            }
        }
        let remark = cut.then(|| Text::from("the fresh answer was cut"));
        let outcome = match &item.detail {
            Detail::Alert(alert) => self.alert(alert),
            Detail::Metric(metric) => {
                let key = (item.provenance.expr.clone(), metric.metric.clone(), metric.labels.clone());
                self.metrics.get(&key).map_or(Outcome::Gone, |now| metrics_differ(metric, now))
            }
            Detail::Edge(edge) => {
                let now = self.edges.get(&(edge.client.clone(), edge.server.clone()));
                now.map_or(Outcome::Gone, |now| edges_differ(edge, now))
            }
            Detail::Log(log) => self.log(item, log),
            Detail::Query { text } => self.answer(item, &queries[0], text),
            Detail::Change(_) | Detail::Runbook { .. } => Outcome::Gone,
        };
        Rechecked { id: item.id, outcome, remark }
    }

    fn alert(&self, alert: &Alert) -> Outcome {
        let answer = self.answers.get(&key(&Query::Alerts)).and_then(|answered| answered.1.as_ref());
        let Some(Data::Alerts(alerts)) = answer.map(|answer| &answer.data) else { return Outcome::Gone };
        let same = alerts.iter().find(|one| one.fingerprint == alert.fingerprint && one.labels == alert.labels);
        let now = same.or_else(|| alerts.iter().find(|one| one.labels == alert.labels)).map(|one| one.state);
        // A server forgets what is over.
        match now.unwrap_or(AlertState::Resolved) {
            now if now == alert.state => Outcome::Same,
            now => changed(state_word(alert.state), state_word(now)),
        }
    }

    fn log(&self, item: &Evidence, log: &LogDetail) -> Outcome {
        let service = item.service.as_deref().unwrap_or_default();
        let same = |(name, one): &&(String, LogDetail)| name == service && one.template == log.template;
        let way = |one: &LogDetail| one.branch.as_ref().map(|branch| (branch.from.clone(), branch.now.clone()));
        let alike = self.logs.iter().filter(same).find(|(_, one)| way(one) == way(log));
        if let Some((_, now)) = alike.or_else(|| self.logs.iter().find(same)) {
            let counts = |one: &LogDetail| (one.baseline_count, one.window_count);
            let (before, after) = (counts(log), counts(now));
            let is_same = near(before.0 as f64, after.0 as f64) && near(before.1 as f64, after.1 as f64);
            let words = |(baseline, window)| format!("{window} lines ({baseline} in the baseline)");
            return if is_same { Outcome::Same } else { changed(&words(before), &words(after)) };
        }
        // The template deviates no more, or the fresh lines make another one of it: the lines are counted that fit.
        let window = self.snapshot.incident.window;
        let fits = |at: Timestamp, labels: &Labels| {
            (window.contains(at) || at == window.end) && service_of(labels).as_deref().unwrap_or_default() == service
        };
        let shown = self.lines.logs.iter().filter(|entry| fits(entry.at, &entry.labels));
        let count = shown.filter(|entry| log.shows(&entry.line)).count() as u64;
        match count {
            count if near(count as f64, log.window_count as f64) => Outcome::Same,
            0 => Outcome::Gone,
            count => changed(&format!("{} lines", log.window_count), &format!("{count} lines")),
        }
    }

    fn answer(&self, item: &Evidence, query: &Query, text: &Text) -> Outcome {
        let Some((asked, answer)) = self.answers.get(&key(query)) else { return Outcome::Gone };
        let now = answers::evidence(item.id.number, asked, answer.as_ref(), answers::Bounds::default());
        match &now.detail {
            Detail::Query { text: now } if now == text => Outcome::Same,
            Detail::Query { text: now } => {
                let (before, now) = first_difference(text, now);
                changed(&before, &now)
            }
            _ => Outcome::Gone,
        }
    }
}

/// A query as a key: two are the same when they ask the same.
fn key(query: &Query) -> String {
    format!("{query:?}")
}

fn is_edge(answer: &MetricAnswer) -> bool {
    matches!(answer.purpose, Purpose::Edge { .. })
}

fn without_series(answer: &MetricAnswer) -> MetricAnswer {
    MetricAnswer { purpose: answer.purpose.clone(), provenance: answer.provenance.clone(), series: Vec::new() }
}

/// The snapshot without what was gathered: the incident and its stretches of time.
fn bare(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        incident: snapshot.incident.clone(),
        rules: Vec::new(),
        metrics: Vec::new(),
        logs: Vec::new(),
        log_questions: Vec::new(),
        changes: Vec::new(),
        runbooks: Vec::new(),
        seasons: snapshot.seasons.clone(),
        spoiled: snapshot.spoiled.clone(),
        asked: Vec::new(),
        notes: Vec::new(),
    }
}

/// The samples inside the stretch, both ends included.
fn within(series: &Series, stretch: TimeRange) -> Series {
    let inside = |sample: &&Sample| stretch.start <= sample.at && sample.at <= stretch.end;
    Series { labels: series.labels.clone(), samples: series.samples.iter().filter(inside).copied().collect() }
}

/// Two answers from the first line on that differs, each in one line: what they begin with alike tells nothing.
fn first_difference(before: &Text, now: &Text) -> (String, String) {
    let alike = before.lines().zip(now.lines()).take_while(|(before, now)| before == now).count();
    let told = |text: &Text| {
        let rest: Vec<&str> = text.lines().skip(alike).collect();
        if rest.is_empty() {
            return "no more".to_owned();
        }
        Text::from(Text::from(rest.join("\n")).one_line().into_owned()).truncated(TOLD).to_string()
    };
    (told(before), told(now))
}

fn changed(before: &str, now: &str) -> Outcome {
    Outcome::Changed { before: Text::from(before), now: Text::from(now) }
}

/// Whether two figures are the same but for rounding.
fn near(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq()
        || (a.is_nan() && b.is_nan())
        || (a.is_finite() && b.is_finite() && (a - b).abs() <= (TOLERANCE * a.abs().max(b.abs())).max(1e-9))
}

fn metrics_differ(before: &MetricDetail, now: &MetricDetail) -> Outcome {
    let unit = if before.unit.is_empty() { String::new() } else { format!(" {}", before.unit) };
    let figures = [("peak", before.peak, now.peak), ("last", before.last, now.last)];
    let (mut told, mut told_now) = (Vec::new(), Vec::new());
    for (name, before, now) in figures.into_iter().filter(|(_, before, now)| !near(*before, *now)) {
        let words = |value: f64| {
            if value.is_nan() { format!("no {name} value") } else { format!("{name} {}{unit}", figure(value)) }
        };
        told.push(words(before));
        told_now.push(words(now));
    }
    if told.is_empty() { Outcome::Same } else { changed(&told.join(", "), &told_now.join(", ")) }
}

fn edges_differ(before: &EdgeDetail, now: &EdgeDetail) -> Outcome {
    let figures = [
        ("requests/s", before.rate.after, now.rate.after),
        ("failed share", before.errors.after, now.errors.after),
        ("s waited", before.client_seconds.after, now.client_seconds.after),
        ("s worked", before.server_seconds.after, now.server_seconds.after),
    ];
    let differ = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => !near(a, b),
        (a, b) => a.is_some() != b.is_some(),
    };
    let (mut told, mut told_now) = (Vec::new(), Vec::new());
    for (name, before, now) in figures.into_iter().filter(|(_, before, now)| differ(*before, *now)) {
        let words = |value: Option<f64>| {
            value.map_or_else(|| format!("no {name}"), |value| format!("{} {name}", figure(value)))
        };
        told.push(words(before));
        told_now.push(words(now));
    }
    if told.is_empty() { Outcome::Same } else { changed(&told.join(", "), &told_now.join(", ")) }
}

const fn state_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Active => "firing",
        AlertState::Suppressed => "firing, suppressed",
        AlertState::Pending => "pending",
        AlertState::Resolved => "resolved",
    }
}

#[cfg(test)]
mod tests;

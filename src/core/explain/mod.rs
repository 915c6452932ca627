//! What is seen on the screen, explained without a network and without a model: a query, a chart, a log template, an
//! alert rule, a command.

mod command;
pub mod promql;
mod template;

use crate::core::figures::figure;
use crate::core::model::{Case, Model};
use crate::core::screen::{Pane, Screen, Subject, Topic};
use crate::core::{diagnosis_rows, rows};
use crate::domain::analysis::Suspect;
use crate::domain::evidence::{Detail, Evidence, EvidenceId, MetricDetail, Turn};
use crate::domain::log::LogEntry;
use crate::domain::query::{Lang, Query};

/// A line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A heading.
    Heading(String),
    /// A sentence, set in by so many levels.
    Line(usize, String),
    /// Something exact: a query, a command, a template.
    Exact(String),
}

/// What can be explained of what is selected.
pub fn topic(model: &Model) -> Option<Topic> {
    let id = match model.top() {
        Screen::Detail(detail) => match &detail.subject {
            Subject::Evidence { ids, at } => Some(*ids.get(*at)?),
            Subject::Asked(index) => {
                let found = model.cases.get(&detail.incident)?.investigation.value.as_ref()?;
                return Some(asked(&found.asked.get(*index)?.planned.query));
            }
            _ => None,
        },
        Screen::Incident(screen) => {
            let case = model.cases.get(&screen.incident)?;
            let (list, at) = (screen.list(), screen.list().cursor);
            match screen.pane {
                Pane::Suspects => rows::suspects(case, list).get(at).and_then(|one| drawn(case, one)),
                Pane::Evidence => rows::evidence(case, list).get(at).map(|item| item.id),
                Pane::Actions => {
                    return rows::actions(case, list).get(at).map(|one| Topic::Action(one.action.id.clone()));
                }
                Pane::Asked => {
                    return rows::asked(case, list).get(at).map(|(_, one)| asked(&one.planned.query));
                }
                Pane::Diagnosis => {
                    let rows = diagnosis_rows::rows(case, list);
                    let row = rows.get(at)?;
                    if let diagnosis_rows::Kind::Check(check) = &row.kind {
                        return Some(Topic::Query(check.query.to_string()));
                    }
                    row.links.get(screen.link).or_else(|| row.links.first()).copied()
                }
                Pane::Timeline => rows::timeline(case, list).get(at).and_then(|moment| moment.evidence),
                Pane::Logs => rows::logs(case, list).get(at).and_then(|(_, entry)| template_of(case, entry)),
            }
        }
        _ => None,
    };
    id.map(Topic::Evidence)
}

/// What was asked of a source: an expression, or one of its look-ups.
fn asked(query: &Query) -> Topic {
    let whose = |matchers: &[String]| match matchers {
        [] => "all series".to_owned(),
        some => format!("the series {}", some.join(" or ")),
    };
    let words = match query {
        Query::Instant { .. } | Query::Range { .. } | Query::Logs { .. } => return Topic::Query(query.expression()),
        Query::Alerts => "the alerts that fire now, with their labels and since when".to_owned(),
        Query::AlertGroups => "the alerts as they are grouped for those who are told".to_owned(),
        Query::Silences => "the silences: which alerts nobody is told of, until when, and why".to_owned(),
        Query::AlertmanagerStatus => "the version of Alertmanager and the state of its cluster".to_owned(),
        Query::Rules => "the alerting and recording rules, with their expressions".to_owned(),
        Query::Targets => "what is scraped for metrics, and whether the last scrape went well".to_owned(),
        Query::Metadata => "the type, unit and help text of each metric".to_owned(),
        Query::BuildInfo => "the version of the server".to_owned(),
        Query::LabelNames { matchers, .. } => format!("the names of the labels of {}", whose(matchers)),
        Query::LabelValues { label, matchers, .. } => {
            format!("the values that the label {label} has in {}", whose(matchers))
        }
        Query::Series { matchers, .. } => format!("which series there are, with all their labels: {}", whose(matchers)),
        Query::LogVolume { expr, .. } => format!("how much was logged over time by the streams {expr}"),
        Query::LogPatterns { expr, .. } => format!("the patterns that the server finds in the lines of {expr}"),
        Query::DetectedFields { expr, .. } => format!("the fields that the server finds in the lines of {expr}"),
        Query::Changes { .. } => "what was changed: deployments, configuration, flags".to_owned(),
    };
    Topic::Lookup { name: query.expression(), words }
}

/// What stands largest beside a suspect: its first chart; where it has none, the first of its proof.
fn drawn(case: &Case, suspect: &Suspect) -> Option<EvidenceId> {
    let analysis = &case.investigation.value.as_ref()?.analysis;
    let charted = |id: &EvidenceId| {
        let detail = analysis.evidence(*id).map(|item| &item.detail);
        matches!(detail, Some(Detail::Metric(metric)) if !metric.samples.is_empty())
    };
    let speaking = rows::suspect_evidence(case, suspect).into_iter().find(charted);
    speaking.or_else(|| rows::proof(case, suspect).first().copied())
}

/// The log template among the evidence that a line is one of.
fn template_of(case: &Case, entry: &LogEntry) -> Option<EvidenceId> {
    let analysis = &case.investigation.value.as_ref()?.analysis;
    let service = entry.labels.service();
    let item = analysis.evidence.iter().find(|item| match &item.detail {
        Detail::Log(log) => (service.is_none() || item.service.as_deref() == service) && log.shows(&entry.line),
        _ => false,
    })?;
    Some(item.id)
}

/// Why there is nothing to explain where one is, with what can be.
pub fn why_not(model: &Model) -> Option<String> {
    if topic(model).is_some() {
        return None;
    }
    let pane = match model.top() {
        Screen::Incident(screen) => Some(screen.pane),
        _ => None,
    };
    let why = match pane {
        _ if model.current().is_some_and(|case| case.investigation.value.is_none()) => {
            "the incident is still being investigated"
        }
        Some(Pane::Suspects) => "this suspect has no evidence of its own; 2 lists all evidence, x explains each of it",
        Some(Pane::Logs) => "no template among the evidence is that of this line; 2 lists those that changed",
        Some(Pane::Diagnosis) => "this line cites no evidence; x explains a line that does, or a check",
        Some(Pane::Actions) => "no action is suggested yet",
        _ => "x explains evidence, a query, or a suggested command",
    };
    Some(why.to_owned())
}

/// The explanation.
pub fn explain(case: &Case, topic: &Topic) -> Vec<Said> {
    let analysis = case.investigation.value.as_ref().map(|found| &found.analysis);
    match topic {
        Topic::Evidence(id) => match analysis.and_then(|analysis| analysis.evidence(*id)) {
            Some(item) => evidence(item),
            None => vec![Said::Line(0, "this item no longer exists: the incident was examined anew".to_owned())],
        },
        Topic::Action(id) => {
            let actions = case.acting().into_iter().flat_map(|made| &made.actions);
            match actions.into_iter().find(|one| one.action.id == *id) {
                Some(one) => {
                    let mut said = vec![Said::Exact(crate::core::copy::command_line(&one.action.argv))];
                    said.push(Said::Heading("What it would do, by the gate's own tables".to_owned()));
                    said.extend(command::explain(&one.action, &one.judged).into_iter().map(|line| Said::Line(0, line)));
                    said.push(Said::Heading("Why it is suggested".to_owned()));
                    said.push(Said::Line(0, one.action.rationale.to_string()));
                    said
                }
                None => vec![Said::Line(0, "this action is no longer suggested".to_owned())],
            }
        }
        Topic::Query(query) => self::query(query),
        Topic::Lookup { name, words } => vec![
            Said::Exact(name.clone()),
            Said::Heading("In words".to_owned()),
            Said::Line(0, format!("a look-up, not a query: it asks the source for {words}")),
        ],
    }
}

/// The question that asks a model for more.
pub fn question(case: &Case, topic: &Topic) -> String {
    match topic {
        Topic::Evidence(id) => {
            let title = case
                .investigation
                .value
                .as_ref()
                .and_then(|found| found.analysis.evidence(*id))
                .map_or_else(String::new, |item| format!(" ({})", item.title.one_line()));
            format!("Explain {id}{title}: what does it mean for this incident, and what would confirm it?")
        }
        Topic::Action(id) => {
            let actions = case.acting().into_iter().flat_map(|made| &made.actions);
            let argv = actions.into_iter().find(|one| one.action.id == *id).map(|one| one.action.argv.as_slice());
            let line = argv.map(crate::core::copy::command_line).unwrap_or_default();
            format!("What would `{line}` do here, what could go wrong, and how would I see that it helped?")
        }
        Topic::Lookup { words, .. } => format!("What is there to know of this incident in {words}?"),
        Topic::Query(query) => format!("What does the query `{query}` tell about this incident?"),
    }
}

fn query(query: &str) -> Vec<Said> {
    let mut said = vec![Said::Exact(query.to_owned())];
    said.push(Said::Heading("In words".to_owned()));
    steps(&mut said, query);
    said
}

fn steps(said: &mut Vec<Said>, expression: &str) {
    match promql::explain(expression) {
        Ok(steps) => said.extend(steps.into_iter().map(|step| Said::Line(step.depth, step.text))),
        Err(_) if expression.trim_start().starts_with('{') => said.extend(template::logql(expression)),
        Err(why) => said.push(Said::Line(0, why)),
    }
}

fn evidence(item: &Evidence) -> Vec<Said> {
    let mut said = vec![Said::Exact(format!("[{}] {}", item.id, item.title.one_line()))];
    match &item.detail {
        Detail::Alert(alert) => {
            said.push(Said::Heading("The rule in words".to_owned()));
            match &alert.expression {
                Some(expression) => {
                    if let Some(condition) = promql::condition(expression) {
                        said.push(Said::Line(0, format!("it fires while {condition}")));
                    } else {
                        said.push(Said::Line(0, "it fires while this gives any series:".to_owned()));
                    }
                    steps(&mut said, expression);
                    said.push(Said::Exact(expression.clone()));
                }
                None => said.push(Said::Line(
                    0,
                    "its expression is not known: neither its link nor the rules tell it".to_owned(),
                )),
            }
            said.push(Said::Heading("This alert".to_owned()));
            said.push(Said::Line(0, format!("{} says: {}", alert.name(), alert.summary())));
            said.push(Said::Line(0, format!("it has fired since {}", alert.starts_at.to_clock())));
            if !alert.suppressed_by.is_empty() {
                said.push(Said::Line(
                    0,
                    format!("nobody is told, for it is suppressed by {}", alert.suppressed_by.join(", ")),
                ));
            }
        }
        Detail::Metric(metric) => chart(&mut said, item, metric),
        Detail::Log(log) => template::log(&mut said, item, log),
        Detail::Edge(edge) => {
            said.push(Said::Heading("In words".to_owned()));
            said.push(Said::Line(0, format!("{} calls {}; both ends measure it", edge.client, edge.server)));
            let seconds = |value: Option<f64>| value.map_or_else(|| "nothing".to_owned(), |value| figure(value, "s"));
            let (waits, works) = (edge.client_seconds, edge.server_seconds);
            said.push(Said::Line(
                0,
                format!("the caller waits {} on average, {} before", seconds(waits.after), seconds(waits.before)),
            ));
            said.push(Said::Line(
                0,
                format!(
                    "the callee itself works {} on average, {} before",
                    seconds(works.after),
                    seconds(works.before)
                ),
            ));
            said.push(Said::Line(0, place_of_delay(waits.after, works.after)));
        }
        Detail::Change(change) => {
            // A commit may touch no service that is known, and have no name.
            let of = if change.service.is_empty() { String::new() } else { format!(" of {}", change.service) };
            let reference = if change.reference.is_empty() { String::new() } else { format!(", {}", change.reference) };
            said.push(Said::Heading("In words".to_owned()));
            said.push(Said::Line(0, format!("a {}{of} at {}{reference}", change.kind, change.at.to_clock())));
            said.push(Said::Line(
                0,
                "a change is suspected when it came before the first deviation and touches where it is".to_owned(),
            ));
        }
        Detail::Runbook { .. } => said.push(Said::Line(0, "a text that people wrote for this alert".to_owned())),
        Detail::Query { .. } => {
            said.push(Said::Line(0, "the answer to a query that was asked on the way".to_owned()));
        }
    }
    if !matches!(item.detail, Detail::Alert(_)) && !item.provenance.expr.is_empty() {
        said.push(Said::Heading("Where it comes from".to_owned()));
        said.push(Said::Line(
            0,
            format!(
                "{}, from {} to {}",
                item.provenance.source,
                item.provenance.range.start.to_clock(),
                item.provenance.range.end.to_clock()
            ),
        ));
        said.push(Said::Exact(item.provenance.expr.clone()));
        if item.provenance.lang == Some(Lang::PromQl) {
            steps(&mut said, &item.provenance.expr);
        } else if item.provenance.lang == Some(Lang::LogQl) {
            said.extend(template::logql(&item.provenance.expr));
        }
    }
    said
}

/// Whether the time is lost in the callee or on the way.
fn place_of_delay(waits: Option<f64>, works: Option<f64>) -> String {
    match (waits, works) {
        (Some(waits), Some(works)) if works >= waits * 0.8 => "so the time is spent in the callee".to_owned(),
        (Some(waits), Some(works)) if works <= waits * 0.2 => {
            "so the time is lost between the two: network, queue, or connections".to_owned()
        }
        (Some(_), Some(_)) => "so the time is spent partly in the callee and partly on the way to it".to_owned(),
        _ => "only one end measures, so where the time is spent is not known".to_owned(),
    }
}

fn chart(said: &mut Vec<Said>, item: &Evidence, metric: &MetricDetail) {
    let show = |value: f64| figure(value, &metric.unit);
    let band = metric.baseline;
    said.push(Said::Heading("The chart in words".to_owned()));
    let unit = match metric.unit.as_str() {
        "s" => "a time",
        "B" => "a size",
        "/s" => "a rate",
        "%" | "ratio" => "a share",
        _ => "a value",
    };
    let whose = item.service.as_ref().map_or_else(String::new, |service| format!(" of {service}"));
    said.push(Said::Line(0, format!("{}{whose}: {unit} over time", metric.metric)));
    if band.count == 0 {
        said.push(Said::Line(0, "there are no samples of before, so what is normal is not known".to_owned()));
    } else {
        said.push(Said::Line(
            0,
            format!(
                "the grey band is what was normal before: {} to {}, in the middle {}",
                show(band.low),
                show(band.high),
                show(band.median)
            ),
        ));
    }
    let turn = match metric.turn {
        Turn::Up => format!("it rose to {} at most, and was {} at the end", show(metric.peak), show(metric.last)),
        Turn::Down => format!("it fell to {} at least, and was {} at the end", show(metric.peak), show(metric.last)),
        Turn::Absent => "its samples ceased: what measured it, or what it measures, is gone".to_owned(),
        Turn::Flat => "it stayed where it usually is".to_owned(),
    };
    said.push(Said::Line(0, turn));
    if let Some(at) = item.onset {
        said.push(Said::Line(0, format!("it left its normal range at {} (the dotted line)", at.to_clock())));
    }
    if metric.score.is_finite() && metric.score != 0.0 && metric.turn != Turn::Absent {
        let far = figure(metric.score.abs(), "");
        said.push(Said::Line(
            0,
            format!("that is {far} times its usual spread away from the middle; beyond about 5 is rarely chance"),
        ));
    }
}

/// A regular expression over label values in words, for the simple ones that queries are made of.
fn matching(pattern: &str, positive: bool) -> String {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_/: ".contains(c));
    let alternatives: Vec<&str> = pattern.split('|').collect();
    let (is, begins, any) =
        if positive { ("is", "begins with", "has any value") } else { ("is not", "does not begin with", "is empty") };
    if pattern == ".*" || pattern == ".+" {
        return any.to_owned();
    }
    if alternatives.iter().all(|one| plain(one)) {
        return format!("{is} {}", alternatives.join(" or "));
    }
    if let Some(start) = pattern.strip_suffix(".*").or_else(|| pattern.strip_suffix(".+"))
        && plain(start)
    {
        return format!("{begins} {start}");
    }
    let dots = pattern.chars().rev().take_while(|c| *c == '.').count();
    let start = &pattern[..pattern.len() - dots];
    if dots > 0 && plain(start) && positive {
        let more = match dots {
            1 => "one more character".to_owned(),
            2 => "two more characters".to_owned(),
            more => format!("{more} more characters"),
        };
        return format!("begins with {start} and has {more}");
    }
    if positive { format!("matches {pattern}") } else { format!("does not match {pattern}") }
}

#[cfg(test)]
mod tests;

//! From the answers to the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use super::super::edges::endpoints;
use super::{Inquiry, Role};
use crate::domain::analysis::GraphEdge;
use crate::domain::log::LogEntry;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Data, Lang, Purpose};
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::{Labels, TimeRange, Timestamp};

/// The service graph as far as it was answered until now.
pub(super) fn graph_of(inquiry: &Inquiry) -> Vec<GraphEdge> {
    let mut edges = BTreeSet::new();
    for slot in &inquiry.slots {
        let Purpose::Edge { metric } = &slot.planned.purpose else { continue };
        if let Some(Data::Series(series)) = slot.answer.as_ref().map(|answer| &answer.data) {
            for one in series {
                if let Some((client, server)) = endpoints(metric, &one.labels) {
                    edges.insert(GraphEdge { client: client.to_owned(), server: server.to_owned() });
                }
            }
        }
    }
    edges.into_iter().collect()
}

pub(super) fn assemble(inquiry: Inquiry) -> Snapshot {
    let rules = inquiry.rules().to_vec();
    let shared = inquiry.shared_slices();
    let Inquiry { incident, slots, questions, mut foreign, notes, mut stretches, seasons, spoiled, .. } = inquiry;
    stretches.sort_by_key(|stretch| stretch.start);
    let last = stretches.last().map(|stretch| stretch.end);
    stretches.extend(&seasons);
    let mut answered_seasons = BTreeSet::new();
    let mut metrics: Vec<MetricAnswer> = questions
        .into_iter()
        .map(|question| MetricAnswer {
            purpose: question.purpose,
            provenance: Provenance {
                source: String::new(),
                lang: Some(Lang::PromQl),
                expr: question.expr,
                range: incident.window,
                notes: Vec::new(),
            },
            series: Vec::new(),
        })
        .collect();
    let mut merged: Vec<BTreeMap<Labels, Vec<Sample>>> = vec![BTreeMap::new(); metrics.len()];
    let mut logs: Vec<LogEntry> = Vec::new();
    let mut log_questions = Vec::new();
    let mut changes = Vec::new();
    let mut asked = Vec::new();
    for slot in slots {
        let source = slot.asked.as_ref().map(|asked| asked.source.clone()).unwrap_or_default();
        if let Some(entry) = slot.asked {
            asked.push(entry);
        }
        let Some(answer) = slot.answer else { continue };
        for role in &slot.roles {
            match (role, &answer.data) {
                (Role::Metric(number), Data::Series(series)) => {
                    let range = slot.planned.query.range().unwrap_or(incident.window);
                    let stretch = stretches.iter().copied().find(|s| s.end == range.end).unwrap_or(range);
                    if !series.is_empty() && seasons.contains(&stretch) {
                        answered_seasons.insert(stretch.start);
                    }
                    let target = &mut metrics[*number].provenance;
                    if target.source.is_empty() || last == Some(stretch.end) {
                        target.source.clone_from(&source);
                    }
                    target.notes.extend(
                        answer.notes.iter().filter(|note| !target.notes.contains(note)).cloned().collect::<Vec<_>>(),
                    );
                    for one in series {
                        merged[*number]
                            .entry(one.labels.clone())
                            .or_default()
                            .extend(one.samples.iter().filter(|sample| within(stretch, sample.at)));
                    }
                }
                (Role::Logs | Role::Share(_) | Role::Elsewhere, Data::Logs(entries)) => {
                    // What was cut gives way to the fair shares of the same time.
                    let range = slot.planned.query.range();
                    if *role == Role::Logs && range.is_some_and(|range| shared.contains(&range)) {
                        continue;
                    }
                    logs.extend(entries.iter().cloned());
                    let question = Provenance {
                        source: source.clone(),
                        lang: Some(Lang::LogQl),
                        expr: slot.planned.query.expression(),
                        range: slot.planned.query.range().unwrap_or(incident.window),
                        notes: answer.notes.clone(),
                    };
                    // The last question stands for all.
                    let place = if *role == Role::Elsewhere { 0 } else { log_questions.len() };
                    log_questions.insert(place, question);
                }
                (Role::Changes, Data::Changes(found)) => changes.clone_from(found),
                _ => {}
            }
        }
    }
    for (answer, series) in metrics.iter_mut().zip(merged) {
        answer.series =
            series.into_iter().map(|(labels, samples)| Series { labels, samples: in_order(samples) }).collect();
    }
    metrics.retain(|answer| !answer.series.is_empty());
    logs.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.labels.cmp(&b.labels)).then_with(|| a.line.cmp(&b.line)));
    changes
        .sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.reference.cmp(&b.reference)).then_with(|| a.kind.cmp(&b.kind)));
    foreign
        .sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.planned.query.expression().cmp(&b.planned.query.expression())));
    asked.extend(foreign);
    Snapshot {
        incident,
        rules,
        metrics,
        logs,
        log_questions,
        changes,
        runbooks: Vec::new(),
        seasons: seasons.into_iter().filter(|season| answered_seasons.contains(&season.start)).collect(),
        spoiled,
        asked,
        notes,
    }
}

/// Inside the stretch, both ends included: evaluations and servers differ in which end they take.
fn within(stretch: TimeRange, at: Timestamp) -> bool {
    stretch.start <= at && at <= stretch.end
}

/// Sorted by time, the first of several samples of one time kept.
fn in_order(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by(|a, b| a.at.cmp(&b.at).then(a.value.total_cmp(&b.value)));
    samples.dedup_by_key(|sample| sample.at);
    samples
}

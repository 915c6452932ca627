//! Recording: an incident's questions, their answers and the raw samples behind them, as one bundle.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use promql_parser::parser::Expr;
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::domain::incident::Incident;
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::Series;
use crate::domain::query::{Answer, Data, Lang, Note, NoteKind, Planned, Purpose, Query};
use crate::domain::{Text, TimeRange};
use crate::sources::bundle::BundleParts;
use crate::sources::recorder::Outcome;
use crate::sources::set::SourceSet;

use super::investigate::Investigated;

/// Most selectors whose raw samples are fetched.
const MAX_SELECTORS: usize = 200;
/// Selectors fetched at a time.
const AT_ONCE: usize = 4;

/// Makes the bundle of an investigated incident. `asked` are the questions with their answers, which a replay
/// returns as they are; the raw samples behind them are asked for here, so that a replay can answer other questions
/// too. What could not be had or was cut is said in the notes.
pub(super) async fn parts(
    sources: &SourceSet,
    incident: &Incident,
    investigated: &Investigated,
    asked: Vec<(Query, Outcome)>,
) -> (BundleParts, Vec<Note>) {
    // The baseline may have been moved to a quieter time than the one that was planned.
    let incident = &Incident { baseline: investigated.snapshot.incident.baseline, ..incident.clone() };
    let mut parts = BundleParts::new(incident.title.as_str(), incident.window, incident.baseline);
    parts.manifest.spoiled.clone_from(&investigated.snapshot.spoiled);
    let mut notes = Vec::new();
    let (series, said) = raw_samples(sources, incident, &asked).await;
    notes.extend(said);
    parts.metrics = series;
    for (_, outcome) in &asked {
        if let Ok(Answer { data: Data::Metadata(metadata), .. }) = outcome {
            parts.metadata.extend(metadata.clone());
        }
    }
    let snapshot = &investigated.snapshot;
    parts.alerts.clone_from(&incident.alerts);
    parts.logs.clone_from(&snapshot.logs);
    parts.changes.clone_from(&snapshot.changes);
    parts.rules.clone_from(&snapshot.rules);
    parts.runbooks.clone_from(&snapshot.runbooks);
    parts.queries = asked;
    (parts, notes)
}

/// The raw samples of every selector in the PromQL questions, over baseline and window.
async fn raw_samples(sources: &SourceSet, incident: &Incident, asked: &[(Query, Outcome)]) -> (Vec<Series>, Vec<Note>) {
    let mut selectors = BTreeSet::new();
    for (query, _) in asked {
        if let Query::Instant { lang: Lang::PromQl, expr, .. } | Query::Range { lang: Lang::PromQl, expr, .. } = query {
            collect_selectors(expr, &mut selectors);
        }
    }
    let mut notes = Vec::new();
    if selectors.len() > MAX_SELECTORS {
        let text = format!(
            "raw samples of {} of {} selectors were left out",
            selectors.len() - MAX_SELECTORS,
            selectors.len()
        );
        notes.push(Note { kind: NoteKind::Cut, text: Text::new(&text) });
    }
    // Rates at the beginning of a range look back: fetch a little more than was asked.
    let questions = selectors.iter().take(MAX_SELECTORS).flat_map(|selector| {
        spans(incident).into_iter().map(move |span| Planned {
            query: Query::Instant {
                lang: Lang::PromQl,
                expr: format!("{selector}[{}s]", span.duration().as_secs().max(1)),
                at: span.end,
            },
            purpose: Purpose::Discovery,
        })
    });
    let answers: Vec<_> = futures_util::stream::iter(questions)
        .map(|planned| async move { sources.ask(&planned).await })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut series = Vec::new();
    for (asked, answer) in answers {
        match (asked.outcome, answer) {
            (Ok(_), Some(Answer { data: Data::Series(found), notes: said })) => {
                series.extend(found.into_iter().filter(|series| series.labels.get(METRIC_NAME).is_some()));
                notes.extend(said);
            }
            (Err(why), _) => notes.push(Note { kind: NoteKind::Warning, text: why }),
            _ => {}
        }
    }
    notes.sort_by(|a, b| a.text.cmp(&b.text));
    notes.dedup();
    (merged(series), notes)
}

fn spans(incident: &Incident) -> Vec<TimeRange> {
    let wide = |range: TimeRange| TimeRange::new(range.start.minus(std::time::Duration::from_mins(6)), range.end);
    let (baseline, window) = (wide(incident.baseline), wide(incident.window));
    if baseline.overlaps(window) { vec![baseline.union(window)] } else { vec![baseline, window] }
}

/// One series for each label set, samples sorted and unique.
fn merged(mut series: Vec<Series>) -> Vec<Series> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut out: Vec<Series> = Vec::new();
    for one in series {
        match out.last_mut().filter(|last| last.labels == one.labels) {
            Some(last) => last.samples.extend(one.samples),
            None => out.push(one),
        }
    }
    for one in &mut out {
        one.samples.sort_by_key(|sample| sample.at);
        one.samples.dedup_by_key(|sample| sample.at);
    }
    out
}

struct Selectors<'a>(&'a mut BTreeSet<String>);

impl ExprVisitor for Selectors<'_> {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        if let Some(selector) = selector {
            let mut plain = selector.clone();
            plain.offset = None;
            plain.at = None;
            self.0.insert(plain.to_string());
        }
        Ok(true)
    }
}

fn collect_selectors(expr: &str, into: &mut BTreeSet<String>) {
    if let Ok(parsed) = promql_parser::parser::parse(expr) {
        // Infallible: the visitor never stops.
        let _ = walk_expr(&mut Selectors(into), &parsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_wherever_they_stand() {
        let mut found = BTreeSet::new();
        collect_selectors(
            r#"sum by (a) (rate(x_total{job="j"}[5m])) / on (a) (y offset 5m) > histogram_quantile(0.9, z_bucket)"#,
            &mut found,
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [r#"x_total{job="j"}"#, "y", "z_bucket"]);
    }
}

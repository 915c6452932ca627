//! The queries of a diagnosis's checks, asked: each answer is evidence of the next diagnosis.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::copilot::answers;
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Check, Diagnosis};
use crate::domain::evidence::{Evidence, EvidenceKind};
use crate::domain::query::{Answer, Asked, Planned, Purpose, Query};
use crate::domain::{Text, TimeRange, Timestamp};

use super::engine::Engine;
use super::execution;

/// Most checks that are asked in one go.
const MOST_CHECKS: usize = 8;
/// How far back lines are asked for at most.
const LOGS_BACK: Duration = Duration::from_hours(6);

/// A check that was asked.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Checked {
    /// The query.
    pub(super) query: String,
    /// What was expected if the hypothesis holds.
    pub(super) expect: Text,
    /// The answer in one line, or why there is none.
    pub(super) summary: Text,
    /// The answer as evidence; none when there is no answer.
    pub(super) evidence: Option<Evidence>,
}

/// The question that a check is: an expression that gives numbers is evaluated now; one that gives lines is asked for
/// the newest of them since the incident began.
fn question(check: &Check, window: TimeRange, now: Timestamp) -> Query {
    let expr = check.query.to_string();
    if answers::gives_lines(check.lang, &expr) {
        let end = now.max(window.end);
        let range = TimeRange::new(window.start.max(end.minus(LOGS_BACK)), end);
        return answers::newest_lines(expr, range);
    }
    Query::Instant { lang: check.lang, expr, at: now }
}

/// Asks the query of a check of an incident with this window.
pub(super) async fn ask(engine: &Engine, check: &Check, window: TimeRange) -> (Asked, Option<Answer>, Text) {
    let query = question(check, window, (engine.clock)());
    let planned = Planned { query, purpose: Purpose::Question };
    let (asked, answer) = engine.sources.ask(&planned).await;
    let summary = match (&answer, &asked.outcome) {
        (Some(answer), _) => execution::summary(answer),
        (None, Err(why)) => why.clone(),
        (None, Ok(_)) => Text::from("no answer"),
    };
    (asked, answer, summary)
}

/// The number of the next answer beside these.
pub(super) fn next_number<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> u32 {
    let answers = evidence.into_iter().filter(|item| item.id.kind == EvidenceKind::Query);
    answers.map(|item| item.id.number).max().unwrap_or(0) + 1
}

/// Asks the queries of all checks, each once, the likeliest hypothesis first, up to a bound.
pub(super) async fn ask_all(engine: &Engine, analysis: &Analysis, diagnosis: &Diagnosis) -> Vec<Checked> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    let mut number = next_number(&analysis.evidence);
    let checks = diagnosis.hypotheses.iter().flat_map(|hypothesis| &hypothesis.checks);
    for check in checks.filter(|check| seen.insert(check.query.to_string())).take(MOST_CHECKS) {
        let (asked, answer, summary) = ask(engine, check, analysis.incident.window).await;
        let evidence =
            answer.as_ref().map(|answer| answers::evidence(number, &asked, Some(answer), answers::Bounds::default()));
        number += u32::from(evidence.is_some());
        checked.push(Checked { query: check.query.to_string(), expect: check.expect.clone(), summary, evidence });
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::engine::Origin;
    use crate::config::Config;
    use crate::domain::evidence::Detail;
    use crate::domain::query::{Direction, Lang};
    use crate::sources::demo;

    fn check(query: &str) -> Check {
        Check { lang: Lang::LogQl, query: query.into(), expect: "lines".into() }
    }

    #[test]
    fn lines_are_asked_for_since_the_incident_began_with_bounds() {
        let at = Timestamp::from_secs;
        let window = TimeRange::new(at(100_000), at(100_600));
        let asked = |query: &str, now: i64| question(&check(query), window, at(now));
        let Query::Logs { range, direction, .. } = asked("{a=\"b\"} |= \"x\"", 100_500) else { panic!() };
        assert_eq!((range, direction), (window, Direction::Backward));
        let Query::Logs { range, .. } = asked("{a=\"b\"}", 200_000) else { panic!() };
        assert_eq!(range, TimeRange::new(at(200_000).minus(LOGS_BACK), at(200_000)), "not of a whole day");
        assert!(matches!(asked("sum(count_over_time({a=\"b\"}[5m]))", 100_500), Query::Instant { .. }));
    }

    #[tokio::test]
    async fn a_check_that_gives_lines_is_answered_and_is_evidence() {
        let origin = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        let engine = Engine::new(Config::default(), None, origin, None, None).unwrap();
        let incident = engine.situation().await.unwrap().incidents.remove(0);
        let (asked, answer, summary) =
            ask(&engine, &check("{service_name=~\".+\"} |= \"timeout\""), incident.window).await;
        let answer = answer.unwrap_or_else(|| panic!("{summary}"));
        assert!(!answer.is_empty() && summary.contains("entries"), "{summary}");
        let item = answers::evidence(1, &asked, Some(&answer), answers::Bounds::default());
        let Detail::Query { text } = &item.detail else { panic!() };
        assert!(text.contains("timeout"), "{text}");
    }
}

//! Who calls whom, asked of the sources now and then, so that the alerts of callers and callees fold into one incident.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::analysis::entity::service_ref;
use crate::analysis::inquiry::graph::{edge_of, who_calls_whom, who_calls_whom_now};
use crate::domain::alert::Alert;
use crate::domain::analysis::GraphEdge;
use crate::domain::query::{Answer, Data, Planned, Purpose, Query};
use crate::domain::{TimeRange, Timestamp};
use crate::sources::set::SourceSet;

/// A graph is asked again when it is older than this.
const FRESH: Duration = Duration::from_mins(5);
/// After a failure it is asked again after this.
const AGAIN: Duration = Duration::from_mins(1);
/// Alerts wait no longer than this for the graph: without it they fold by their labels.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of a bundle, calls made so long before its window make the graph, too.
const SPAN: Duration = Duration::from_mins(15);
/// Edges kept.
const MOST_EDGES: usize = 50_000;

/// The graph as it was last answered.
#[derive(Debug, Default)]
pub(super) struct ServiceGraph(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    edges: Arc<Vec<GraphEdge>>,
    ask_after: Option<Timestamp>,
}

impl ServiceGraph {
    /// The graph, asked of `sources` when it is not fresh; the one before, or none, where that fails. `recorded` is
    /// the window of a bundle.
    pub(super) async fn edges(
        &self,
        sources: &SourceSet,
        alerts: &[Alert],
        now: Timestamp,
        recorded: Option<TimeRange>,
    ) -> Arc<Vec<GraphEdge>> {
        let (kept, ask_after) = {
            let kept = self.lock();
            (Arc::clone(&kept.edges), kept.ask_after)
        };
        if ask_after.is_some_and(|at| now < at) || !names_two_services(alerts) {
            return kept;
        }
        let query = match recorded {
            Some(window) => who_calls_whom(TimeRange::new(window.start.minus(SPAN), window.end)),
            None => who_calls_whom_now(now),
        };
        let answer = asked(sources, query).await;
        let mut kept = self.lock();
        kept.ask_after = Some(now.plus(if answer.is_some() { FRESH } else { AGAIN }));
        if let Some(answer) = answer {
            kept.edges = Arc::new(edges_in(&answer));
        }
        Arc::clone(&kept.edges)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn asked(sources: &SourceSet, query: Query) -> Option<Answer> {
    if !sources.answers(&query) {
        return None;
    }
    let planned = Planned { query, purpose: Purpose::Discovery };
    tokio::time::timeout(PATIENCE, sources.ask(&planned)).await.ok()?.1
}

/// The graph can only join or part alerts of different services.
fn names_two_services(alerts: &[Alert]) -> bool {
    let mut services = alerts.iter().filter_map(|alert| service_ref(&alert.labels));
    services.next().is_some_and(|first| services.any(|other| other != first))
}

fn edges_in(answer: &Answer) -> Vec<GraphEdge> {
    let all: BTreeSet<GraphEdge> = match &answer.data {
        Data::LabelSets(sets) => sets.iter().filter_map(edge_of).collect(),
        Data::Series(series) => series.iter().filter_map(|one| edge_of(&one.labels)).collect(),
        _ => BTreeSet::new(),
    };
    all.into_iter().take(MOST_EDGES).collect()
}

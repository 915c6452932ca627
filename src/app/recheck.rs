//! The queries behind what a diagnosis cites, asked again.

use std::time::Duration;

use futures_util::future::join_all;

use crate::copilot::recheck::{self, Answered, MOST_ITEMS};
use crate::domain::Text;
use crate::domain::evidence::{Evidence, EvidenceId};
use crate::domain::query::{Asked, Planned};
use crate::domain::recheck::{Outcome, Recheck, Rechecked};

use super::engine::Engine;
use super::investigate::Investigated;

/// Longest time that asking again may take.
const PATIENCE: Duration = Duration::from_secs(25);

/// Asks the queries behind the items of these ids again, up to a bound. `answers` are items beside those of the
/// analysis.
pub(super) async fn ask(
    engine: &Engine,
    investigated: &Investigated,
    ids: &[EvidenceId],
    answers: &[Evidence],
) -> Recheck {
    let Investigated { snapshot, analysis } = investigated;
    let find = |id: &EvidenceId| {
        analysis.evidence(*id).or_else(|| answers.iter().find(|item| item.id == *id)).ok_or_else(|| unknown(*id))
    };
    let left_out = ids.len().saturating_sub(MOST_ITEMS);
    let found: Vec<Result<&Evidence, Rechecked>> = ids.iter().take(MOST_ITEMS).map(find).collect();
    let items: Vec<&Evidence> = found.iter().filter_map(|one| one.as_ref().ok().copied()).collect();
    let questions = recheck::questions(snapshot, &items);
    let fresh: Vec<Answered> = join_all(questions.iter().map(|question| within_patience(engine, question))).await;
    let mut compared = recheck::compare(snapshot, &items, &fresh).into_iter();
    let items = found.into_iter().filter_map(|one| one.map_or_else(Some, |_| compared.next())).collect();
    Recheck { items, left_out }
}

async fn within_patience(engine: &Engine, question: &Planned) -> Answered {
    tokio::time::timeout(PATIENCE, engine.sources.ask(question)).await.unwrap_or_else(|_| {
        let asked = Asked {
            planned: question.clone(),
            source: engine.sources.source_of(&question.query).unwrap_or_default().to_owned(),
            at: (engine.clock)(),
            elapsed_ms: u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX),
            outcome: Err(Text::from(format!("not answered within {} s", PATIENCE.as_secs()))),
            notes: Vec::new(),
        };
        (asked, None)
    })
}

fn unknown(id: EvidenceId) -> Rechecked {
    Rechecked { id, outcome: Outcome::NotAsked { why: Text::from("it is not among the evidence") }, remark: None }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::app::engine::Origin;
    use crate::config::Config;
    use crate::domain::Timestamp;
    use crate::domain::evidence::Detail;
    use crate::sources::demo;

    #[tokio::test]
    async fn what_the_source_no_longer_says_is_changed() {
        let origin = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        let engine = Engine::new(Config::default(), None, origin, None, None).unwrap();
        let incident = engine.situation().await.unwrap().incidents.remove(0);
        let mut investigated =
            engine.investigate(incident, None, &CancellationToken::new(), |_| {}).await.unwrap().unwrap();
        let metrics = investigated.analysis.evidence.iter_mut().filter_map(|item| match &mut item.detail {
            Detail::Metric(metric) => Some((item.id, metric)),
            _ => None,
        });
        let mut metrics: Vec<_> = metrics.take(2).collect();
        // As if the store had held other samples when the first was gathered.
        metrics[0].1.peak *= 3.0;
        metrics[0].1.last *= 3.0;
        let ids = [metrics[0].0, metrics[1].0];
        let found = ask(&engine, &investigated, &ids, &[]).await;
        assert!(matches!(found.items[0].outcome, Outcome::Changed { .. }), "{:?}", found.items[0]);
        assert_eq!(found.items[1].outcome, Outcome::Same);
        assert!(found.items[0].is_refuted() && !found.items[1].is_refuted());
    }
}

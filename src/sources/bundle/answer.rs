//! A bundle as a source of telemetry: every kind of question, answered as the live servers would.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Bundle, BundleError};
use crate::domain::log::LogEntry;
use crate::domain::query::{Answer, Data, Lang, Note, NoteKind, Query};
use crate::domain::{Labels, Text, TimeRange, Timestamp};
use crate::sources::replay::ReplayError;
use crate::sources::{SourceError, SourceErrorKind, Telemetry, logql, promql};

const NAME: &str = "bundle";

/// At most so many names, label sets and log entries in one answer.
const MAX_ITEMS: usize = 100_000;

impl Telemetry for Bundle {
    fn name(&self) -> &str {
        NAME
    }

    /// On replay the bundle is the only one to ask: what it cannot answer it says.
    fn answers(&self, _query: &Query) -> bool {
        true
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move {
            // Reading and evaluating takes from microseconds to seconds: not on the thread of the loop.
            if tokio::runtime::Handle::try_current().is_err() {
                return self.answer(query);
            }
            let (bundle, query) = (self.clone(), query.clone());
            tokio::task::spawn_blocking(move || bundle.answer(&query)).await.unwrap_or_else(|error| {
                Err(SourceError {
                    source_name: NAME.into(),
                    kind: SourceErrorKind::Broken,
                    what: format!("answering failed: {error}"),
                    advice: "this is a defect of stanch; another question may work".into(),
                })
            })
        }
        .boxed()
    }

    fn present(&self) -> Option<Timestamp> {
        Some(self.end())
    }
}

impl From<BundleError> for SourceError {
    fn from(error: BundleError) -> Self {
        let advice = error.advice.clone();
        let bare = BundleError { advice: String::new(), ..error };
        Self { source_name: NAME.into(), kind: SourceErrorKind::Broken, what: bare.to_string(), advice }
    }
}

impl From<ReplayError> for SourceError {
    fn from(error: ReplayError) -> Self {
        let kind = match error {
            ReplayError::TooLarge(_) => SourceErrorKind::TooLarge,
            _ => SourceErrorKind::BadQuestion,
        };
        let advice = error.advice().to_owned();
        let what = crate::domain::text::neutralise(&error.to_string()).into_owned();
        Self { source_name: NAME.into(), kind, what, advice }
    }
}

impl Bundle {
    /// Answers at once, on this thread. A recorded answer comes first, exactly as it was recorded.
    pub fn answer(&self, query: &Query) -> Result<Answer, SourceError> {
        let inner = &*self.inner;
        if let Some(recorded) = inner.queries()?.0.get(query) {
            return recorded.clone().map_err(SourceError::from);
        }
        match query {
            Query::Alerts => {
                let (alerts, notes) = inner.alerts()?;
                Ok(Answer { data: Data::Alerts(alerts.clone()), notes: notes.clone() })
            }
            Query::Rules => {
                let (rules, notes) = inner.rules()?;
                Ok(Answer { data: Data::Rules(rules.clone()), notes: notes.clone() })
            }
            Query::Metadata => {
                let (store, notes) = inner.metrics()?;
                Ok(Answer { data: Data::Metadata(store.metadata().clone()), notes: notes.clone() })
            }
            Query::Changes { range } => {
                let (changes, notes) = inner.changes()?;
                let inside = changes.iter().filter(|change| range.contains(change.at)).cloned().collect();
                Ok(Answer { data: Data::Changes(inside), notes: notes.clone() })
            }
            Query::LabelNames { lang, matchers, range } => self.names(*lang, matchers, *range, |labels, names| {
                names.extend(labels.iter().map(|(name, _)| name.to_owned()));
            }),
            Query::LabelValues { lang, label, matchers, range } => {
                self.names(*lang, matchers, *range, |labels, names| {
                    names.extend(labels.get(label).map(str::to_owned));
                })
            }
            Query::Series { lang, matchers, range } => {
                let mut sets: BTreeSet<Labels> = BTreeSet::new();
                let notes = self.each_label_set(*lang, matchers, *range, |labels| {
                    sets.insert(labels.clone());
                })?;
                Ok(bounded(sets.into_iter(), Data::LabelSets, notes))
            }
            Query::Instant { lang: Lang::PromQl, expr, at } => {
                let (store, notes) = inner.metrics()?;
                let data = promql::instant(store, expr, *at, promql::Semantics::default())?;
                Ok(Answer { data, notes: notes.clone() })
            }
            Query::Range { lang: Lang::PromQl, expr, range, step } => {
                let (store, notes) = inner.metrics()?;
                let data = promql::range(store, expr, *range, *step, promql::Semantics::default())?;
                Ok(Answer { data, notes: notes.clone() })
            }
            Query::Instant { lang: Lang::LogQl, expr, at } => {
                let (logs, notes) = inner.logs()?;
                Ok(Answer { data: logql::instant(logs, expr, *at)?, notes: notes.clone() })
            }
            Query::Range { lang: Lang::LogQl, expr, range, step } => {
                let (logs, notes) = inner.logs()?;
                Ok(Answer { data: logql::range(logs, expr, *range, *step)?, notes: notes.clone() })
            }
            Query::Logs { expr, range, limit, direction } => {
                let (logs, notes) = inner.logs()?;
                let limit = (*limit).clamp(1, MAX_ITEMS);
                let found = logql::entries(logs, expr, *range, limit, *direction)?;
                let mut notes = notes.clone();
                if found.more {
                    notes.push(cut(&format!("{limit} entries shown; there are more in this range")));
                }
                Ok(Answer { data: Data::Logs(found.entries), notes })
            }
            Query::LogVolume { expr, range } => {
                let (logs, notes) = inner.logs()?;
                let volumes = logql::volume(logs, expr, *range)?;
                Ok(bounded(volumes.into_iter(), Data::Volumes, notes.clone()))
            }
            Query::AlertGroups
            | Query::Silences
            | Query::AlertmanagerStatus
            | Query::Targets
            | Query::BuildInfo
            | Query::LogPatterns { .. }
            | Query::DetectedFields { .. } => Err(SourceError {
                source_name: NAME.into(),
                kind: SourceErrorKind::Unsupported,
                what: format!("a bundle does not hold the answer to `{}`", query.expression()),
                advice: "only what was recorded with the bundle can be shown on replay".into(),
            }),
        }
    }

    fn names(
        &self,
        lang: Lang,
        matchers: &[String],
        range: TimeRange,
        take: impl Fn(&Labels, &mut BTreeSet<String>),
    ) -> Result<Answer, SourceError> {
        let mut names = BTreeSet::new();
        let notes = self.each_label_set(lang, matchers, range, |labels| take(labels, &mut names))?;
        Ok(bounded(names.into_iter(), Data::Names, notes))
    }

    /// Hands the label set of each series or stream that has data in `range` to `take`.
    fn each_label_set(
        &self,
        lang: Lang,
        matchers: &[String],
        range: TimeRange,
        mut take: impl FnMut(&Labels),
    ) -> Result<Vec<Note>, SourceError> {
        match lang {
            Lang::PromQl => {
                let (store, notes) = self.inner.metrics()?;
                for series in promql::matching(store, matchers)? {
                    if !series.between(range.start.millis(), range.end.millis()).is_empty() {
                        take(&series.labels);
                    }
                }
                Ok(notes.clone())
            }
            Lang::LogQl => {
                let (logs, notes) = self.inner.logs()?;
                let mut known: BTreeMap<*const Labels, &LogEntry> = BTreeMap::new();
                for entry in logql::within(logs, range) {
                    known.entry(std::sync::Arc::as_ptr(&entry.labels)).or_insert(entry);
                }
                for entry in logql::streams_matching(known.into_values(), matchers)? {
                    take(&entry.labels);
                }
                Ok(notes.clone())
            }
        }
    }
}

/// An answer of at most [`MAX_ITEMS`] items.
fn bounded<T>(items: impl ExactSizeIterator<Item = T>, data: impl Fn(Vec<T>) -> Data, mut notes: Vec<Note>) -> Answer {
    let all = items.len();
    let kept: Vec<T> = items.take(MAX_ITEMS).collect();
    if all > kept.len() {
        notes.push(cut(&format!("{} of {all} shown", kept.len())));
    }
    Answer { data: data(kept), notes }
}

fn cut(text: &str) -> Note {
    Note { kind: NoteKind::Cut, text: Text::new(text) }
}

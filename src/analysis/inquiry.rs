//! Which questions an incident raises: a planner that does no IO.
//!
//! The caller asks for a round, has its questions answered (concurrently, in any order, some perhaps not at all),
//! hands the answers back and asks for the next round; after at most four rounds [`Inquiry::finish`] gives the
//! [`Snapshot`] that the analysis reads.
//!
//! 1. Discovery: rules, metadata, names of metrics and labels, changes.
//! 2. The alerts' own expressions, calls between services, restarts; how many series the promising metrics have;
//!    which label of the log store names services.
//! 3. The signals of all services where the store is small, else which metrics the services in scope have; logs.
//! 4. In a large store, the signals of the services in scope and of those they call.
//!
//! The plan depends on the incident and the answers only, never on the order in which they arrive.

mod assembly;
pub mod expression;
pub mod graph;
pub mod naming;
pub mod streams;
pub mod timing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::domain::incident::Incident;
use crate::domain::labels::{SERVICE_LABELS, quote};
use crate::domain::query::{Answer, Asked, Data, Direction, Lang, Note, NoteKind, Planned, Purpose, Query};
use crate::domain::snapshot::Snapshot;
use crate::domain::{Text, TimeRange};
use naming::{Catalogue, MetricQuestion, one_of, selector};

/// Questions about metrics, at most; each may need one query for the baseline and one for the window.
const MOST_QUESTIONS: usize = 48;
/// Metrics whose series are counted before they are asked about.
const MOST_FAMILIES: usize = 160;
/// A store whose promising metrics have no more series than this is asked whole.
const SMALL_STORE: usize = 20_000;
/// A single question never expects more series than this.
const MOST_SERIES: usize = 5_000;
/// Distinct alert expressions that are asked.
const MOST_EXPRESSIONS: usize = 6;
/// Services in scope of a large store, neighbours included.
const MOST_SERVICES: usize = 30;
/// Log entries per slice of time.
const MOST_LINES: usize = 20_000;
/// Slices of the window and of the baseline for logs.
const LOG_SLICES: (u32, u32) = (3, 2);
/// How far before the window changes are looked for.
const CHANGES_BEFORE: Duration = Duration::from_hours(24);

/// What an answer is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Rules,
    Metadata,
    MetricNames,
    MetricLabels,
    LogLabels,
    LabelValues(Lang, String),
    Changes,
    Counts,
    ScopedCounts(String),
    /// Series for the metric question of this number.
    Metric(usize),
    Logs,
}

/// A planned query with its answer.
#[derive(Debug)]
struct Slot {
    planned: Planned,
    roles: Vec<Role>,
    asked: Option<Asked>,
    answer: Option<Answer>,
}

/// A metric question: what it is about, and the expression without the form of its queries.
#[derive(Debug)]
struct Question {
    purpose: Purpose,
    expr: String,
}

/// The planner of one incident's questions.
#[derive(Debug)]
pub struct Inquiry {
    incident: Incident,
    round: usize,
    slots: Vec<Slot>,
    by_query: HashMap<Query, usize>,
    questions: Vec<Question>,
    foreign: Vec<Asked>,
    notes: Vec<Note>,
    stretches: Vec<TimeRange>,
}

impl Inquiry {
    /// Begins with an incident whose window and baseline are set.
    pub fn new(incident: Incident) -> Self {
        let stretches = timing::stretches(incident.window, incident.baseline);
        Self {
            incident,
            round: 0,
            slots: Vec::new(),
            by_query: HashMap::new(),
            questions: Vec::new(),
            foreign: Vec::new(),
            notes: Vec::new(),
            stretches,
        }
    }

    /// The next questions. Call it when all of the round before were answered or given up; empty when nothing is
    /// left to ask. No question is asked twice.
    pub fn next_round(&mut self) -> Vec<Planned> {
        while self.round < 4 {
            self.round += 1;
            let before = self.slots.len();
            match self.round {
                1 => self.discover(),
                2 => self.look_closer(),
                3 => self.ask_signals(),
                _ => self.ask_scope(),
            }
            if self.slots.len() > before {
                return self.slots[before..].iter().map(|slot| slot.planned.clone()).collect();
            }
        }
        Vec::new()
    }

    /// Takes what came of a question: the answer, or `None` when it failed (`asked.outcome` says why). Questions of
    /// others are kept in the list of what was asked and otherwise ignored.
    pub fn answered(&mut self, asked: Asked, answer: Option<Answer>) {
        match self.by_query.get(&asked.planned.query) {
            Some(&index) => {
                self.slots[index].asked = Some(asked);
                self.slots[index].answer = answer;
            }
            None => self.foreign.push(asked),
        }
    }

    /// What was gathered. Questions that were never answered are missing from the snapshot, not an error.
    pub fn finish(self) -> Snapshot {
        assembly::assemble(self)
    }

    fn plan(&mut self, query: Query, purpose: Purpose, role: Role) {
        if let Some(&index) = self.by_query.get(&query) {
            if !self.slots[index].roles.contains(&role) {
                self.slots[index].roles.push(role);
            }
        } else {
            self.by_query.insert(query.clone(), self.slots.len());
            self.slots.push(Slot { planned: Planned { query, purpose }, roles: vec![role], asked: None, answer: None });
        }
    }

    /// Plans one metric question over all stretches. `raw` series keep their own samples, others are evaluated.
    fn plan_metric(&mut self, question: MetricQuestion) {
        if self.questions.iter().any(|known| known.expr == question.expr) {
            return;
        }
        let number = self.questions.len();
        for stretch in self.stretches.clone() {
            let query = if question.raw {
                timing::raw(&question.expr, stretch, question.series)
            } else {
                timing::evaluated(&question.expr, stretch, 240)
            };
            self.plan(query, question.purpose.clone(), Role::Metric(number));
        }
        self.questions.push(Question { purpose: question.purpose, expr: question.expr });
    }

    fn note(&mut self, text: &str) {
        self.notes.push(Note { kind: NoteKind::Cut, text: Text::new(text) });
    }

    // ---- round 1 -------------------------------------------------------------------------------------------------

    fn discover(&mut self) {
        let window = self.incident.window;
        let found = |query, role: Role| (query, Purpose::Discovery, role);
        let changes = TimeRange::new(window.start.minus(CHANGES_BEFORE), window.end);
        let metric_names =
            Query::LabelValues { lang: Lang::PromQl, label: "__name__".into(), matchers: Vec::new(), range: window };
        let log_range = window.union(self.nearest(self.incident.baseline));
        for (query, purpose, role) in [
            found(Query::Rules, Role::Rules),
            found(Query::Metadata, Role::Metadata),
            found(metric_names, Role::MetricNames),
            found(Query::LabelNames { lang: Lang::PromQl, matchers: Vec::new(), range: window }, Role::MetricLabels),
            found(Query::LabelNames { lang: Lang::LogQl, matchers: Vec::new(), range: log_range }, Role::LogLabels),
            (Query::Changes { range: changes }, Purpose::Changes, Role::Changes),
        ] {
            self.plan(query, purpose, role);
        }
    }

    /// The baseline when it lies within a day of the window, else nothing: label lists over months are slow.
    fn nearest(&self, baseline: TimeRange) -> TimeRange {
        let union = self.incident.window.union(baseline);
        if union.duration() <= Duration::from_hours(24) { baseline } else { self.incident.window }
    }

    // ---- round 2 -------------------------------------------------------------------------------------------------

    fn look_closer(&mut self) {
        let catalogue = self.catalogue();
        let span = timing::rate_span(self.incident.window);
        for question in self.alert_questions() {
            self.plan_metric(question);
        }
        for question in graph::questions(&catalogue.names, &catalogue.labels, span) {
            let number = self.questions.len();
            for stretch in self.stretches.clone() {
                let query = timing::evaluated(&question.expr, stretch, 240);
                self.plan(query, question.purpose.clone(), Role::Metric(number));
            }
            self.questions.push(Question { purpose: question.purpose, expr: question.expr });
        }
        // One query tells how large the promising metrics are.
        let families = catalogue.families(&self.alert_metrics());
        if families.len() > MOST_FAMILIES {
            self.note(&format!(
                "{} of {} metrics were considered; the rest have names that promise less",
                MOST_FAMILIES,
                families.len()
            ));
        }
        if let Some(expr) = count_expression(&catalogue, &families, "") {
            let at = self.incident.window.end;
            self.plan(Query::Instant { lang: Lang::PromQl, expr, at }, Purpose::Discovery, Role::Counts);
        }
        for label in service_labels(&catalogue) {
            let query = Query::LabelValues {
                lang: Lang::PromQl,
                label: label.clone(),
                matchers: Vec::new(),
                range: self.incident.window,
            };
            self.plan(query, Purpose::Discovery, Role::LabelValues(Lang::PromQl, label));
        }
        let log_range = self.incident.window.union(self.nearest(self.incident.baseline));
        for label in streams::candidates(&self.names(&Role::LogLabels)) {
            let query =
                Query::LabelValues { lang: Lang::LogQl, label: label.clone(), matchers: Vec::new(), range: log_range };
            self.plan(query, Purpose::Discovery, Role::LabelValues(Lang::LogQl, label));
        }
    }

    /// The expressions of the alerts' rules, worst alert first: without their threshold, and for all services.
    fn alert_questions(&self) -> Vec<MetricQuestion> {
        let rules = self.rules();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut out = Vec::new();
        for alert in &self.incident.alerts {
            let Some(expression) = expression::of_alert(alert, rules) else { continue };
            if seen.len() >= MOST_EXPRESSIONS || !seen.insert(expression.clone()) {
                continue;
            }
            for part in expression::measured(&expression) {
                let purpose = Purpose::AlertExpression { alert: alert.name().to_owned() };
                let is_selector = |text: &str| {
                    matches!(promql_parser::parser::parse(text), Ok(promql_parser::parser::Expr::VectorSelector(selector))
                        if selector.offset.is_none() && selector.at.is_none())
                };
                for expr in std::iter::once(part.expr).chain(part.widened) {
                    out.push(MetricQuestion { purpose: purpose.clone(), raw: is_selector(&expr), expr, series: 50 });
                }
            }
        }
        out
    }

    fn alert_metrics(&self) -> BTreeSet<String> {
        let rules = self.rules();
        self.incident
            .alerts
            .iter()
            .take(200)
            .filter_map(|alert| expression::of_alert(alert, rules))
            .collect::<BTreeSet<String>>()
            .iter()
            .take(MOST_EXPRESSIONS)
            .flat_map(|expression| expression::measured(expression))
            .flat_map(|part| part.metrics)
            .collect()
    }

    // ---- round 3 -------------------------------------------------------------------------------------------------

    fn ask_signals(&mut self) {
        let catalogue = self.catalogue();
        let families = self.families(&catalogue);
        let total: usize = families.iter().map(|family| catalogue.family_series(family)).sum();
        let services = self.services_in_scope();
        let span = timing::rate_span(self.incident.window);
        let restarts: Vec<String> = catalogue.names.iter().filter(|name| naming::is_restart(name)).cloned().collect();
        if total <= SMALL_STORE {
            self.ask_families(&catalogue, &families, &|_| Some(String::new()), span);
            for metric in restarts {
                let purpose = Purpose::Restart { metric: metric.clone() };
                self.plan_metric(MetricQuestion { purpose, expr: metric, raw: true, series: 200 });
            }
        } else {
            for matcher in self.scope_matchers(&services) {
                if let Some(expr) = count_expression(&catalogue, &families, &matcher) {
                    let at = self.incident.window.end;
                    let role = Role::ScopedCounts(matcher.clone());
                    self.plan(Query::Instant { lang: Lang::PromQl, expr, at }, Purpose::Discovery, role);
                }
                for metric in &restarts {
                    let purpose = Purpose::Restart { metric: metric.clone() };
                    let expr = selector(metric, &matcher);
                    self.plan_metric(MetricQuestion { purpose, expr, raw: true, series: 200 });
                }
            }
        }
        self.ask_logs(&services);
    }

    /// Families in the order of their promise, those known to be empty left out.
    fn families(&self, catalogue: &Catalogue) -> Vec<String> {
        let mut families = catalogue.families(&self.alert_metrics());
        families.truncate(MOST_FAMILIES);
        if !catalogue.counts.is_empty() {
            families.retain(|family| catalogue.family_series(family) > 0);
        }
        families
    }

    fn ask_families(
        &mut self,
        catalogue: &Catalogue,
        families: &[String],
        matcher_of: &dyn Fn(&str) -> Option<String>,
        span: &str,
    ) {
        let mut asked = 0;
        let mut left_out = 0;
        for family in families {
            let Some(matchers) = matcher_of(family) else { continue };
            let questions = catalogue.questions(family, &matchers, span);
            let too_large =
                matchers.is_empty() && questions.iter().any(|question| question.raw && question.series > MOST_SERIES);
            if asked + questions.len() > MOST_QUESTIONS || too_large {
                left_out += 1;
                continue;
            }
            asked += questions.len();
            for question in questions {
                self.plan_metric(question);
            }
        }
        if left_out > 0 {
            self.note(&format!("{left_out} metrics were not asked about: too many, or too many series"));
        }
    }

    fn ask_logs(&mut self, services: &BTreeSet<String>) {
        let candidates = streams::candidates(&self.names(&Role::LogLabels));
        let mut values = BTreeMap::new();
        for label in &candidates {
            values.insert(label.clone(), self.names(&Role::LabelValues(Lang::LogQl, label.clone())));
        }
        let Some(selection) = streams::select(&candidates, &values, services) else { return };
        if selection.left_out > 0 {
            self.note(&format!("logs of {} other streams or services were not asked for", selection.left_out));
        }
        let slices = timing::slices(self.incident.baseline, LOG_SLICES.1)
            .into_iter()
            .map(|range| (range, Direction::Backward))
            .chain(
                timing::slices(self.incident.window, LOG_SLICES.0).into_iter().map(|range| (range, Direction::Forward)),
            );
        for (range, direction) in slices {
            let query = Query::Logs { expr: selection.selector.clone(), range, limit: MOST_LINES, direction };
            self.plan(query, Purpose::Logs, Role::Logs);
        }
    }

    /// The services that the alerts name, then those next to them in the graph, callees first, two steps far.
    fn services_in_scope(&self) -> BTreeSet<String> {
        let mut scope: BTreeSet<String> = self.incident.services.iter().take(MOST_SERVICES).cloned().collect();
        let edges = assembly::graph_of(self);
        let mut frontier: Vec<String> = scope.iter().cloned().collect();
        for _ in 0..2 {
            let mut next = BTreeSet::new();
            for edge in &edges {
                if frontier.contains(&edge.client) {
                    next.insert(edge.server.clone());
                }
            }
            for edge in &edges {
                if frontier.contains(&edge.server) {
                    next.insert(edge.client.clone());
                }
            }
            frontier = next.into_iter().filter(|service| !scope.contains(service)).collect();
            for service in &frontier {
                if scope.len() < MOST_SERVICES {
                    scope.insert(service.clone());
                }
            }
        }
        scope
    }

    /// Matchers that select the services in scope, one per label that names them; the alert's namespace when it
    /// names no service.
    fn scope_matchers(&self, services: &BTreeSet<String>) -> Vec<String> {
        let mut matchers: Vec<(usize, String)> = Vec::new();
        for label in service_labels(&self.catalogue()) {
            let values = self.names(&Role::LabelValues(Lang::PromQl, label.clone()));
            let hits: Vec<&str> = values.iter().map(String::as_str).filter(|value| services.contains(*value)).collect();
            if !hits.is_empty() {
                matchers.push((hits.len(), one_of(&label, hits)));
            }
        }
        matchers.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut out: Vec<String> = matchers.into_iter().take(3).map(|(_, matcher)| matcher).collect();
        if self.catalogue().labels.contains("pod") && !services.is_empty() {
            let pods: Vec<String> = services.iter().map(|service| format!("{}-.+", naming::literal(service))).collect();
            out.push(format!("pod=~{}", quote(&pods.join("|"))));
        }
        if out.is_empty() {
            out.extend(self.incident.alerts.iter().find_map(|alert| {
                ["namespace", "kubernetes_namespace", "job"]
                    .iter()
                    .find_map(|label| alert.labels.get(label).map(|value| format!("{label}={}", quote(value))))
            }));
        }
        out
    }

    // ---- round 4 -------------------------------------------------------------------------------------------------

    fn ask_scope(&mut self) {
        let mut by_matcher: Vec<(String, BTreeMap<String, usize>)> = Vec::new();
        for slot in &self.slots {
            for role in &slot.roles {
                if let (Role::ScopedCounts(matcher), Some(answer)) = (role, &slot.answer) {
                    by_matcher.push((matcher.clone(), counts_of(answer)));
                }
            }
        }
        if by_matcher.is_empty() {
            return;
        }
        let mut catalogue = self.catalogue();
        let families = self.families(&catalogue);
        let mut chosen: BTreeMap<String, String> = BTreeMap::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (matcher, found) in &by_matcher {
            for (name, count) in found {
                let family = catalogue.family(name);
                chosen.entry(family).or_insert_with(|| matcher.clone());
                counts.entry(name.clone()).or_insert(*count);
            }
        }
        catalogue.counts = counts;
        let span = timing::rate_span(self.incident.window);
        self.ask_families(&catalogue, &families, &|family| chosen.get(family).cloned(), span);
    }

    // ---- what is known -------------------------------------------------------------------------------------------

    fn answer_of(&self, role: &Role) -> Option<&Answer> {
        self.slots.iter().find(|slot| slot.roles.contains(role)).and_then(|slot| slot.answer.as_ref())
    }

    fn names(&self, role: &Role) -> Vec<String> {
        match self.answer_of(role).map(|answer| &answer.data) {
            Some(Data::Names(names)) => {
                let mut names = names.clone();
                names.sort();
                names.dedup();
                names
            }
            _ => Vec::new(),
        }
    }

    fn rules(&self) -> &[crate::domain::alert::Rule] {
        match self.answer_of(&Role::Rules).map(|answer| &answer.data) {
            Some(Data::Rules(rules)) => rules,
            _ => &[],
        }
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue {
            names: self.names(&Role::MetricNames).into_iter().collect(),
            meta: match self.answer_of(&Role::Metadata).map(|answer| &answer.data) {
                Some(Data::Metadata(meta)) => meta.clone(),
                _ => BTreeMap::new(),
            },
            labels: self.names(&Role::MetricLabels).into_iter().collect(),
            counts: self.answer_of(&Role::Counts).map(counts_of).unwrap_or_default(),
        }
    }
}

/// Labels of the metric store that may name services, most trusted first, few.
fn service_labels(catalogue: &Catalogue) -> Vec<String> {
    SERVICE_LABELS
        .iter()
        .filter(|label| catalogue.labels.contains(**label))
        .take(6)
        .map(|&label| label.to_owned())
        .collect()
}

/// `count by (__name__) (…)` over the families' series; `None` when there are none.
fn count_expression(catalogue: &Catalogue, families: &[String], matcher: &str) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for family in families.iter().take(MOST_FAMILIES) {
        for suffix in ["", "_bucket", "_count", "_sum"] {
            let name = format!("{family}{suffix}");
            if catalogue.names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let names = one_of("__name__", names.iter().map(String::as_str));
    let comma = if matcher.is_empty() { "" } else { "," };
    Some(format!("count by (__name__) ({{{names}{comma}{matcher}}})"))
}

fn counts_of(answer: &Answer) -> BTreeMap<String, usize> {
    let Data::Series(series) = &answer.data else { return BTreeMap::new() };
    series
        .iter()
        .filter_map(|one| {
            let name = one.labels.metric()?;
            let value = one.samples.last()?.value;
            (value.is_finite() && value >= 0.0).then(|| (name.to_owned(), value as usize))
        })
        .collect()
}

#[cfg(test)]
mod tests;

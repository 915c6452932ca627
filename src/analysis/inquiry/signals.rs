//! Rounds 3 and 4: the signals of services.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{count_expression, counts_of, service_labels};
use super::naming::{Catalogue, MetricQuestion, is_restart, literal, one_of, selector};
use super::{Inquiry, MOST_FAMILIES, MOST_QUESTIONS, MOST_SERIES, MOST_SERVICES, Role, SMALL_STORE, assembly, timing};
use crate::domain::labels::quote;
use crate::domain::query::{Lang, Purpose, Query};

impl Inquiry {
    pub(super) fn ask_signals(&mut self) {
        let catalogue = self.catalogue();
        let families = self.families(&catalogue);
        let total: usize = families.iter().map(|family| catalogue.family_series(family)).sum();
        let services = self.services_in_scope();
        let span = timing::rate_span(self.incident.window);
        let restarts: Vec<String> = catalogue.names.iter().filter(|name| is_restart(name)).cloned().collect();
        if total <= SMALL_STORE {
            let first = self.questions.len();
            self.ask_families(&catalogue, &families, &|_| Some(String::new()), span);
            let asked = first..self.questions.len();
            for metric in restarts {
                let purpose = Purpose::Restart { metric: metric.clone() };
                self.plan_metric(MetricQuestion { purpose, expr: metric, raw: true, series: 200 });
            }
            self.plan_seasons(asked);
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
        let mut chosen = Vec::new();
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
            chosen.push((family, matchers));
            for question in questions {
                self.plan_metric(question);
            }
        }
        // What is left of the bound goes to the second look at the most promising ones.
        for (family, matchers) in chosen {
            for question in catalogue.further_questions(family, &matchers, span) {
                if asked < MOST_QUESTIONS {
                    asked += 1;
                    self.plan_metric(question);
                }
            }
        }
        if left_out > 0 {
            self.note(&format!("{left_out} metrics were not asked about: too many, or too many series"));
        }
    }

    /// The services that the alerts name, then those next to them in the graph, callees first, two steps far.
    pub(super) fn services_in_scope(&self) -> BTreeSet<String> {
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
            let pods: Vec<String> = services.iter().map(|service| format!("{}-.+", literal(service))).collect();
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

    pub(super) fn ask_scope(&mut self) {
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
}

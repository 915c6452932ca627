//! The alerts' own expressions: the first condition of what is asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{self, Expr};

use super::expression::{self, Known, Measured};
use super::naming::{Catalogue, MetricQuestion};
use super::{Inquiry, Role};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, Rule, Severity, expression_of_link};
use crate::domain::query::Purpose;

/// Distinct alert expressions that are asked.
const MOST_EXPRESSIONS: usize = 12;
/// Questions made of them, at most.
const MOST_ALERT_QUESTIONS: usize = 24;

/// Distinct expressions of an incident's alerts, those that say most first.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    /// Alert name and expression.
    expressions: Vec<(String, String)>,
    /// Alert names of the distinct expressions that were left out.
    left_out: Vec<String>,
}

/// Chooses at most `most` expressions: worst severity first, then those of most alerts, then the earliest.
fn choose(alerts: &[Alert], rules: &[Rule], most: usize) -> Chosen {
    struct Seen<'a> {
        severity: Severity,
        count: usize,
        since: Timestamp,
        name: &'a str,
    }
    let mut of_rule: BTreeMap<&str, &str> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.alerting) {
        of_rule.entry(&rule.name).or_insert(&rule.expression);
    }
    let mut seen: BTreeMap<String, Seen<'_>> = BTreeMap::new();
    for alert in alerts {
        let expression = alert
            .expression
            .clone()
            .or_else(|| expression_of_link(&alert.generator_url))
            .or_else(|| of_rule.get(alert.name()).map(|&text| text.to_owned()));
        let Some(expression) = expression else { continue };
        let (severity, since, name) = (alert.severity(), alert.starts_at, alert.name());
        let known = seen.entry(expression).or_insert(Seen { severity, count: 0, since, name });
        known.severity = known.severity.max(severity);
        known.count += 1;
        if (since, name) < (known.since, known.name) {
            (known.since, known.name) = (since, name);
        }
    }
    let mut ranked: Vec<(String, Seen<'_>)> = seen.into_iter().collect();
    ranked.sort_by(|(a, x), (b, y)| {
        (Reverse(x.severity), Reverse(x.count), x.since, a).cmp(&(Reverse(y.severity), Reverse(y.count), y.since, b))
    });
    let rest = ranked.split_off(most.min(ranked.len()));
    let left_out: BTreeSet<&str> = rest.iter().map(|(_, seen)| seen.name).collect();
    Chosen {
        left_out: left_out.into_iter().map(str::to_owned).collect(),
        expressions: ranked.into_iter().map(|(expression, seen)| (seen.name.to_owned(), expression)).collect(),
    }
}

impl Inquiry {
    /// What the alerts' rules measure, by alert name.
    fn alert_quantities(&self, names: &BTreeSet<String>) -> (Vec<(String, Vec<Measured>)>, Vec<String>) {
        let rules = self.rules();
        let chosen = choose(&self.incident.alerts, rules, MOST_EXPRESSIONS);
        let known = Known { rules, names: Some(names) };
        let quantities = chosen
            .expressions
            .into_iter()
            .map(|(alert, text)| (alert, expression::measured_with(&text, known)))
            .collect();
        (quantities, chosen.left_out)
    }

    /// The expressions of the alerts' rules: without their threshold, and for all services. The first quantity of each
    /// rule comes before the second of any.
    pub(super) fn alert_questions(&mut self, catalogue: &Catalogue) -> Vec<MetricQuestion> {
        let (quantities, left_out) = self.alert_quantities(&catalogue.names);
        if !left_out.is_empty() {
            let count = left_out.len();
            let few: Vec<String> = left_out.into_iter().take(5).collect();
            self.note(&format!("expressions of {count} other alert rules were not asked: {}", few.join(", ")));
        }
        let mut out: Vec<MetricQuestion> = Vec::new();
        let depth = quantities.iter().map(|(_, parts)| parts.len()).max().unwrap_or(0);
        let mut dropped = 0;
        for level in 0..depth {
            for (alert, parts) in &quantities {
                let Some(part) = parts.get(level) else { continue };
                for expr in std::iter::once(&part.expr).chain(&part.widened) {
                    if out.iter().any(|known| known.expr == *expr) {
                        continue;
                    }
                    if out.len() >= MOST_ALERT_QUESTIONS {
                        dropped += 1;
                        continue;
                    }
                    let purpose = Purpose::AlertExpression { alert: alert.clone() };
                    out.push(MetricQuestion { purpose, raw: is_selector(expr), expr: expr.clone(), series: 50 });
                }
            }
        }
        if dropped > 0 {
            self.note(&format!("{dropped} further quantities of alert rules were not asked"));
        }
        out
    }

    /// Metrics that the alerts' rules are made of, recording rules taken apart.
    pub(super) fn alert_metrics(&self) -> BTreeSet<String> {
        let names = self.names(&Role::MetricNames).into_iter().collect();
        let (quantities, _) = self.alert_quantities(&names);
        quantities.into_iter().flat_map(|(_, parts)| parts).flat_map(|part| part.metrics).collect()
    }
}

fn is_selector(text: &str) -> bool {
    matches!(parser::parse(text), Ok(Expr::VectorSelector(selector)) if selector.offset.is_none() && selector.at.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    fn alert(name: &str, expression: &str, severity: &str, start: i64) -> Alert {
        let mut alert = fixture::alert(&[("severity", severity)], expression);
        alert.labels.insert("alertname", name);
        alert.starts_at = fixture::at(start);
        alert
    }

    #[test]
    fn the_worst_then_the_most_then_the_earliest_are_asked() {
        let alerts = [
            alert("Once", "a > 1", "warning", 1),
            alert("Twice", "b > 1", "warning", 5),
            alert("Twice", "b > 1", "warning", 6),
            alert("Late", "c > 1", "warning", 3),
            alert("Bad", "d > 1", "critical", 9),
        ];
        let chosen = choose(&alerts, &[], 3);
        let names: Vec<&str> = chosen.expressions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Bad", "Twice", "Once"]);
        assert_eq!(chosen.left_out, ["Late"]);
        let mut turned = alerts.to_vec();
        turned.reverse();
        assert_eq!(choose(&turned, &[], 3), chosen);
    }

    #[test]
    fn a_rule_stands_in_for_an_alert_that_carries_no_expression() {
        let mut bare = alert("Slow", "", "critical", 1);
        bare.expression = None;
        let rule = Rule {
            group: "g".into(),
            name: "Slow".into(),
            alerting: true,
            expression: "latency > 1".into(),
            for_seconds: 0.0,
            labels: crate::domain::Labels::new(),
            annotations: crate::domain::Labels::new(),
            last_error: crate::domain::Text::default(),
        };
        assert_eq!(choose(&[bare], &[rule], 3).expressions, [("Slow".to_owned(), "latency > 1".to_owned())]);
    }
}

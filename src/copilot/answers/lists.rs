//! Alerts, rules, names and whatever else is a list.

use std::collections::BTreeMap;

use crate::domain::alert::{Alert, AlertState, Rule};
use crate::domain::change::Change;
use crate::domain::query::Data;
use crate::domain::time::human_duration;
use crate::domain::{Labels, Text, TimeRange};

use super::rows::{Rows, figure, short, stamp};

/// Characters of one row of a list.
const ROW: usize = 400;
/// Alerts of one name that are told apart.
const ALIKE: usize = 5;
/// Lines of a diff.
const DIFF: usize = 8;

/// Tells what stands in the list.
pub(super) fn tell(rows: &mut Rows, range: TimeRange, data: &Data) {
    match data {
        Data::Alerts(alerts) => tell_alerts(rows, range, alerts),
        Data::Rules(rules) => tell_rules(rows, rules),
        Data::Changes(changes) => tell_changes(rows, range, changes),
        Data::Metadata(metrics) => {
            let line = |(name, meta): (&String, &crate::domain::metric::MetricMeta)| {
                let kind = format!("{:?}", meta.kind).to_lowercase();
                short(&format!("{name} {kind} {}", meta.help), ROW)
            };
            listed(rows, "metric", metrics.iter().map(line));
        }
        Data::Names(names) => listed(rows, "name", names.iter().map(|name| short(name, ROW))),
        Data::LabelSets(sets) => listed(rows, "label set", sorted(sets.iter().map(ToString::to_string))),
        Data::Facts(facts) => listed(rows, "fact", facts.iter().map(|(key, value)| format!("{key} = {value}"))),
        Data::AlertGroups(groups) => {
            let lines = groups.iter().map(|group| format!("{} {} alerts", group.labels, group.fingerprints.len()));
            listed(rows, "group", sorted(lines));
        }
        Data::Silences(silences) => {
            let lines = silences.iter().map(|silence| {
                let until = stamp(silence.ends_at, range.start);
                let matchers = silence.matchers.join(" ");
                format!("{} {matchers} until {until} by {}: {}", silence.state, silence.created_by, silence.comment)
            });
            listed(rows, "silence", sorted(lines));
        }
        Data::Targets(targets) => {
            let down = targets.iter().filter(|target| target.health != "up").count();
            rows.head(&format!("{} targets, {down} of them not up", targets.len()));
            // What is not up comes first.
            let mut lines: Vec<(bool, String)> = targets
                .iter()
                .map(|target| {
                    (target.health == "up", format!("{} {} {}", target.health, target.labels, target.last_error))
                })
                .collect();
            lines.sort();
            for (_, line) in lines {
                rows.row(&short(line.trim_end(), ROW));
            }
        }
        Data::Volumes(volumes) => {
            let mut volumes: Vec<(u64, String)> =
                volumes.iter().map(|(labels, bytes)| (*bytes, labels.to_string())).collect();
            volumes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            listed(rows, "stream", volumes.into_iter().map(|(bytes, labels)| format!("{labels} {bytes} bytes")));
        }
        Data::Patterns(patterns) => {
            let mut patterns: Vec<&(Text, u64)> = patterns.iter().collect();
            patterns.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            listed(rows, "pattern", patterns.into_iter().map(|(text, count)| format!("×{count} {text}")));
        }
        Data::Fields(fields) => {
            let lines = fields.iter().map(|(name, kind, values)| format!("{name} {kind}, {values} different values"));
            listed(rows, "field", sorted(lines));
        }
        Data::Series(_) | Data::Scalar(_) | Data::Word(_) | Data::Logs(_) => {}
    }
}

fn sorted(lines: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines.into_iter()
}

fn listed(rows: &mut Rows, what: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    rows.head(&match lines.len() {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    });
    for line in lines {
        rows.row(&short(&line, ROW));
    }
}

/// Alerts, worst first, those of one name together.
fn tell_alerts(rows: &mut Rows, range: TimeRange, alerts: &[Alert]) {
    if alerts.is_empty() {
        rows.head("no alerts");
        return;
    }
    let mut by_name: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        by_name.entry(alert.name()).or_default().push(alert);
    }
    let firing = alerts.iter().filter(|alert| alert.state == AlertState::Active).count();
    rows.head(&format!("{} alerts of {} names, {firing} of them active", alerts.len(), by_name.len()));
    let mut names: Vec<(&str, Vec<&Alert>)> = by_name.into_iter().collect();
    for (_, alerts) in &mut names {
        alerts.sort_by(|a, b| {
            a.starts_at
                .cmp(&b.starts_at)
                .then_with(|| a.labels.cmp(&b.labels))
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
    }
    let worst = |alerts: &[&Alert]| alerts.iter().map(|alert| alert.severity()).max();
    names.sort_by(|a, b| worst(&b.1).cmp(&worst(&a.1)).then_with(|| b.1.len().cmp(&a.1.len())).then(a.0.cmp(b.0)));
    for (name, alerts) in names {
        for alert in alerts.iter().take(ALIKE) {
            rows.row(&alert_line(alert, range));
        }
        if alerts.len() > ALIKE {
            let rest = &alerts[ALIKE..];
            let mut services: Vec<&str> = rest.iter().filter_map(|alert| alert.labels.service()).collect();
            services.sort_unstable();
            services.dedup();
            let of = if services.is_empty() { String::new() } else { format!(" of {}", services.join(", ")) };
            rows.row(&short(&format!("and {} more {name}{of}", rest.len()), ROW));
        }
    }
}

fn alert_line(alert: &Alert, range: TimeRange) -> String {
    let state = match alert.state {
        AlertState::Active => "active",
        AlertState::Suppressed => "silenced or inhibited",
        AlertState::Pending => "pending",
        AlertState::Resolved => "resolved",
    };
    let until = alert.ends_at.filter(|_| alert.state == AlertState::Resolved);
    let until = until.map_or_else(String::new, |at| format!(" until {}", stamp(at, range.start)));
    let labels: Labels = alert.labels.iter().filter(|(name, _)| !matches!(*name, "alertname" | "severity")).collect();
    let since = stamp(alert.starts_at, range.start);
    let head = format!("{} {} {state} since {since}{until} {labels}", alert.name(), alert.severity().word());
    let summary = if alert.summary() == alert.name() { String::new() } else { format!(": {}", alert.summary()) };
    short(&format!("{head}{summary}"), ROW)
}

fn tell_rules(rows: &mut Rows, rules: &[Rule]) {
    let mut rules: Vec<&Rule> = rules.iter().collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.expression.cmp(&b.expression)));
    let lines = rules.into_iter().map(|rule| {
        let kind = if rule.alerting { "alert" } else { "record" };
        let after = if rule.for_seconds > 0.0 { format!(" for {}s", figure(rule.for_seconds)) } else { String::new() };
        let error = if rule.last_error.is_empty() {
            String::new()
        } else {
            format!(" (fails: {})", rule.last_error.one_line())
        };
        format!("{kind} {}: {}{after}{error}", rule.name, rule.expression)
    });
    listed(rows, "rule", lines);
}

fn tell_changes(rows: &mut Rows, range: TimeRange, changes: &[Change]) {
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by(|a, b| {
        b.at.cmp(&a.at).then_with(|| a.service.cmp(&b.service)).then_with(|| a.reference.cmp(&b.reference))
    });
    rows.head(&match changes.len() {
        0 => "no change is known in this time".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes, newest first"),
    });
    for change in changes {
        let before = human_duration(range.end.since(change.at));
        let by = if change.author.is_empty() { String::new() } else { format!(" by {}", change.author) };
        let head = format!(
            "{} {} {} {}{by}, {before} before the end: {}",
            stamp(change.at, range.start),
            change.kind,
            change.service,
            change.reference.one_line(),
            change.summary
        );
        if rows.row(&short(&head, ROW))
            && let Some(diff) = &change.diff
        {
            let telling: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
            for line in telling.iter().take(DIFF) {
                rows.under(&short(line, ROW / 2));
            }
            if telling.len() > DIFF {
                rows.under(&format!("… {} more changed lines", telling.len() - DIFF));
            }
        }
    }
}

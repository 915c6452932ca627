//! Rounds 1 and 2: what there is, what happened before, and what the alerts themselves are about.

use std::time::Duration;

use super::history::{self, Trouble};
use super::known::{count_expression, service_labels};
use super::naming::{MetricQuestion, literal, one_of};
use super::{CHANGES_BEFORE, Inquiry, MOST_FAMILIES, MOST_QUESTIONS, Role, baseline, graph, streams, timing};
use crate::domain::TimeRange;
use crate::domain::labels::quote;
use crate::domain::query::{Data, Lang, NoteKind, Purpose, Query};

/// How long before the window the labels of logs are looked for.
const LABELS_BEFORE: Duration = Duration::from_hours(1);

impl Inquiry {
    pub(super) fn discover(&mut self) {
        let window = self.incident.window;
        let found = |query, role: Role| (query, Purpose::Discovery, role);
        let names = |range| Query::LabelNames { lang: Lang::PromQl, matchers: Vec::new(), range };
        let changes = TimeRange::new(window.start.minus(CHANGES_BEFORE), window.end);
        let metric_names =
            Query::LabelValues { lang: Lang::PromQl, label: "__name__".into(), matchers: Vec::new(), range: window };
        let log_labels = Query::LabelNames { lang: Lang::LogQl, matchers: Vec::new(), range: self.log_range() };
        for (query, purpose, role) in [
            found(Query::Rules, Role::Rules),
            found(Query::Metadata, Role::Metadata),
            found(metric_names, Role::MetricNames),
            found(names(window), Role::MetricLabels),
            found(log_labels, Role::LogLabels),
            (Query::Changes { range: changes }, Purpose::Changes, Role::Changes),
            found(history::alerts(self.day_before()), Role::AlertHistory),
            found(history::presence(self.day_before()), Role::Presence),
        ] {
            self.plan(query, purpose, role);
        }
        for season in baseline::seasons(window, window) {
            self.plan(names(season), Purpose::Discovery, Role::SeasonProbe(season));
        }
    }

    /// The day before the window: where a quiet baseline is looked for.
    fn day_before(&self) -> TimeRange {
        let start = self.incident.window.start;
        TimeRange::new(start.minus(baseline::LOOK_BACK), start)
    }

    /// Where the labels of logs are looked for. It depends on the window only, so that a replay asks the same.
    fn log_range(&self) -> TimeRange {
        let window = self.incident.window;
        TimeRange::new(window.start.minus(LABELS_BEFORE), window.end)
    }

    /// Chooses the baseline, now that it is known what happened before, and finds the seasons there is data of.
    pub(super) fn settle_baseline(&mut self) {
        let (window, wanted) = (self.incident.window, self.incident.baseline);
        let found = self.trouble_in(&Role::AlertHistory, self.day_before(), true);
        let data = match self.answer_of(&Role::Presence).map(|answer| &answer.data) {
            Some(Data::Series(series)) => history::present(series),
            _ => Vec::new(),
        };
        let others = self.circumstances.others.iter().copied();
        let trouble = baseline::merged(found.ranges.iter().copied().chain(others));
        let movable = !self.circumstances.baseline_is_chosen;
        let choice = baseline::choose(window, wanted, &trouble, &data, movable);
        let who = if found.names.is_empty() {
            "another incident was open".to_owned()
        } else {
            format!("other alerts fired ({})", Trouble::words(&found.names))
        };
        self.incident.baseline = choice.baseline;
        self.stretches = timing::stretches(window, choice.baseline);
        // What lies between baseline and window is fetched as context.
        let before = TimeRange::new(window.start.minus(timing::PRECEDING), window.start);
        let mut places = baseline::gaps(before, &[choice.baseline]);
        if choice.covered {
            let text = format!("{who} during all of the baseline, and no quiet time was found before it");
            self.say(NoteKind::Warning, &text);
        } else {
            places.push(choice.baseline);
        }
        self.spoiled = baseline::inside(&trouble, &places);
        if !choice.covered {
            self.tell_of_distance(&trouble, &who);
        }
        if !found.chronic.is_empty() {
            let text = format!("alerts that fired nearly all day count as normal: {}", Trouble::words(&found.chronic));
            self.say(NoteKind::Info, &text);
        }
        let has_data =
            |season: &TimeRange| self.answer_of(&Role::SeasonProbe(*season)).is_some_and(|answer| !answer.is_empty());
        self.seasons =
            baseline::seasons(window, self.incident.baseline).into_iter().filter(|season| has_data(season)).collect();
        for season in self.seasons.clone() {
            self.plan(history::alerts(season), Purpose::Discovery, Role::SeasonAlerts(season));
        }
    }

    /// Says why the baseline lies where it lies. Follows from the data alone, so that a replay says the same.
    fn tell_of_distance(&mut self, trouble: &[TimeRange], who: &str) {
        let (window, chosen) = (self.incident.window, self.incident.baseline);
        let usual = TimeRange::new(window.start.minus(chosen.duration()), window.start);
        let troubled = !baseline::inside(trouble, &[usual]).is_empty();
        let earlier = chosen.end < window.start && window.start.since(chosen.end) <= baseline::LOOK_BACK;
        if troubled && earlier {
            self.say(NoteKind::Info, &format!("compared with {chosen}: just before the window {who}"));
        } else if !self.spoiled.is_empty() {
            let text = format!("{who} during a part of the baseline, which says nothing about normal");
            self.say(NoteKind::Info, &text);
        }
    }

    fn trouble_in(&self, role: &Role, range: TimeRange, with_own: bool) -> Trouble {
        match self.answer_of(role).map(|answer| &answer.data) {
            Some(Data::Series(series)) => history::trouble(series, range, &self.incident, with_own),
            _ => Trouble::default(),
        }
    }

    /// Marks what other alerts spoil of the seasons, and says when the incident's own alerts fire at this time of day.
    pub(super) fn mind_seasons(&mut self) {
        let mut spoiled = self.spoiled.clone();
        for season in self.seasons.clone() {
            let found = self.trouble_in(&Role::SeasonAlerts(season), season, false);
            let others = self.circumstances.others.iter().copied();
            let trouble = baseline::merged(found.ranges.iter().copied().chain(others));
            spoiled.extend(baseline::inside(&trouble, &[season]));
            if !found.own.is_empty() {
                let days = self.incident.window.start.since(season.start).as_secs() / 86_400;
                let when = if days <= 1 { "yesterday".to_owned() } else { format!("{days} days ago") };
                let text = format!("fired at this time {when}, too: {}", Trouble::words(&found.own));
                self.say(NoteKind::Info, &text);
            }
        }
        self.spoiled = baseline::merged(spoiled);
    }

    /// Marks what other incidents spoil of `places`.
    pub(super) fn mind_trouble(&mut self, places: &[TimeRange]) {
        let found = self.trouble_in(&Role::AlertHistory, self.day_before(), true);
        let others = self.circumstances.others.iter().copied();
        let trouble = baseline::merged(found.ranges.iter().copied().chain(others));
        let spoiled = baseline::inside(&trouble, places);
        self.spoiled = baseline::merged(self.spoiled.iter().copied().chain(spoiled));
    }

    pub(super) fn look_closer(&mut self) {
        let catalogue = self.catalogue();
        let span = timing::rate_span(self.incident.window);
        let first = self.questions.len();
        for question in self.alert_questions(&catalogue) {
            self.plan_metric(question);
        }
        let alerted = first..self.questions.len();
        for question in graph::questions(&catalogue.names, &catalogue.labels, span) {
            self.plan_metric(MetricQuestion {
                purpose: question.purpose,
                expr: question.expr,
                raw: false,
                series: 100,
            });
        }
        self.plan_alert_seasons(alerted);
        // One query tells how large the promising metrics are.
        let families = catalogue.families(&self.alert_metrics());
        if families.len() > MOST_FAMILIES {
            self.note(&format!(
                "{} of {} metrics were considered; the rest have names that promise less",
                MOST_FAMILIES,
                families.len()
            ));
        }
        let at = self.incident.window.end;
        if let Some(expr) = count_expression(&catalogue, &families, "") {
            self.plan(Query::Instant { lang: Lang::PromQl, expr, at }, Purpose::Discovery, Role::Counts);
        }
        let labels = service_labels(&catalogue);
        // Where not all can be asked, what the alerted services themselves say comes first.
        if families.len() * 2 > MOST_QUESTIONS
            && let Some(expr) = self.related_expression(&labels, catalogue.labels.contains("pod"))
        {
            self.plan(Query::Instant { lang: Lang::PromQl, expr, at }, Purpose::Discovery, Role::Related);
        }
        for label in labels {
            let query = Query::LabelValues {
                lang: Lang::PromQl,
                label: label.clone(),
                matchers: Vec::new(),
                range: self.incident.window,
            };
            self.plan(query, Purpose::Discovery, Role::LabelValues(Lang::PromQl, label));
        }
        let range = self.log_range();
        for label in streams::candidates(&self.names(&Role::LogLabels)) {
            let query = Query::LabelValues { lang: Lang::LogQl, label: label.clone(), matchers: Vec::new(), range };
            self.plan(query, Purpose::Discovery, Role::LabelValues(Lang::LogQl, label));
        }
    }

    /// The alerts' expressions at the same time of earlier days: what is alerted on is worth it, whatever it costs.
    fn plan_alert_seasons(&mut self, numbers: std::ops::Range<usize>) {
        for season in self.seasons.clone() {
            for number in numbers.clone() {
                self.plan_stretch(number, season);
            }
        }
    }

    /// Counts the series of the alerted services by metric.
    fn related_expression(&self, labels: &[String], pods: bool) -> Option<String> {
        let services: Vec<&str> =
            self.incident.services.iter().take(super::MOST_SERVICES).map(String::as_str).collect();
        if services.is_empty() {
            return None;
        }
        let mut selectors: Vec<String> =
            labels.iter().map(|label| format!("{{{}}}", one_of(label, services.iter().copied()))).collect();
        if pods {
            let pods: Vec<String> = services.iter().map(|service| format!("{}-.+", literal(service))).collect();
            selectors.push(format!("{{pod=~{}}}", quote(&pods.join("|"))));
        }
        (!selectors.is_empty()).then(|| format!("count by (__name__) ({})", selectors.join(" or ")))
    }
}

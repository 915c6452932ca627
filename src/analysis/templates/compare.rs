//! Comparison of template counts between baseline and window.

use std::collections::BTreeMap;

use super::exemplars::{self, Surroundings};
use super::flows::{self, END, Way};
use super::level::level_of;
use super::merge::{self, Template};
use super::rates::{adjusted, change_p};
use super::reading::LogReading;
use super::scores::Scores;
use super::slices::Slices;
use super::telling::{self, Told};
use crate::analysis::periods::{BASELINE, Periods, Spans, WINDOW};
use crate::domain::evidence::{BeforeAfter, Branch, LogChange, LogDetail};
use crate::domain::log::LogEntry;
use crate::domain::{Text, TimeRange, Timestamp};

/// Findings returned for one service: the strongest.
const MAX_PER_SERVICE: usize = 60;
/// Of those, templates that did not change: what the service usually says, for context.
const MAX_UNCHANGED: usize = 6;
/// Score below which a finding blames nobody: it did not change, or is new or vanished in a way that chance explains.
pub const CONTEXT_SCORE: f64 = 0.05;
/// Findings returned in all.
const MAX_FINDINGS: usize = 2_000;
/// Characters of a template.
const MAX_TEMPLATE: usize = 600;
/// False discovery rate of all kinds of change.
pub(super) const FALSE_DISCOVERIES: f64 = 0.01;
/// Smallest ratio of rates that is called a change; logs vary more than Poisson counts do.
const LEAST_RATIO: f64 = 1.8;

/// A log template whose rate, or what follows it, changed between baseline and window.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFinding {
    /// The service that writes it; empty when the entries name none.
    pub service: String,
    /// The template with counts, rates, change and exemplars. Without a change, what follows it
    /// changed (`branch`), its values tell something (`telling`), or it stands for context (score below
    /// [`CONTEXT_SCORE`]).
    pub detail: LogDetail,
    /// 0 to 1, comparable between services.
    pub score: f64,
}

/// Compares the templates of each service between `baseline` and `window`; see [`LogReading::compare`].
pub fn compare_logs(entries: &[LogEntry], baseline: TimeRange, window: TimeRange) -> Vec<LogFinding> {
    LogReading::of(entries, Periods::new(baseline, window)).compare()
}

impl LogReading<'_> {
    /// Compares the templates of each service between baseline and window. Strongest first; ties by service, then
    /// template. With scores below [`CONTEXT_SCORE`] follow what is new or vanished in a way that chance explains, and a
    /// few unchanged templates of each service: where in its code it was. Entries outside both periods are ignored;
    /// an entry inside both counts for the window.
    pub fn compare(&self) -> Vec<LogFinding> {
        // What stands for the baseline of a silent service says nothing about how long the others were watched.
        let events = self
            .events()
            .map(|(index, template)| (self.entries[index as usize].at, self.templates[template as usize].service))
            .filter(|(at, _)| self.periods.of_time(*at).is_some());
        let mut spans = Spans::observed(&self.periods, events);
        if !spans.comparable() {
            return Vec::new();
        }
        for (service, name) in self.forms.services.iter().enumerate() {
            if let Some(reference) = self.periods.reference_of(name) {
                spans.refer(service as u32, &self.periods, reference);
            }
        }
        let slices = Slices::of(self);
        let mut counted: Vec<Counted<'_>> =
            self.templates.iter().map(|template| Counted::new(template, self)).collect();
        test(&mut counted, &slices, &spans);
        let is_new: Vec<bool> = counted.iter().map(|one| one.counts[BASELINE] == 0).collect();
        let flows = flows::of(self, &is_new);
        let told = telling::tell(self, &counted);
        let scores = Scores::of(&counted, &flows.ways, &flows.implied, &told, &spans);
        let findings = strongest(&counted, &scores, &spans);
        let around = Surroundings::of(self);
        let mut out: Vec<LogFinding> = findings
            .into_iter()
            .map(|(score, index)| {
                let one = &counted[index];
                let branch = scores.told_way(index).map(|way| branch(way, index, &counted));
                let detail = self.detail(one, index, &spans, &slices, told.get(&(index as u32)), &around);
                LogFinding {
                    service: self.forms.services[one.template.service as usize].clone(),
                    detail: LogDetail { branch, ..detail },
                    score,
                }
            })
            .collect();
        out.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.service.cmp(&b.service))
                .then_with(|| a.detail.template.cmp(&b.detail.template))
        });
        out
    }

    fn detail(
        &self,
        one: &Counted<'_>,
        index: usize,
        spans: &Spans,
        slices: &Slices,
        told: Option<&Told>,
        around: &Surroundings,
    ) -> LogDetail {
        let change = one.change(spans);
        let is_gone = change == Some(LogChange::Vanished);
        let period = if is_gone { BASELINE } else { WINDOW };
        let last = slices.last(index, BASELINE).filter(|_| is_gone);
        let told_entries = told.map_or(&[][..], |told| &told.entries);
        let onset = match change {
            Some(LogChange::New) => one.first,
            Some(LogChange::Vanished) => last.map(|entry| self.entries[entry as usize].at),
            Some(LogChange::More | LogChange::Fewer) => slices.onset(index, one.clump),
            None => None,
        };
        let name = &self.forms.services[one.template.service as usize];
        let outside_baseline = self.periods.reference_of(name).is_some();
        // Where a service was silent in the baseline, whatever it says is new since; what it said elsewhere decides how
        // much that means.
        let change = if outside_baseline && !is_gone { Some(LogChange::New) } else { change };
        LogDetail {
            template: Text::new(&one.template.render()).truncated(MAX_TEMPLATE),
            change,
            baseline_count: one.counts[BASELINE],
            window_count: one.counts[WINDOW],
            baseline_per_minute: one.rate(BASELINE, spans),
            window_per_minute: one.rate(WINDOW, spans),
            level: one.level.to_owned(),
            exemplars: exemplars::of_template(self, index, period, told_entries, last, around),
            first: one.first,
            branch: None,
            onset,
            telling: told.map(|told| told.values.clone()).unwrap_or_default(),
            outside_baseline,
        }
    }
}

/// The findings worth returning, by score.
fn strongest(counted: &[Counted<'_>], scores: &Scores<'_, '_>, spans: &Spans) -> Vec<(f64, usize)> {
    let mut findings: Vec<(f64, usize)> =
        (0..counted.len()).map(|index| (scores.score(index), index)).filter(|(score, _)| *score > 0.0).collect();
    findings.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| counted[a.1].key().cmp(&counted[b.1].key())));
    let mut taken: BTreeMap<u32, [usize; 2]> = BTreeMap::new();
    findings.retain(|(score, index)| {
        let [all, unchanged] = taken.entry(counted[*index].template.service).or_default();
        *all += 1;
        // What is new or vanished is worth reading, even where so short a baseline does not prove that it is.
        let is_unchanged = *score < CONTEXT_SCORE && counted[*index].change(spans).is_none();
        *unchanged += usize::from(is_unchanged);
        *all <= MAX_PER_SERVICE && (!is_unchanged || *unchanged <= MAX_UNCHANGED)
    });
    findings.truncate(MAX_FINDINGS);
    findings
}

/// A template with its counts.
pub(super) struct Counted<'a> {
    pub template: &'a Template<'a>,
    pub counts: [u64; 2],
    pub first: Option<Timestamp>,
    pub level: &'static str,
    /// Probability of so unequal counts by chance.
    pub p: f64,
    /// The same, mindful of how many templates are looked at.
    pub q: f64,
    /// Ratio of the rates.
    ratio: f64,
    /// Lines that count as one event.
    clump: f64,
}

impl<'a> Counted<'a> {
    fn new(template: &'a Template<'a>, reading: &LogReading<'_>) -> Self {
        let mut counts = [0; 2];
        let mut first: Option<Timestamp> = None;
        for form in template.forms.iter().map(|index| &reading.forms.all[*index as usize]) {
            counts[BASELINE] += form.counts[BASELINE];
            counts[WINDOW] += form.counts[WINDOW];
            first = [first, form.first].into_iter().flatten().min();
        }
        let sample = template.forms.iter().map(|index| reading.forms.all[*index as usize].sample).min();
        let level = sample.map(|index| level_of(&reading.entries[index as usize])).unwrap_or_default();
        Self { template, counts, first, level, p: 1.0, q: 1.0, ratio: 1.0, clump: 1.0 }
    }

    fn key(&self) -> (u32, &[merge::Token<'a>]) {
        (self.template.service, &self.template.tokens)
    }

    fn is_alarming(&self) -> bool {
        matches!(self.level, "error" | "warn")
    }

    /// Occurrences per minute.
    pub(super) fn rate(&self, period: usize, spans: &Spans) -> f64 {
        self.counts[period] as f64 / spans.minutes(self.template.service)[period]
    }

    /// How the counts differ. That something is new or vanished is a fact, whether or not it is more than chance.
    pub(super) fn change(&self, spans: &Spans) -> Option<LogChange> {
        match self.counts {
            [0, 0] => None,
            [0, _] => Some(LogChange::New),
            [_, 0] => Some(LogChange::Vanished),
            _ if self.q > FALSE_DISCOVERIES => None,
            _ => {
                let ratio = self.rate(WINDOW, spans) / self.rate(BASELINE, spans);
                if ratio >= LEAST_RATIO {
                    Some(LogChange::More)
                } else if ratio <= 1.0 / LEAST_RATIO {
                    Some(LogChange::Fewer)
                } else {
                    None
                }
            }
        }
    }

    /// The change, where it is more than chance.
    pub(super) fn sure_change(&self) -> Option<LogChange> {
        if self.q > FALSE_DISCOVERIES {
            return None;
        }
        match self.counts {
            [0, 0] => None,
            [0, _] => Some(LogChange::New),
            [_, 0] => Some(LogChange::Vanished),
            _ if self.ratio >= LEAST_RATIO => Some(LogChange::More),
            _ if self.ratio <= 1.0 / LEAST_RATIO => Some(LogChange::Fewer),
            _ => None,
        }
    }

    /// `score` where the change is more than chance, else only context.
    pub(super) fn beyond_chance(&self, score: f64) -> f64 {
        if self.q <= FALSE_DISCOVERIES { score } else { 0.9 * CONTEXT_SCORE * score }
    }
}

/// Fills in the p-values, then those adjusted for their number.
fn test(counted: &mut [Counted<'_>], slices: &Slices, spans: &Spans) {
    for (index, one) in counted.iter_mut().enumerate() {
        let service = one.template.service;
        one.clump = slices.clump(index, service);
        let effective = |period: usize| {
            let count = one.counts[period] as f64;
            (count / one.clump).max(slices.occupied(index, period).min(count))
        };
        // Where both counts are there, their ratio must stay what it is.
        let [before, after] = if one.counts[BASELINE] > 0 && one.counts[WINDOW] > 0 {
            one.counts.map(|count| count as f64 / one.clump)
        } else {
            [effective(BASELINE), effective(WINDOW)]
        };
        one.p = change_p(before, after, spans.share(service));
        one.ratio = one.rate(WINDOW, spans) / one.rate(BASELINE, spans);
    }
    // Errors and warnings are a family of their own: among few alarming templates less is chance than among many
    // remarks (stratified false discovery rate; Sun, Craiu, Paterson and Bull, Genetic Epidemiology 30, 2006).
    for alarming in [true, false] {
        let family: Vec<usize> = (0..counted.len()).filter(|at| counted[*at].is_alarming() == alarming).collect();
        let p: Vec<f64> = family.iter().map(|at| counted[*at].p).collect();
        for (at, q) in family.into_iter().zip(adjusted(&p)) {
            counted[at].q = q;
        }
    }
}

/// A branch in words.
fn branch(way: &Way, own: usize, counted: &[Counted<'_>]) -> Branch {
    let text = |index: u32| {
        (index != END).then(|| Text::new(&counted[index as usize].template.render()).truncated(MAX_TEMPLATE))
    };
    Branch {
        from: if way.from as usize == own { None } else { text(way.from) },
        now: text(way.to),
        share: BeforeAfter { before: Some(way.share[BASELINE]), after: Some(way.share[WINDOW]) },
        before: text(way.usual),
    }
}

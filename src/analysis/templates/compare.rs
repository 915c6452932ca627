//! Comparison of template counts between baseline and window.

use std::collections::BTreeMap;

use super::flows::{self, END, Way};
use super::forms::{self, BASELINE, Form, NONE, WINDOW};
use super::level::level_of;
use super::merge::{self, Template};
use super::rates::{adjusted, change_p};
use crate::domain::evidence::{BeforeAfter, Branch, LogChange, LogDetail};
use crate::domain::log::LogEntry;
use crate::domain::{Text, TimeRange, Timestamp};

/// Findings returned for one service: the strongest.
const MAX_PER_SERVICE: usize = 60;
/// Of those, templates that did not change: what the service usually says, for context.
const MAX_UNCHANGED: usize = 3;
/// Score below which a finding is only context.
pub const CONTEXT_SCORE: f64 = 0.05;
/// Findings returned in all.
const MAX_FINDINGS: usize = 2_000;
/// Characters of a template.
const MAX_TEMPLATE: usize = 600;
/// Characters of an exemplar, frames included.
const MAX_EXEMPLAR: usize = 4_000;
/// Frames of a stack trace kept with the entry that they belong to.
const MAX_FRAMES: usize = 8;
/// False discovery rate for `More` and `Fewer`.
const FALSE_DISCOVERIES: f64 = 0.01;
/// Smallest ratio of rates that is called a change; logs vary more than Poisson counts do.
const LEAST_RATIO: f64 = 1.8;

/// A log template whose rate, or what follows it, changed between baseline and window.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFinding {
    /// The service that writes it; empty when the entries name none.
    pub service: String,
    /// The template with counts, rates, change and exemplars. Without a change, what follows it
    /// changed (`branch`), or it stands for context (score below [`CONTEXT_SCORE`]).
    pub detail: LogDetail,
    /// 0 to 1, comparable between services.
    pub score: f64,
}

/// Compares the templates of each service between `baseline` and `window`. Strongest first; ties by service, then
/// template. A few unchanged templates of each service follow with scores below [`CONTEXT_SCORE`]: where in its code
/// the service was. Entries outside both ranges are ignored; an entry inside both counts for the window. The order of
/// `entries` does not matter, except among entries of one stream with the same time.
pub fn compare_logs(entries: &[LogEntry], baseline: TimeRange, window: TimeRange) -> Vec<LogFinding> {
    let order = in_order(entries);
    let forms = forms::collect(entries, &order, baseline, window);
    let spans = Spans::observed(entries, baseline, window);
    if spans.minutes[BASELINE] <= 0.0 || spans.minutes[WINDOW] <= 0.0 {
        return Vec::new();
    }
    let mut counted: Vec<Counted<'_>> =
        merge::templates(&forms.shapes, |form| entries[forms.all[form].sample as usize].line.as_str())
            .into_iter()
            .map(|template| Counted::new(template, &forms.all, entries))
            .collect();
    test(&mut counted, spans.share());
    let mut template_of = vec![0; forms.all.len()];
    for (index, one) in counted.iter().enumerate() {
        for form in &one.template.forms {
            template_of[*form as usize] = index as u32;
        }
    }
    let ways = flows::ways(entries, &order, &forms, &template_of, baseline, window);
    let scores = Scores::of(&counted, &ways, spans);
    let mut findings: Vec<(f64, usize)> =
        (0..counted.len()).map(|index| (scores.score(index), index)).filter(|(score, _)| *score > 0.0).collect();
    findings.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| counted[a.1].key().cmp(&counted[b.1].key())));
    let mut taken: BTreeMap<u32, [usize; 2]> = BTreeMap::new();
    findings.retain(|(score, index)| {
        let [all, unchanged] = taken.entry(counted[*index].template.service).or_default();
        *all += 1;
        *unchanged += usize::from(*score < CONTEXT_SCORE);
        *all <= MAX_PER_SERVICE && *unchanged <= MAX_UNCHANGED
    });
    findings.truncate(MAX_FINDINGS);
    let place: Vec<u32> = inverse(&order, entries.len());
    let mut out: Vec<LogFinding> = findings
        .into_iter()
        .map(|(score, index)| {
            let one = &counted[index];
            let branch = scores.told_way(index).map(|way| branch(way, index, &counted));
            LogFinding {
                service: forms.services[one.template.service as usize].clone(),
                detail: LogDetail { branch, ..one.detail(spans, entries, &forms.all, &order, &place) },
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

/// Indices of the entries by time, then labels; entries of one stream and time keep their order.
fn in_order(entries: &[LogEntry]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..entries.len().min(NONE as usize) as u32).collect();
    let compare = |a: &LogEntry, b: &LogEntry| {
        a.at.cmp(&b.at).then_with(|| {
            if std::sync::Arc::ptr_eq(&a.labels, &b.labels) {
                std::cmp::Ordering::Equal
            } else {
                a.labels.cmp(&b.labels)
            }
        })
    };
    if !entries.is_sorted_by(|a, b| compare(a, b).is_le()) {
        order.sort_by(|&a, &b| compare(&entries[a as usize], &entries[b as usize]));
    }
    order
}

fn inverse(order: &[u32], len: usize) -> Vec<u32> {
    let mut place = vec![0; len];
    for (at, &index) in order.iter().enumerate() {
        place[index as usize] = at as u32;
    }
    place
}

/// How long baseline and window were really observed.
#[derive(Debug, Clone, Copy)]
struct Spans {
    minutes: [f64; 2],
}

impl Spans {
    /// The length of each range, or of the part of it between the first and the last of all entries when that is
    /// clearly shorter: sources cut answers, and recordings begin late. Few entries prove nothing about that.
    fn observed(entries: &[LogEntry], baseline: TimeRange, window: TimeRange) -> Self {
        let minutes = [baseline, window].map(|range| {
            let whole = range.duration().as_secs_f64();
            let mut count = 0_u64;
            let mut ends: Option<(Timestamp, Timestamp)> = None;
            for entry in entries.iter().filter(|entry| range.contains(entry.at)) {
                count += 1;
                ends = Some(ends.map_or((entry.at, entry.at), |(a, b)| (a.min(entry.at), b.max(entry.at))));
            }
            let seen = ends.map_or(0.0, |(first, last)| last.since(first).as_secs_f64());
            let seen = seen * (count as f64 + 1.0) / (count as f64 - 1.0).max(1.0);
            let seconds = if count >= 50 && seen < 0.9 * whole { seen.max(whole / 100.0) } else { whole };
            seconds / 60.0
        });
        Self { minutes }
    }

    /// The window's share of the observed time.
    fn share(self) -> f64 {
        self.minutes[WINDOW] / (self.minutes[WINDOW] + self.minutes[BASELINE])
    }
}

/// A template with its counts.
struct Counted<'a> {
    template: Template<'a>,
    counts: [u64; 2],
    first: Option<Timestamp>,
    level: &'static str,
    p: f64,
    q: f64,
}

impl<'a> Counted<'a> {
    fn new(template: Template<'a>, forms: &[Form], entries: &[LogEntry]) -> Self {
        let mut counts = [0; 2];
        let mut first: Option<Timestamp> = None;
        for form in template.forms.iter().map(|index| &forms[*index as usize]) {
            counts[BASELINE] += form.counts[BASELINE];
            counts[WINDOW] += form.counts[WINDOW];
            first = [first, form.first].into_iter().flatten().min();
        }
        let sample = template.forms.iter().map(|index| forms[*index as usize].sample).min();
        let level = sample.map(|index| level_of(&entries[index as usize])).unwrap_or_default();
        Self { template, counts, first, level, p: 1.0, q: 1.0 }
    }

    fn key(&self) -> (u32, &[merge::Token<'a>]) {
        (self.template.service, &self.template.tokens)
    }

    fn rate(&self, period: usize, spans: Spans) -> f64 {
        self.counts[period] as f64 / spans.minutes[period]
    }

    fn change(&self, spans: Spans) -> Option<LogChange> {
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

    fn detail(&self, spans: Spans, entries: &[LogEntry], forms: &[Form], order: &[u32], place: &[u32]) -> LogDetail {
        let change = self.change(spans);
        let period = if change == Some(LogChange::Vanished) { BASELINE } else { WINDOW };
        let exemplars = self.exemplars(period, entries, forms);
        LogDetail {
            template: Text::new(&self.template.render()).truncated(MAX_TEMPLATE),
            change,
            baseline_count: self.counts[BASELINE],
            window_count: self.counts[WINDOW],
            baseline_per_minute: self.rate(BASELINE, spans),
            window_per_minute: self.rate(WINDOW, spans),
            level: self.level.to_owned(),
            exemplars: exemplars.iter().map(|&index| with_frames(index, entries, order, place)).collect(),
            first: self.first,
            branch: None,
            onset: None,
            telling: Vec::new(),
        }
    }

    /// At most three entries: the shortest says it plainly, the longest says most, the earliest when.
    fn exemplars(&self, period: usize, entries: &[LogEntry], forms: &[Form]) -> Vec<u32> {
        let picks: Vec<[u32; 3]> = self
            .template
            .forms
            .iter()
            .map(|index| forms[*index as usize].picks[period])
            .filter(|picks| picks[0] != NONE)
            .collect();
        let key = |index: &u32| {
            let entry = &entries[*index as usize];
            (entry.line.len(), entry.at, entry.line.clone())
        };
        let when = |index: &u32| (entries[*index as usize].at, entries[*index as usize].line.clone());
        let shortest = picks.iter().map(|picks| picks[1]).min_by_key(key);
        let longest = picks.iter().map(|picks| picks[2]).max_by_key(key);
        let earliest = picks.iter().map(|picks| picks[0]).min_by_key(when);
        let mut out: Vec<u32> = Vec::new();
        for index in [shortest, longest, earliest].into_iter().flatten() {
            if out.iter().all(|known| entries[*known as usize].line != entries[index as usize].line) {
                out.push(index);
            }
        }
        out
    }
}

/// The entry with the stack frames that follow it in its stream.
fn with_frames(index: u32, entries: &[LogEntry], order: &[u32], place: &[u32]) -> LogEntry {
    let head = &entries[index as usize];
    let mut line = String::new();
    let from = place[index as usize] as usize + 1;
    for &next in order.iter().skip(from).take(64) {
        let entry = &entries[next as usize];
        if entry.labels != head.labels {
            continue;
        }
        if !forms::is_continuation(&entry.line) || entry.at.since(head.at).as_secs() >= 2 {
            break;
        }
        if line.is_empty() {
            line.push_str(&head.line);
        }
        line.push('\n');
        line.push_str(&entry.line);
        if line.matches('\n').count() >= MAX_FRAMES {
            break;
        }
    }
    let text = if line.is_empty() { head.line.clone() } else { Text::new(&line) };
    LogEntry { line: text.truncated(MAX_EXEMPLAR), ..head.clone() }
}

/// Fills in the p-values, then those adjusted for their number.
fn test(counted: &mut [Counted<'_>], share: f64) {
    for one in counted.iter_mut() {
        one.p = change_p(one.counts[BASELINE], one.counts[WINDOW], share);
    }
    let p: Vec<f64> = counted.iter().map(|one| one.p).collect();
    for (one, q) in counted.iter_mut().zip(adjusted(&p)) {
        one.q = q;
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

/// How much the level of a template adds to its weight: a new error says more than a new remark.
fn gravity(level: &str) -> f64 {
    match level {
        "error" => 1.0,
        "warn" => 0.85,
        "" => 0.75,
        _ => 0.65,
    }
}

/// Scores of all templates.
struct Scores<'a, 's> {
    counted: &'s [Counted<'a>],
    spans: Spans,
    /// Share of a service's templates that were seen exactly once: how incomplete its vocabulary is (Good and Turing).
    novelty: BTreeMap<u32, f64>,
    /// Ways by the template that they part from.
    parting: BTreeMap<u32, Way>,
    /// The surest way that leads to a template.
    leading: BTreeMap<u32, Way>,
}

impl<'a, 's> Scores<'a, 's> {
    fn of(counted: &'s [Counted<'a>], ways: &[Way], spans: Spans) -> Self {
        let mut seen: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for one in counted {
            let (once, all) = seen.entry(one.template.service).or_default();
            *all += 1.0;
            if one.counts[BASELINE] + one.counts[WINDOW] == 1 {
                *once += 1.0;
            }
        }
        let mut leading: BTreeMap<u32, Way> = BTreeMap::new();
        for way in ways {
            let best = leading.entry(way.to).or_insert(*way);
            if way.confidence > best.confidence {
                *best = *way;
            }
        }
        Self {
            counted,
            spans,
            novelty: seen.into_iter().map(|(service, (once, all))| (service, once / (all + 2.0))).collect(),
            parting: ways.iter().map(|way| (way.from, *way)).collect(),
            leading,
        }
    }

    fn way(&self, index: usize) -> Option<&Way> {
        self.parting.get(&(index as u32))
    }

    /// The way worth telling with a template: the one that parts from it, or for a new template the one that leads
    /// to it.
    fn told_way(&self, index: usize) -> Option<&Way> {
        let is_new = self.counted[index].change(self.spans) == Some(LogChange::New);
        let leading = self.leading.get(&(index as u32)).filter(|_| is_new);
        leading.or_else(|| self.way(index))
    }

    fn score(&self, index: usize) -> f64 {
        let one = &self.counted[index];
        let surprise = 1.0 - (1.0 - one.p.max(1e-30).log10() / 2.0).recip();
        let usual = 1.0 - self.novelty.get(&one.template.service).copied().unwrap_or(0.0);
        let gravity_of_own = gravity(one.level);
        let changed = match one.change(self.spans) {
            // Where requests branch off a line that was known before, the new line is no mere new traffic.
            Some(LogChange::New) => {
                let led = self.leading.get(&(index as u32)).map_or(0.0, |way| way.confidence);
                let branched = if led > 0.0 { 0.4 + 0.55 * led } else { 0.0 };
                gravity_of_own * (usual * (0.35 + 0.55 * surprise)).max(branched)
            }
            Some(LogChange::Vanished) => usual * (0.25 + 0.5 * surprise),
            Some(LogChange::More | LogChange::Fewer) => {
                let ratio = (one.rate(WINDOW, self.spans) / one.rate(BASELINE, self.spans)).ln().abs();
                0.7 * gravity_of_own * surprise * (ratio / (ratio + 1.5))
            }
            None => 0.01 + 0.02 * surprise,
        };
        let parted = self.way(index).map_or(0.0, |way| {
            let weight = if way.to == END { 0.8 } else { gravity(self.counted[way.to as usize].level) };
            0.9 * weight * weight * way.confidence
        });
        changed.max(parted).clamp(0.0, 1.0)
    }
}

//! The one value that troubled lines share and others do not: one version, one exchange, one promo code among the
//! slow.
//!
//! Requests (or lines, where there are no ids) of the window are slow, failed, new, or well. For each value of each
//! field its share among the troubled is compared with its share among the well ones of the same service that hold
//! the field: Fisher's exact test, with the false discovery rate controlled over all values, and a floor for the size
//! of the effect, because with thousands of lines anything is significant. Where nearly everything is in trouble, the
//! baseline takes the place of the well ones. A value that only goes along with a stronger one is left out.

use std::collections::BTreeMap;

use super::compare::{Counted, FALSE_DISCOVERIES};
use super::rates::{adjusted, at_least_by_chance};
use super::reading::LogReading;
use super::values::Gathered;
use crate::analysis::periods::{BASELINE, WINDOW};
use crate::domain::Text;
use crate::domain::evidence::{BeforeAfter, LogChange, TellingValue};

/// Values told of one template.
const MOST_TOLD: usize = 3;
/// Templates of a service that one value is told with.
const MOST_TEMPLATES: usize = 4;
/// Troubled requests that must hold a value.
const LEAST_COUNT: u64 = 5;
/// Share of the troubled that must hold it.
const LEAST_SHARE: f64 = 0.3;
/// How much larger its share must be among them than among the others: as a difference and as a ratio.
const LEAST_GAP: f64 = 0.25;
const LEAST_LIFT: f64 = 2.0;
/// Well requests that make a comparison.
const LEAST_OTHERS: u64 = 10;
/// Lines of the baseline that say how long a template usually takes.
const LEAST_TIMED: usize = 20;
/// How far beyond the 95th percentile of the baseline a slow line lies.
const BEYOND: f64 = 1.5;
/// Requests of the baseline that must have held a field before a value of it can be called unheard of.
const LEAST_KNOWN: u64 = 30;

/// What is told of one template.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub values: Vec<TellingValue>,
    /// Entries that hold the first of the values.
    pub entries: Vec<u32>,
    /// Least strength of the finding: a change that no count shows.
    pub strength: f64,
    /// Part of the way to certainty that the values add to the score of the template.
    pub bonus: f64,
}

/// How a request fared, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Failed,
    Slow,
    New,
    Well,
    /// Of the baseline.
    Before,
}

impl Fate {
    const TROUBLED: [Self; 3] = [Self::Failed, Self::Slow, Self::New];

    const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::New => "new",
            Self::Well | Self::Before => "window",
        }
    }
}

/// Finds the telling values of all services, by template.
pub(super) fn tell(reading: &LogReading<'_>, counted: &[Counted<'_>]) -> BTreeMap<u32, Told> {
    let gathered = Gathered::of(reading);
    let census = Census::of(&gathered, counted);
    let candidates = census.candidates();
    let mut out: BTreeMap<u32, Told> = BTreeMap::new();
    let mut of_group: BTreeMap<(u32, Fate), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        of_group.entry((candidate.service, candidate.fate)).or_default().push(candidate);
    }
    for ((service, fate), candidates) in of_group {
        let chosen = census.choose(service, fate, candidates);
        census.attach(service, fate, &chosen, &mut out);
    }
    census.unheard_of(&mut out);
    out
}

/// A value that may be told.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    service: u32,
    fate: Fate,
    value: u32,
    /// Troubled requests that hold it, and that hold its field; the same of the others.
    hit: [u64; 2],
    others: [u64; 2],
    /// It was never seen in the baseline, though its field was.
    novel: bool,
    p: f64,
}

impl Candidate {
    fn share(&self) -> f64 {
        self.hit[0] as f64 / self.hit[1].max(1) as f64
    }

    fn share_of_others(&self) -> f64 {
        self.others[0] as f64 / self.others[1].max(1) as f64
    }

    fn gap(&self) -> f64 {
        self.share() - self.share_of_others()
    }

    fn is_large(&self) -> bool {
        self.hit[0] >= LEAST_COUNT
            && self.share() >= LEAST_SHARE
            && self.gap() >= LEAST_GAP
            && self.share() >= LEAST_LIFT * self.share_of_others()
    }
}

/// Everything counted.
struct Census<'g> {
    gathered: &'g Gathered,
    fates: Vec<Fate>,
    /// Worst template of each troubled unit's lines.
    marks: Vec<u32>,
    units_of: BTreeMap<u32, Vec<u32>>,
}

impl<'g> Census<'g> {
    fn of(gathered: &'g Gathered, counted: &[Counted<'_>]) -> Self {
        let limits = slow_beyond(gathered, counted.len());
        let in_window = gathered.in_window();
        let mut fates: Vec<Fate> =
            in_window.iter().map(|inside| if *inside { Fate::Well } else { Fate::Before }).collect();
        let mut marks = vec![u32::MAX; fates.len()];
        for line in gathered.lines.iter().filter(|line| line.period == WINDOW) {
            let one = &counted[line.template as usize];
            let is_more = matches!(one.sure_change(), Some(LogChange::New | LogChange::More));
            let fate = if is_more && (one.level == "error" || line.is_failure) {
                Fate::Failed
            } else if limits[line.template as usize].is_some_and(|limit| line.duration > limit) {
                Fate::Slow
            } else if is_more && (one.counts[BASELINE] == 0 || one.level == "warn") {
                Fate::New
            } else {
                continue;
            };
            let unit = line.unit as usize;
            if fate < fates[unit] {
                fates[unit] = fate;
                marks[unit] = line.template;
            }
        }
        let mut units_of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (unit, service) in gathered.services.iter().enumerate() {
            units_of.entry(*service).or_default().push(unit as u32);
        }
        Self { gathered, fates, marks, units_of }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        for (service, units) in &self.units_of {
            let mut held: BTreeMap<u32, [u64; 5]> = BTreeMap::new();
            let mut fields: BTreeMap<u32, [u64; 5]> = BTreeMap::new();
            let mut troubled = [0_u64; 5];
            for &unit in units {
                troubled[self.fates[unit as usize] as usize] += 1;
            }
            if Fate::TROUBLED.iter().all(|fate| troubled[*fate as usize] < LEAST_COUNT) {
                continue;
            }
            for &unit in units {
                let fate = self.fates[unit as usize] as usize;
                let mut last = u32::MAX;
                let mut of_unit: Vec<u32> = Vec::new();
                for &value in &self.gathered.units[unit as usize] {
                    held.entry(value).or_default()[fate] += 1;
                    let field = self.gathered.values[value as usize].field;
                    if field != last {
                        of_unit.push(field);
                        last = field;
                    }
                }
                of_unit.sort_unstable();
                of_unit.dedup();
                for field in of_unit {
                    fields.entry(field).or_default()[fate] += 1;
                }
            }
            for fate in Fate::TROUBLED.into_iter().filter(|fate| troubled[*fate as usize] >= LEAST_COUNT) {
                self.compare(*service, fate, troubled[fate as usize], &held, &fields, &mut all);
            }
        }
        let p: Vec<f64> = all.iter().map(|one| one.p).collect();
        all.into_iter()
            .zip(adjusted(&p))
            .filter(|(one, q)| *q <= FALSE_DISCOVERIES && one.is_large())
            .map(|(one, _)| one)
            .collect()
    }

    fn compare(
        &self,
        service: u32,
        fate: Fate,
        troubled: u64,
        held: &BTreeMap<u32, [u64; 5]>,
        fields: &BTreeMap<u32, [u64; 5]>,
        all: &mut Vec<Candidate>,
    ) {
        for (&value, counts) in held.iter().filter(|(_, counts)| counts[fate as usize] > 0) {
            let field = self.gathered.values[value as usize].field;
            let info = &self.gathered.fields[field as usize];
            let of_field = fields.get(&field).copied().unwrap_or_default();
            let hold_it = of_field[fate as usize];
            // An outcome among the failed only says again that they failed.
            let restates = info.is_outcome && fate != Fate::Slow;
            if self.gathered.is_open(field) || restates || 2 * hold_it < troubled {
                continue;
            }
            let rest = if of_field[Fate::Well as usize] >= LEAST_OTHERS { Fate::Well } else { Fate::Before };
            let others = [counts[rest as usize], of_field[rest as usize]];
            if others[1] < LEAST_OTHERS {
                continue;
            }
            let hit = [counts[fate as usize], hold_it];
            let p = at_least_by_chance(hit[0], hit[1], hit[0] + others[0], hit[1] + others[1]);
            let known = of_field[Fate::Before as usize];
            let novel = counts[Fate::Before as usize] == 0 && known >= LEAST_KNOWN;
            all.push(Candidate { service, fate, value, hit, others, novel, p });
        }
    }

    /// The strongest candidates; those that say nothing beyond a stronger one are left out, unless they stand on the
    /// very same requests.
    fn choose(&self, service: u32, fate: Fate, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let name = |one: &Candidate| {
            let value = &self.gathered.values[one.value as usize];
            let field = &self.gathered.fields[value.field as usize];
            // Where two say the same, what a person decides on comes before where it ran.
            (field.is_replica, field.values, field.name.clone(), value.text.clone())
        };
        candidates.sort_by(|a, b| b.gap().total_cmp(&a.gap()).then_with(|| name(a).cmp(&name(b))));
        let mut chosen: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            if chosen.len() >= MOST_TOLD {
                break;
            }
            let field = |one: &Candidate| self.gathered.values[one.value as usize].field;
            if chosen
                .iter()
                .all(|known| field(known) != field(&candidate) && self.adds(service, fate, known, &candidate))
            {
                chosen.push(candidate);
            }
        }
        chosen
    }

    /// Whether `candidate` tells trouble from health where `known` is the same.
    fn adds(&self, service: u32, fate: Fate, known: &Candidate, candidate: &Candidate) -> bool {
        // By `known` held or not: troubled and well requests, and those that hold the candidate.
        let mut cells = [[0_u64; 4]; 2];
        for &unit in self.units_of.get(&service).into_iter().flatten() {
            let of = self.fates[unit as usize];
            let values = &self.gathered.units[unit as usize];
            let holds = |value: u32| values.binary_search(&value).is_ok();
            let row = &mut cells[usize::from(holds(known.value))];
            let at = if of == fate { 0 } else { 2 };
            if of == fate || of == Fate::Well || of == Fate::Before {
                row[at] += 1;
                row[at + 1] += u64::from(holds(candidate.value));
            }
        }
        let same = cells[0][1] == 0 && cells[0][3] == 0 && cells[1][0] == cells[1][1] && cells[1][2] == cells[1][3];
        same || cells.iter().any(|[troubled, hit, well, held]| {
            let share = |count: u64, all: u64| count as f64 / all.max(1) as f64;
            *troubled >= LEAST_COUNT
                && *well >= LEAST_COUNT
                && share(*hit, *troubled) - share(*held, *well) >= LEAST_GAP
        })
    }

    /// Tells the chosen values with the templates that made the requests troubled.
    fn attach(&self, service: u32, fate: Fate, chosen: &[Candidate], out: &mut BTreeMap<u32, Told>) {
        let Some(first) = chosen.first() else { return };
        let mut templates: BTreeMap<u32, u64> = BTreeMap::new();
        for &unit in self.units_of.get(&service).into_iter().flatten() {
            let holds = self.gathered.units[unit as usize].binary_search(&first.value).is_ok();
            if self.fates[unit as usize] == fate && holds {
                *templates.entry(self.marks[unit as usize]).or_default() += 1;
            }
        }
        let mut templates: Vec<(u32, u64)> = templates.into_iter().collect();
        templates.sort_by_key(|(template, count)| (std::cmp::Reverse(*count), *template));
        let certainty = chosen.iter().map(Candidate::gap).fold(0.0, f64::max);
        let novel = chosen.iter().any(|one| one.novel);
        for (template, _) in templates.into_iter().filter(|(_, count)| *count >= 3).take(MOST_TEMPLATES) {
            let told = out.entry(template).or_default();
            if !told.values.is_empty() {
                continue;
            }
            told.values = chosen.iter().map(|one| self.value(one)).collect();
            told.entries = self.entries(template, first.value);
            told.bonus = certainty * if novel { 0.3 } else { 0.12 };
            told.strength = if fate == Fate::Slow { 0.2 + 0.4 * certainty } else { 0.0 };
        }
    }

    fn value(&self, one: &Candidate) -> TellingValue {
        let value = &self.gathered.values[one.value as usize];
        TellingValue {
            field: self.gathered.fields[value.field as usize].name.clone(),
            value: Text::new(&value.text),
            among: one.fate.word().to_owned(),
            share: BeforeAfter { before: Some(one.share_of_others()), after: Some(one.share()) },
            count: one.hit[0],
        }
    }

    /// Entries of a template in the window whose request holds a value; those that hold it themselves first.
    fn entries(&self, template: u32, value: u32) -> Vec<u32> {
        let of = |line: &&super::values::Line| line.period == WINDOW && line.template == template;
        let holds = |unit: u32| self.gathered.units[unit as usize].binary_search(&value).is_ok();
        self.gathered.lines.iter().filter(of).filter(|line| holds(line.unit)).map(|line| line.entry).take(1).collect()
    }

    /// Values that the baseline never showed and the window does, whether or not anything is wrong with them: a new
    /// version, a new flag. Only fields of few values that were seen often before.
    fn unheard_of(&self, out: &mut BTreeMap<u32, Told>) {
        for units in self.units_of.values() {
            let mut held: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
            let mut total = [0_u64; 2];
            for &unit in units {
                let period = if self.fates[unit as usize] == Fate::Before { BASELINE } else { WINDOW };
                total[period] += 1;
                for &value in &self.gathered.units[unit as usize] {
                    held.entry(value).or_default()[period] += 1;
                }
            }
            let mut fields: BTreeMap<u32, ([u64; 2], u64)> = BTreeMap::new();
            for (value, counts) in &held {
                let (sums, rare) = fields.entry(self.gathered.values[*value as usize].field).or_default();
                sums[0] += counts[0];
                sums[1] += counts[1];
                *rare += u64::from(counts[0] == 1);
            }
            for (&value, counts) in held.iter().filter(|(_, counts)| counts[0] == 0 && counts[1] >= LEAST_COUNT) {
                let field = self.gathered.values[value as usize].field;
                let info = &self.gathered.fields[field as usize];
                let (sums, rare) = fields[&field];
                // An open set of values always has another one (Good and Turing); one that every request held before
                // and half of them hold now is a change.
                let is_closed = sums[0] >= LEAST_KNOWN && rare * 20 <= sums[0] && info.values <= 20;
                let share = counts[1] as f64 / sums[1].max(1) as f64;
                if !is_closed || info.is_replica || info.is_outcome || self.gathered.is_open(field) || share < 0.05 {
                    continue;
                }
                let chance = at_least_by_chance(counts[1], sums[1], counts[1], sums[0] + sums[1]);
                if chance * held.len() as f64 > FALSE_DISCOVERIES {
                    continue;
                }
                let text = &self.gathered.values[value as usize].text;
                let known = out.values().any(|told| {
                    told.values.iter().any(|one| one.field == info.name && one.value.as_str() == text.as_str())
                });
                let Some(template) = self.commonest(units, value).filter(|_| !known) else { continue };
                let told = out.entry(template).or_default();
                if told.values.len() < MOST_TOLD {
                    told.values.push(TellingValue {
                        field: info.name.clone(),
                        value: Text::new(text),
                        among: Fate::Well.word().to_owned(),
                        share: BeforeAfter { before: Some(0.0), after: Some(share) },
                        count: counts[1],
                    });
                    told.strength = told.strength.max(0.1);
                    if told.entries.is_empty() {
                        told.entries = self.entries(template, value);
                    }
                }
            }
        }
    }

    /// The template that most requests with a value show.
    fn commonest(&self, units: &[u32], value: u32) -> Option<u32> {
        let holds = |unit: u32| self.gathered.units[unit as usize].binary_search(&value).is_ok();
        let service = self.gathered.services[*units.first()? as usize];
        let mut count: BTreeMap<u32, u64> = BTreeMap::new();
        for line in self.gathered.lines.iter().filter(|line| line.period == WINDOW) {
            if self.gathered.services[line.unit as usize] == service && holds(line.unit) {
                *count.entry(line.template).or_default() += 1;
            }
        }
        count.into_iter().max_by_key(|(template, count)| (*count, std::cmp::Reverse(*template))).map(|(one, _)| one)
    }
}

/// For each template the duration beyond which a line is slow: well beyond the 95th percentile of its baseline and
/// not below the 99th; `None` where too few lines were timed, or where the window has no more slow ones than that
/// lets expect.
fn slow_beyond(gathered: &Gathered, templates: usize) -> Vec<Option<f64>> {
    let mut timed: Vec<[Vec<f64>; 2]> = vec![[Vec::new(), Vec::new()]; templates];
    for line in gathered.lines.iter().filter(|line| line.duration >= 0.0) {
        timed[line.template as usize][line.period].push(line.duration);
    }
    timed
        .into_iter()
        .map(|[mut before, window]| {
            if before.len() < LEAST_TIMED || window.is_empty() {
                return None;
            }
            before.sort_by(f64::total_cmp);
            let quantile = |part: f64| before[((before.len() - 1) as f64 * part).round() as usize];
            let limit = (BEYOND * quantile(0.95)).max(quantile(0.99));
            let beyond = |all: &[f64]| all.iter().filter(|one| **one > limit).count() as u64;
            let (old, new) = (beyond(&before), beyond(&window));
            let p = at_least_by_chance(new, window.len() as u64, new + old, (window.len() + before.len()) as u64);
            (new >= LEAST_COUNT && p < FALSE_DISCOVERIES).then_some(limit)
        })
        .collect()
}

//! Which questions an incident raises: a planner that does no IO.
//!
//! The caller asks for a round, has its questions answered (concurrently, in any order, some perhaps not at all),
//! hands the answers back and asks for the next round; after at most [`MOST_ROUNDS`] rounds [`Inquiry::finish`] gives
//! the [`Snapshot`] that the analysis reads.
//!
//! 1. Discovery: rules, metadata, names of metrics and labels, changes; which alerts fired in the day before, and how
//!    far back there is data. After it the baseline is settled.
//! 2. The alerts' own expressions, calls between services, restarts; how many series the promising metrics have;
//!    which label of the log store names services.
//! 3. The signals of all services where the store is small, else which metrics the services in scope have; logs.
//! 4. In a large store, the signals of the services in scope and of those they call. What services
//!    said before the baseline that were silent in it. Where logs were cut, who wrote how many.
//! 5. Where logs were cut, a fair share of each service's.
//!
//! Alert expressions, and in a small store other signals too, are also asked about the same time of earlier days, with
//! no more queries than the rest takes.
//!
//! The plan depends on the incident and the answers only, never on the order in which they arrive.

mod alerts;
mod assembly;
pub mod baseline;
mod discovery;
pub mod expression;
pub mod graph;
pub mod history;
mod known;
mod logs;
pub mod naming;
mod shares;
mod signals;
pub mod streams;
pub mod timing;

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::incident::Incident;
use crate::domain::query::{Answer, Asked, Direction, Lang, Note, NoteKind, Planned, Purpose, Query};
use crate::domain::snapshot::Snapshot;
use crate::domain::{Text, TimeRange};
use naming::MetricQuestion;
use streams::Selection;

/// Rounds of one inquiry, at most.
pub const MOST_ROUNDS: usize = 5;
/// Questions about metrics, at most; each may need one query for the baseline and one for the window.
const MOST_QUESTIONS: usize = 48;
/// Metrics whose series are counted before they are asked about.
const MOST_FAMILIES: usize = 160;
/// A store whose promising metrics have no more series than this is asked whole.
const SMALL_STORE: usize = 20_000;
/// A single question never expects more series than this.
const MOST_SERIES: usize = 5_000;
/// Services in scope of a large store, neighbours included.
const MOST_SERVICES: usize = 30;
/// Log entries per slice of time.
const MOST_LINES: usize = 20_000;
/// Slices of the window and of the baseline for logs.
const LOG_SLICES: (u32, u32) = (3, 2);
/// How far before the window changes are looked for.
const CHANGES_BEFORE: Duration = Duration::from_hours(24);

/// What is known of an incident beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Windows of other incidents that are about the same services or namespace.
    pub others: Vec<TimeRange>,
    /// Whether somebody chose the baseline, so that it stays where it is.
    pub baseline_is_chosen: bool,
}

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
    /// Which alerts fired in the day before the window.
    AlertHistory,
    /// When the store had data in the day before the window.
    Presence,
    /// Whether the store has data of this season.
    SeasonProbe(TimeRange),
    /// Which alerts fired in this season.
    SeasonAlerts(TimeRange),
    Counts,
    /// Series of the alerted services, by metric.
    Related,
    ScopedCounts(String),
    /// Series for the metric question of this number.
    Metric(usize),
    Logs,
    /// Lines before the window of services that were silent in the baseline.
    Elsewhere,
    /// Lines by value of the label that names services, in a slice that was cut.
    LineCounts(TimeRange),
    /// A fair share of the slice in place of what was cut.
    Share(TimeRange),
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
    raw: bool,
    series: usize,
}

/// The planner of one incident's questions.
#[derive(Debug)]
pub struct Inquiry {
    incident: Incident,
    circumstances: Circumstances,
    round: usize,
    slots: Vec<Slot>,
    by_query: HashMap<Query, usize>,
    questions: Vec<Question>,
    foreign: Vec<Asked>,
    notes: Vec<Note>,
    stretches: Vec<TimeRange>,
    seasons: Vec<TimeRange>,
    spoiled: Vec<TimeRange>,
    /// What was selected of the logs, and in which slices.
    logs: Option<(Selection, Vec<(TimeRange, Direction)>)>,
}

impl Inquiry {
    /// Begins with an incident whose window and baseline are set.
    pub fn new(incident: Incident) -> Self {
        Self::among(incident, Circumstances::default())
    }

    /// [`Inquiry::new`] with what is known beside the incident.
    pub fn among(incident: Incident, circumstances: Circumstances) -> Self {
        let stretches = timing::stretches(incident.window, incident.baseline);
        Self {
            incident,
            circumstances,
            round: 0,
            slots: Vec::new(),
            by_query: HashMap::new(),
            questions: Vec::new(),
            foreign: Vec::new(),
            notes: Vec::new(),
            stretches,
            seasons: Vec::new(),
            spoiled: Vec::new(),
            logs: None,
        }
    }

    /// The round that was planned last, from 1; 0 before the first.
    pub fn round(&self) -> usize {
        self.round
    }

    /// The next questions. Call it when all of the round before were answered or given up; empty when nothing is
    /// left to ask. No question is asked twice.
    pub fn next_round(&mut self) -> Vec<Planned> {
        while self.round < MOST_ROUNDS {
            self.round += 1;
            let before = self.slots.len();
            match self.round {
                1 => self.discover(),
                2 => {
                    self.settle_baseline();
                    self.look_closer();
                }
                3 => {
                    self.mind_seasons();
                    self.ask_signals();
                }
                4 => {
                    self.ask_scope();
                    self.ask_silent_logs();
                    self.count_cut_logs();
                }
                _ => self.ask_shares(),
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

    /// Plans one metric question over baseline and window. `raw` series keep their own samples, others are evaluated.
    fn plan_metric(&mut self, question: MetricQuestion) {
        let number = self.questions.len();
        let is_edge = |purpose: &Purpose| matches!(purpose, Purpose::Edge { .. });
        let same =
            |known: &Question| known.expr == question.expr && is_edge(&known.purpose) == is_edge(&question.purpose);
        if self.questions.iter().any(same) {
            return;
        }
        let MetricQuestion { purpose, expr, raw, series } = question;
        self.questions.push(Question { purpose, expr, raw, series });
        for stretch in self.stretches.clone() {
            self.plan_stretch(number, stretch);
        }
    }

    fn plan_stretch(&mut self, number: usize, stretch: TimeRange) {
        let question = &self.questions[number];
        let query = if question.raw {
            timing::raw(&question.expr, stretch, question.series)
        } else {
            timing::evaluated(&question.expr, stretch, 240)
        };
        self.plan(query, question.purpose.clone(), Role::Metric(number));
    }

    /// Plans the questions of these numbers for the same time of earlier days, in order, as long as earlier days take
    /// no more queries than the rest.
    fn plan_seasons(&mut self, numbers: std::ops::Range<usize>) {
        let is_season = |planned: &Planned, seasons: &[TimeRange]| {
            planned.query.range().is_some_and(|range| seasons.iter().any(|season| season.end == range.end))
        };
        let metric = |slot: &&Slot| slot.roles.iter().any(|role| matches!(role, Role::Metric(_)));
        let (mut late, mut early) = (0, 0);
        for slot in self.slots.iter().filter(metric) {
            *(if is_season(&slot.planned, &self.seasons) { &mut early } else { &mut late }) += 1;
        }
        for number in numbers {
            if !matches!(self.questions[number].purpose, Purpose::AlertExpression { .. } | Purpose::Golden { .. }) {
                continue;
            }
            if early + self.seasons.len() > late {
                break;
            }
            for season in self.seasons.clone() {
                early += 1;
                self.plan_stretch(number, season);
            }
        }
    }

    fn say(&mut self, kind: NoteKind, text: &str) {
        self.notes.push(Note { kind, text: Text::new(text) });
    }

    fn note(&mut self, text: &str) {
        self.say(NoteKind::Cut, text);
    }
}

#[cfg(test)]
mod tests;

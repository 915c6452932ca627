//! A diagnosis as rows with links: what is drawn, and what the cursor moves over.
//!
//! Whoever reads along has the rows in the order in which an answer is written, while it is and when it is whole: what
//! arrives stands below what can be read already, and nothing that is read moves. Whoever comes to it later has the
//! likeliest cause first.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::domain::diagnosis::{Check, Claim, Confidence, Diagnosed, Diagnosis, Earlier, Hypothesis, Unsupported};
use crate::domain::evidence::EvidenceId;
use crate::domain::recheck::{Outcome, Rechecked};
use crate::domain::{Text, Timestamp};

use super::list::List;
use super::message::Draft;
use super::model::{Case, Model};
use super::reveal;

/// Kind of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The summary.
    Summary,
    /// The head of a hypothesis.
    Hypothesis {
        /// `H1`.
        id: String,
        /// How sure; none as long as that is not said: it is the last thing said of a hypothesis.
        confidence: Option<Confidence>,
    },
    /// How the cause leads to what is seen.
    Mechanism,
    /// A claim that speaks for the hypothesis above.
    For,
    /// A claim that speaks against it.
    Against,
    /// A query that would settle it.
    Check(Box<Check>),
    /// The answer to the query above.
    Answer,
    /// Something seen.
    Observation,
    /// What the offline ranking says of the same.
    Ranking,
    /// A claim without support that has no row of its own.
    Unsupported,
    /// What was missing.
    Missing,
    /// What must be said of the diagnosis itself.
    Remark,
    /// An answer that broke off before, by its place.
    Earlier(usize),
    /// A line of an answer that could not be read as a diagnosis.
    Plain,
}

impl Kind {
    /// The words that stand at the left of such a row.
    pub fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Summary => "in short",
            Self::Hypothesis { id, confidence } => {
                return Cow::Owned(format!("{id} {}", confidence.map_or("…", Confidence::word)));
            }
            Self::Mechanism => "because",
            Self::For => "for",
            Self::Against => "against",
            Self::Check(_) => "check",
            Self::Answer => "answer",
            Self::Observation => "seen",
            Self::Ranking => "offline",
            Self::Unsupported => "unsupported",
            Self::Missing => "missing",
            Self::Earlier(_) => "broke off",
            Self::Remark | Self::Plain => "",
        })
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Kind.
    pub kind: Kind,
    /// The words.
    pub text: Text,
    /// Cited evidence that exists.
    pub links: Vec<EvidenceId>,
    /// Why it does not stand, when it was verified and does not.
    pub unsupported: Option<String>,
    /// What came of asking its evidence again, when that was done.
    pub again: Option<Again>,
}

/// What came of asking the evidence of a row again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// In one line, with when.
    pub text: String,
    /// Whether some of it no longer holds.
    pub refuted: bool,
}

/// Rows of a case's diagnosis: the one being written while there is one, else the finished one.
pub fn rows(case: &Case, list: &List) -> Vec<Row> {
    let mut rows = Rows { done: Vec::new(), case, verified: &[], by_model: false, draft: None };
    if let Some(draft) = &case.draft {
        rows.by_model = true;
        rows.draft = Some(draft);
        rows.diagnosis(&reveal::beginning(&draft.partial, case.revealed));
        rows.earlier(&draft.earlier);
    } else if let Some(conclusion) = &case.conclusion.value {
        rows.finished(&conclusion.diagnosed);
    }
    let mut rows = rows.done;
    if !list.filter.text.is_empty() {
        rows.retain(|row| {
            list.admits(&row.text)
                || list.admits(&row.kind.words())
                || row.links.iter().any(|id| list.admits(&id.to_string()))
                || row.unsupported.as_ref().is_some_and(|why| list.admits(why))
        });
    }
    for row in &mut rows {
        row.again = again(case, &row.links);
    }
    rows
}

/// What came of asking these items again, as far as they were.
fn again(case: &Case, links: &[EvidenceId]) -> Option<Again> {
    let found: Vec<&(Timestamp, Rechecked)> = links.iter().filter_map(|id| case.rechecked.get(id)).collect();
    let last = found.iter().map(|(at, _)| *at).max()?;
    let others: Vec<String> = found
        .iter()
        .filter(|(_, one)| one.outcome != Outcome::Same || one.remark.is_some())
        .map(|(_, one)| format!("{} {}", one.id, one.line()))
        .collect();
    let words = match (others.is_empty(), found.len() == links.len()) {
        (true, true) => "the same".to_owned(),
        (true, false) => format!("{} of {} the same", found.len(), links.len()),
        (false, _) => others.join("; "),
    };
    let refuted = found.iter().any(|(_, one)| one.is_refuted());
    Some(Again { text: format!("asked again {}: {words}", last.to_clock()), refuted })
}

/// What the selected row of the diagnosis cites; all that the diagnosis cites where the row cites nothing.
pub fn cited(model: &Model) -> Vec<EvidenceId> {
    let Some(screen) = model.incident_screen() else { return Vec::new() };
    let Some(case) = model.cases.get(&screen.incident) else { return Vec::new() };
    let rows = rows(case, screen.list());
    let selected = rows.get(screen.list().cursor).map(|row| row.links.as_slice()).unwrap_or_default();
    let mut ids: Vec<EvidenceId> = Vec::new();
    let all = rows.iter().flat_map(|row| &row.links);
    for id in if selected.is_empty() { all.collect::<Vec<_>>() } else { selected.iter().collect() } {
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    ids
}

struct Rows<'a> {
    done: Vec<Row>,
    case: &'a Case,
    /// Claims that do not stand; empty while nothing is verified.
    verified: &'a [Unsupported],
    /// Whether a model wrote it: then the offline ranking stands beside it.
    by_model: bool,
    /// What it is the beginning of, while it is being written.
    draft: Option<&'a Draft>,
}

impl<'a> Rows<'a> {
    fn finished(&mut self, diagnosed: &'a Diagnosed) {
        self.verified = &diagnosed.unsupported;
        self.by_model = diagnosed.analyst.is_model();
        let warning = "incomplete: no action of it can be selected";
        if !diagnosed.complete && !self.case.as_written {
            self.push(Kind::Remark, warning, Vec::new(), None);
        }
        self.diagnosis(&diagnosed.diagnosis);
        if let Some(words) = silent(diagnosed) {
            self.push(Kind::Remark, words, Vec::new(), None);
        }
        if !diagnosed.complete && self.case.as_written {
            self.push(Kind::Remark, warning, Vec::new(), None);
        }
        if let Some(plain) = &diagnosed.plain {
            for line in plain.lines() {
                self.push(Kind::Plain, line, Vec::new(), None);
            }
        }
        // What has no row of its own, so that nothing that does not stand is kept quiet.
        for claim in &diagnosed.unsupported {
            if !self.done.iter().any(|row| row.unsupported.as_ref() == Some(&claim.why) && *row.text == *claim.text) {
                let text = format!("\"{}\"", claim.text);
                self.push(Kind::Unsupported, &text, Vec::new(), Some(claim.why.clone()));
            }
        }
        if !diagnosed.unknown_ids.is_empty() {
            let ids: Vec<String> = diagnosed.unknown_ids.iter().map(|(id, times)| format!("{id} ×{times}")).collect();
            let text = format!("cited but not among the evidence: {}", ids.join(", "));
            self.push(Kind::Unsupported, &text, Vec::new(), None);
        }
        for remark in &diagnosed.remarks {
            self.push(Kind::Remark, remark, Vec::new(), None);
        }
        self.earlier(&diagnosed.earlier);
    }

    fn earlier(&mut self, earlier: &[Earlier]) {
        for (at, one) in earlier.iter().enumerate() {
            self.push(Kind::Earlier(at), &format!("{}: {}", one.endpoint, one.why), Vec::new(), None);
        }
    }

    fn push(&mut self, kind: Kind, text: &str, links: Vec<EvidenceId>, unsupported: Option<String>) {
        self.done.push(Row { kind, text: Text::new(text), links, unsupported, again: None });
    }

    /// Why what stands at this place of the diagnosis does not stand.
    fn why(&self, path: &str) -> Option<String> {
        self.verified.iter().find(|claim| claim.path == path).map(|claim| claim.why.clone())
    }

    fn known(&self, ids: &[String]) -> Vec<EvidenceId> {
        let analysis = self.case.investigation.value.as_ref().map(|found| &found.analysis);
        ids.iter()
            .filter_map(|id| id.parse().ok())
            .filter(|id| analysis.is_some_and(|analysis| analysis.evidence(*id).is_some()))
            .collect()
    }

    fn claims(&mut self, kind: &Kind, claims: &[Claim], path: &str) {
        for (i, claim) in claims.iter().enumerate() {
            let (links, why) = (self.known(&claim.evidence), self.why(&format!("{path}[{i}]")));
            self.push(kind.clone(), &claim.text, links, why);
        }
    }

    fn diagnosis(&mut self, diagnosis: &Diagnosis) {
        let as_written = self.draft.is_some() || self.case.as_written;
        if !as_written {
            self.summary(diagnosis);
        }
        if self.by_model {
            self.ranking();
        }
        if as_written {
            self.claims(&Kind::Observation, &diagnosis.observations, "observations");
        }
        let mut hypotheses: Vec<(usize, &Hypothesis)> = diagnosis.hypotheses.iter().enumerate().collect();
        // The playbooks' follow the ranking, which says more than how well a pattern fits.
        if self.by_model && !as_written {
            hypotheses.sort_by_key(|(_, hypothesis)| Reverse(hypothesis.confidence));
        }
        for (i, hypothesis) in hypotheses {
            self.hypothesis(hypothesis, i);
        }
        if !as_written {
            self.claims(&Kind::Observation, &diagnosis.observations, "observations");
        }
        for text in &diagnosis.missing {
            self.push(Kind::Missing, text, Vec::new(), None);
        }
        if as_written {
            self.summary(diagnosis);
        }
    }

    fn summary(&mut self, diagnosis: &Diagnosis) {
        if !diagnosis.summary.is_empty() {
            let why = self.why("summary");
            self.push(Kind::Summary, &diagnosis.summary, Vec::new(), why);
        }
    }

    fn hypothesis(&mut self, hypothesis: &Hypothesis, i: usize) {
        let mut links: Vec<EvidenceId> = Vec::new();
        // What speaks for it comes after it: beside the head it would move what stands in between.
        let speaking = hypothesis.supporting.iter().filter(|_| self.draft.is_none());
        for id in speaking.flat_map(|claim| self.known(&claim.evidence)) {
            if !links.contains(&id) {
                links.push(id);
            }
        }
        let path = |field: &str| format!("hypotheses[{i}].{field}");
        let confidence = self.is_said(hypothesis, i).then_some(hypothesis.confidence);
        let head = Kind::Hypothesis { id: hypothesis.id.clone(), confidence };
        let why = self.why(&path("cause")).or_else(|| self.why(&path("service")));
        self.push(head, &hypothesis.cause, links, why);
        // Half a name is that of another service.
        let goes_on = !hypothesis.mechanism.is_empty()
            || !hypothesis.supporting.is_empty()
            || !hypothesis.contradicting.is_empty()
            || !hypothesis.checks.is_empty();
        let named = self.draft.is_none() || goes_on;
        if let Some(words) = self.place_of(hypothesis, i).filter(|_| self.by_model && named) {
            self.push(Kind::Ranking, &words, Vec::new(), None);
        }
        if !hypothesis.mechanism.is_empty() {
            let why = self.why(&path("mechanism"));
            self.push(Kind::Mechanism, &hypothesis.mechanism, Vec::new(), why);
        }
        self.claims(&Kind::For, &hypothesis.supporting, &path("supporting"));
        self.claims(&Kind::Against, &hypothesis.contradicting, &path("contradicting"));
        for check in &hypothesis.checks {
            let text = format!("{}  expect {}", check.query, check.expect);
            self.push(Kind::Check(Box::new(check.clone())), &text, Vec::new(), None);
            let answers = self.case.answers.iter().rev();
            let mut same = answers.filter(|answered| answered.asked.planned.query.expression() == check.query.as_str());
            if let Some(answered) = same.next() {
                let links = answered.evidence.iter().map(|item| item.id).collect();
                self.push(Kind::Answer, &answered.summary, links, None);
            }
        }
    }

    /// Whether it was said how sure the model is of this hypothesis, and all before that is shown.
    fn is_said(&self, shown: &Hypothesis, i: usize) -> bool {
        let Some(draft) = self.draft else { return true };
        let whole = |written: &Hypothesis| reveal::hypothesis_length(shown) == reveal::hypothesis_length(written);
        draft.sure.get(i).is_some_and(|said| *said) && draft.partial.hypotheses.get(i).is_some_and(whole)
    }

    /// The ranking that needs no model, beside what the model says.
    fn ranking(&mut self) {
        let Some(found) = &self.case.investigation.value else { return };
        let suspects: Vec<String> = found
            .analysis
            .suspects
            .iter()
            .take(4)
            .map(|suspect| format!("{} {} {:.2}", suspect.rank, suspect.service, suspect.score))
            .collect();
        if !suspects.is_empty() {
            self.push(Kind::Ranking, &suspects.join("   "), Vec::new(), None);
        }
    }

    /// Where the offline ranking has the service of the hypothesis, when that is another place than the model's.
    fn place_of(&self, hypothesis: &Hypothesis, i: usize) -> Option<String> {
        let suspects = &self.case.investigation.value.as_ref()?.analysis.suspects;
        if suspects.is_empty() || hypothesis.service.is_empty() {
            return None;
        }
        match suspects.iter().find(|suspect| *suspect.service == *hypothesis.service) {
            Some(suspect) if suspect.rank == i + 1 => None,
            Some(suspect) => Some(format!("ranks {} {}", suspect.service, ordinal(suspect.rank))),
            None => Some(format!("does not suspect {}", hypothesis.service)),
        }
    }
}

/// What to say of a diagnosis that says nothing.
fn silent(diagnosed: &Diagnosed) -> Option<&'static str> {
    let made = &diagnosed.diagnosis;
    let says = !made.observations.is_empty() || !made.hypotheses.is_empty() || !made.summary.trim().is_empty();
    if says || !diagnosed.complete || diagnosed.plain.is_some() {
        return None;
    }
    Some(if diagnosed.analyst.is_model() {
        "the model found nothing to say: d asks it again, o the playbooks, p shows what it was sent"
    } else {
        "the playbooks found nothing to say: the ranking stands in pane 1, all evidence in pane 2"
    })
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

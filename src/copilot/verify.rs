//! Whether what a diagnosis says stands in the evidence it cites: ids, numbers, quotations.
//!
//! Both analysts go through this, and neither may say of itself that it is right.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::{Number, Token, Unit, tokens};
use super::sense::{self, Shown};
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Claim, Diagnosis, Unsupported};
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, EvidenceId, EvidenceKind, MetricDetail};
use crate::domain::pack::Pack;
use crate::domain::text::hidden_names;
use crate::domain::{Text, Timestamp};
use crate::gate::changes;

/// Text of one item that is searched at most, in bytes.
const ITEM_BYTES: usize = 64 << 10;
/// Quotations shorter than this, in characters, must stand as words, or they would stand everywhere.
const QUOTATION: usize = 3;
/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Everything that may be cited, ready to be searched.
#[derive(Debug, Clone)]
pub struct Proof {
    items: BTreeMap<EvidenceId, Item>,
    /// What belongs to no item: names of the services, the incident's title.
    common: String,
    /// Names of services as they are written, and as [`plain`] makes them.
    services: Vec<(String, String)>,
    /// How long the window and the baseline are.
    lengths: Vec<Number>,
}

#[derive(Debug, Clone, Default)]
struct Item {
    /// As [`plain`] makes it.
    text: String,
    numbers: Vec<Number>,
    times: Vec<Timestamp>,
    shown: Shown,
    /// Whether its figures are held apart from its words.
    measured: bool,
}

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Claims that do not stand.
    pub unsupported: Vec<Unsupported>,
    /// Cited ids that do not exist, sorted, with how often.
    pub unknown_ids: Vec<(String, usize)>,
}

impl Proof {
    /// What may be cited of `analysis`. With a pack, only what stands in the pack: a model that cites an item it was
    /// not shown has guessed its id.
    pub fn new(analysis: &Analysis, pack: Option<&Pack>) -> Self {
        let mut items: BTreeMap<EvidenceId, Item> = BTreeMap::new();
        let item = |id: EvidenceId| Item {
            measured: matches!(id.kind, EvidenceKind::Metric | EvidenceKind::Edge),
            ..Item::default()
        };
        match pack {
            Some(pack) => {
                for packed in &pack.evidence {
                    items.entry(packed.id).or_insert_with(|| item(packed.id)).say(&packed.text);
                }
            }
            None => items.extend(analysis.evidence.iter().map(|one| (one.id, item(one.id)))),
        }
        for evidence in &analysis.evidence {
            if let Some(item) = items.get_mut(&evidence.id) {
                item.hold(evidence);
            }
        }
        for ranked in &analysis.changes {
            if let Some(item) = items.get_mut(&ranked.evidence) {
                item.say(&ranked.why);
            }
        }
        for ruled_out in &analysis.ruled_out {
            if let Some(item) = items.get_mut(&ruled_out.evidence) {
                item.say(&ruled_out.why);
            }
        }
        for suspect in &analysis.suspects {
            for signal in &suspect.signals {
                for id in &signal.evidence {
                    if let Some(item) = items.get_mut(id) {
                        item.quote(&signal.text);
                        item.say(&suspect.service);
                        item.times.extend(signal.onset);
                        item.clock(signal.onset);
                    }
                }
            }
        }
        let mut names: BTreeSet<&str> = analysis.incident.services.iter().map(String::as_str).collect();
        names.extend(analysis.suspects.iter().map(|suspect| suspect.service.as_str()));
        names.extend(analysis.evidence.iter().filter_map(|item| item.service.as_deref()));
        names.extend(analysis.graph.iter().flat_map(|edge| [edge.client.as_str(), edge.server.as_str()]));
        let mut common = plain(&analysis.incident.title);
        let mut services = Vec::new();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            common.push('\n');
            common.push_str(&plain(name));
            services.push((name.to_owned(), plain(name).trim().to_owned()));
        }
        let lengths = [analysis.incident.window, analysis.incident.baseline]
            .map(|range| Number::exact(range.end.since(range.start).as_secs_f64(), Unit::Seconds(1.0)))
            .to_vec();
        Self { items, common, services, lengths }
    }

    /// Whether the id exists.
    pub fn holds(&self, id: EvidenceId) -> bool {
        self.items.contains_key(&id)
    }

    /// The sentence with the id of the one cited item that holds it in place of each quotation.
    fn with_ids(&self, text: &str, cited: &[EvidenceId]) -> String {
        let mut out = text.to_owned();
        for quotation in split_quotations(text).0 {
            let piece = plain(quotation.split('…').next().unwrap_or_default());
            let mut holding =
                cited.iter().filter(|id| self.items.get(id).is_some_and(|item| item.text.contains(piece.trim())));
            let id = match (holding.next(), holding.next()) {
                (Some(id), None) => id.to_string(),
                _ => String::new(),
            };
            out = out.replacen(&quotation, &id, 1);
        }
        out
    }

    /// Why `text` is not supported by `cited`; `None` when it is.
    fn refutes(&self, text: &str, cited: &[EvidenceId]) -> Option<String> {
        self.refutes_facts(text, cited).or_else(|| {
            let shown: Vec<&Shown> = cited.iter().filter_map(|id| self.items.get(id)).map(|item| &item.shown).collect();
            sense::contradiction(&self.with_ids(text, cited), &shown)
        })
    }

    /// As [`Self::refutes`], for a theory: its names, figures and quotations, not which way it says that things go.
    fn refutes_facts(&self, text: &str, cited: &[EvidenceId]) -> Option<String> {
        let items: Vec<&Item> = cited.iter().filter_map(|id| self.items.get(id)).collect();
        let says = |needle: &str| self.common.contains(needle) || items.iter().any(|item| item.text.contains(needle));
        let has = |word: &str| stands_in(&self.common, word) || items.iter().any(|item| stands_in(&item.text, word));
        // Said before their codes could be taken for numbers.
        if let Some((name, deed)) = hidden_names(text).find(|(name, _)| !says(plain(name).trim())) {
            return Some(format!("it holds {deed} ({name})"));
        }
        let (quotations, rest) = split_quotations(text);
        for quotation in &quotations {
            for piece in quotation.split('…').map(plain) {
                let short = piece.trim().chars().count() < QUOTATION;
                if !piece.is_empty() && !(if short { has(piece.trim()) } else { says(piece.trim()) }) {
                    return Some(format!("the quotation “{quotation}” is not in what it cites"));
                }
            }
        }
        // A known service that nothing cited speaks of: the right figures of the wrong place.
        let told = plain(&text.replace("'s ", " ").replace("’s ", " "));
        for (name, service) in &self.services {
            if stands_in(&told, service) && !items.iter().any(|item| stands_in(&item.text, service)) {
                return Some(format!("nothing it cites speaks of {name}"));
            }
        }
        if let Some(name) = sense::stranger(&rest, &|word: &str| has(plain(word).trim())) {
            return Some(format!("nothing it cites speaks of {name}"));
        }
        let rest = match sense::spelled_out(&rest) {
            Ok(rest) => rest,
            Err(sign) => return Some(format!("the number {sign} cannot be checked")),
        };
        let mut spans = spans(&items);
        if ["window", "baseline"].iter().any(|word| told.contains(word)) {
            spans.extend(&self.lengths);
        }
        for token in tokens(&rest) {
            match token {
                Token::Word(word) => {
                    if let Some(id) = evidence_id(&word) {
                        if !cited.contains(&id) {
                            return Some(format!("it speaks of {id} and does not cite it"));
                        }
                    } else if !is_reference(&word) && !has(plain(&word).trim()) && !quantile(&word, &has) {
                        return Some(format!("`{word}` is not in what it cites"));
                    }
                }
                Token::Number(number, written) => {
                    let known =
                        items.iter().flat_map(|item| &item.numbers).chain(&spans).any(|proof| number.is(*proof));
                    let written = plain(&written);
                    // A rate is told with its time, which stands behind the number.
                    let literal = || {
                        !matches!(number.unit, Unit::Rate(_))
                            && items.iter().any(|item| stands_apart(&item.text, written.trim()))
                    };
                    if !known && !literal() && !stands_apart(&self.common, written.trim()) {
                        return Some(format!("the number {} is not in what it cites", written.trim()));
                    }
                }
            }
        }
        None
    }
}

impl Item {
    fn say(&mut self, text: &str) {
        // What was measured has its figures with their units; in the words about it they have lost some.
        if !self.measured {
            for token in tokens(text) {
                if let Token::Number(number, _) = token {
                    self.numbers.push(Number { slack: 0.0, ..number });
                }
            }
        }
        self.quote(text);
    }

    /// Words about it that are our own: their figures are held with their units already.
    fn quote(&mut self, text: &str) {
        if self.text.len() < ITEM_BYTES {
            self.text.push('\n');
            self.text.push_str(&plain(text));
        }
    }

    fn clock(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.say(&at.to_rfc3339());
            self.say(&at.to_clock());
        }
    }

    fn figure(&mut self, value: f64, unit: Unit) {
        if value.is_finite() {
            self.numbers.push(Number::exact(value, unit));
        }
    }

    fn before_after(&mut self, figures: BeforeAfter, unit: Unit) {
        let scale = if unit == Unit::Percent { 100.0 } else { 1.0 };
        for value in [figures.before, figures.after].into_iter().flatten() {
            self.figure(value * scale, unit);
        }
        if let (Some(before), Some(after)) = (figures.before, figures.after) {
            self.compare(before, after);
        }
    }

    /// How many times as much, and how much more in per cent.
    fn compare(&mut self, before: f64, after: f64) {
        if before != 0.0 {
            self.figure(after / before, Unit::Times);
            self.figure((after - before) / before * 100.0, Unit::Percent);
        }
        if after != 0.0 {
            self.figure(before / after, Unit::Times);
        }
    }

    /// Takes in everything an evidence item holds.
    fn hold(&mut self, evidence: &Evidence) {
        self.shown = Shown::of(evidence);
        self.say(&evidence.title);
        self.say(evidence.service.as_deref().unwrap_or_default());
        self.say(&evidence.provenance.expr);
        self.times.extend(evidence.onset);
        self.clock(evidence.onset);
        match &evidence.detail {
            Detail::Alert(alert) => {
                for (name, value) in alert.labels.iter().chain(alert.annotations.iter()) {
                    self.say(name);
                    self.say(value);
                }
                self.say(alert.expression.as_deref().unwrap_or_default());
                self.times.push(alert.starts_at);
                self.clock(Some(alert.starts_at));
            }
            Detail::Metric(metric) => {
                let unit = unit_of(metric);
                self.say(&metric.metric);
                self.say(&metric.labels.to_string());
                let band = metric.baseline;
                for value in [band.low, band.median, band.high, metric.peak, metric.last] {
                    self.figure(value, unit);
                }
                self.figure(metric.score, Unit::Bare);
                self.compare(band.median, metric.peak);
                self.compare(band.median, metric.last);
            }
            Detail::Log(log) => {
                self.say(&log.template);
                for entry in &log.exemplars {
                    self.say(&entry.line);
                    self.say(&entry.labels.to_string());
                }
                self.figure(log.baseline_count as f64, Unit::Bare);
                self.figure(log.window_count as f64, Unit::Bare);
                self.figure(log.baseline_per_minute, Unit::Rate(1.0 / 60.0));
                self.figure(log.window_per_minute, Unit::Rate(1.0 / 60.0));
                self.compare(log.baseline_per_minute, log.window_per_minute);
                self.times.extend(log.first);
                self.clock(log.first);
            }
            Detail::Edge(edge) => {
                self.say(&edge.client);
                self.say(&edge.server);
                self.before_after(edge.rate, Unit::Rate(1.0));
                self.before_after(edge.errors, Unit::Percent);
                self.before_after(edge.client_seconds, Unit::Seconds(1.0));
                self.before_after(edge.server_seconds, Unit::Seconds(1.0));
                self.before_after(edge.p95, Unit::Seconds(1.0));
                if edge.p95.before.or(edge.p95.after).is_some() {
                    self.say("p95");
                }
            }
            Detail::Change(change) => {
                for text in [change.kind.as_str(), &change.service, &change.reference, &change.summary, &change.author]
                {
                    self.say(text);
                }
                self.say(change.diff.as_ref().map_or("", Text::as_str));
                self.times.push(change.at);
                self.clock(Some(change.at));
            }
            Detail::Runbook { text } | Detail::Query { text } => self.say(text),
        }
    }
}

/// The unit of a metric: as it is told, else as its name says.
pub(super) fn unit_of(metric: &MetricDetail) -> Unit {
    match metric.unit.as_str() {
        "s" => Unit::Seconds(1.0),
        "ms" => Unit::Seconds(1e-3),
        "B" => Unit::Bytes(1.0),
        "%" => Unit::Percent,
        "/s" => Unit::Rate(1.0),
        // What is divided by another rate is none.
        _ if metric.metric.starts_with("rate(") && !metric.metric.contains(" / ") => Unit::Rate(1.0),
        _ => unit_of_name(&metric.metric),
    }
}

/// The unit that a metric's name ends in, as Prometheus advises.
fn unit_of_name(name: &str) -> Unit {
    let name = name.trim_end_matches("_total").trim_end_matches("_sum");
    match name.rsplit('_').next().unwrap_or_default() {
        "seconds" => Unit::Seconds(1.0),
        "milliseconds" | "ms" => Unit::Seconds(1e-3),
        "bytes" => Unit::Bytes(1.0),
        "percent" => Unit::Percent,
        _ => Unit::Bare,
    }
}

/// Lower case, white space as one blank, quotation marks and escapes left out: how telemetry is quoted varies.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars() {
        match c {
            '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '\\' => {}
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    let mut out = out.trim_end().to_owned();
    out.push(' ');
    if out.trim().is_empty() { String::new() } else { out }
}

/// Whether `word` stands in `text` as a whole: neither letter nor digit touches it, nor does a decimal point go on.
pub(super) fn stands_in(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            let mut next = after.chars();
            let goes_on = match next.next() {
                Some(c) if c.is_alphanumeric() => true,
                Some('.' | ',') => next.next().is_some_and(|c| c.is_ascii_digit()),
                _ => false,
            };
            let mut last = before.chars().rev();
            let began = match last.next() {
                Some(c) if c.is_alphanumeric() => true,
                Some('.' | ',') => last.next().is_some_and(|c| c.is_ascii_digit()),
                _ => false,
            };
            !goes_on && !began
        })
}

/// As [`stands_in`] for a number: no part of a time, a name or a range.
fn stands_apart(text: &str, number: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '/');
    stands_in(text, number)
        && text
            .match_indices(number)
            .any(|(at, _)| !text[..at].ends_with(joins) && !text[at + number.len()..].starts_with(joins))
}

/// The quotations of a sentence, and the sentence without them.
fn split_quotations(text: &str) -> (Vec<String>, String) {
    let mut quotations = Vec::new();
    let mut rest = String::with_capacity(text.len());
    let mut left = text;
    // An apostrophe opens no quotation, and closes none inside of a word.
    let opens = |left: &str, at: usize, c: char| match c {
        '"' | '`' | '“' => true,
        '\'' => !left[..at].ends_with(char::is_alphanumeric) && left[at + 1..].starts_with(char::is_alphanumeric),
        _ => false,
    };
    while let Some((at, open)) = left.char_indices().find(|&(at, c)| opens(left, at, c)) {
        let close = if open == '“' { '”' } else { open };
        let inside = &left[at + open.len_utf8()..];
        let ends = |&(end, _): &(usize, &str)| open != '\'' || !inside[end + 1..].starts_with(char::is_alphanumeric);
        let Some((end, _)) = inside.match_indices(close).find(ends) else { break };
        rest.push_str(&left[..at]);
        rest.push(' ');
        quotations.push(inside[..end].to_owned());
        left = &inside[end + close.len_utf8()..];
    }
    rest.push_str(left);
    (quotations, rest)
}

/// Times between the cited items: "28 s after the rollout" is a figure of both.
fn spans(items: &[&Item]) -> Vec<Number> {
    let mut times: Vec<Timestamp> = items.iter().flat_map(|item| item.times.iter().copied()).collect();
    times.sort_unstable();
    times.dedup();
    times.truncate(64);
    let mut spans = Vec::new();
    for (i, later) in times.iter().enumerate() {
        for earlier in &times[..i] {
            spans.push(Number::exact(later.since(*earlier).as_secs_f64(), Unit::Seconds(1.0)));
            // As it is reckoned from the clocks that are shown, which have whole seconds.
            let shown = later.nanos().div_euclid(SECOND) - earlier.nanos().div_euclid(SECOND);
            spans.push(Number::exact(shown as f64, Unit::Seconds(1.0)));
        }
    }
    spans
}

/// The id of evidence that a word is.
fn evidence_id(word: &str) -> Option<EvidenceId> {
    let id: EvidenceId = word.parse().ok()?;
    let kinds = EvidenceKind::ALL.iter().any(|kind| word.starts_with(kind.letter()));
    (kinds && word.len() <= 5).then_some(id)
}

/// Ids of hypotheses and actions are ours, not words of the evidence.
fn is_reference(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| matches!(c, 'H' | 'P'))
        && !chars.as_str().is_empty()
        && chars.as_str().len() <= 2
        && chars.as_str().parse::<u8>().is_ok_and(|number| number <= 20)
}

/// `p99` stands for the quantile 0.99.
fn quantile(word: &str, has: &dyn Fn(&str) -> bool) -> bool {
    word.strip_prefix(['p', 'P'])
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .is_some_and(|digits| has(&format!("0.{}", digits.replace('.', ""))))
}

/// Checks every claim. Ids that do not exist are dropped from the diagnosis and counted; the others are written the
/// one way (`M3`), each once.
///
/// A cause, a mechanism and the summary cite nothing themselves: the first two are held against what supports the
/// hypothesis, the summary against everything.
pub fn verify(diagnosis: &mut Diagnosis, proof: &Proof) -> Report {
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    let mut unsupported: Vec<Unsupported> = Vec::new();
    for (i, claim) in diagnosis.observations.iter_mut().enumerate() {
        check_claim(claim, &format!("observations[{i}]"), proof, &mut unknown, &mut unsupported);
    }
    for (i, hypothesis) in diagnosis.hypotheses.iter_mut().enumerate() {
        let mut support: Vec<EvidenceId> = Vec::new();
        for (j, claim) in hypothesis.supporting.iter_mut().enumerate() {
            let path = format!("hypotheses[{i}].supporting[{j}]");
            support.extend(check_claim(claim, &path, proof, &mut unknown, &mut unsupported));
        }
        let mut all = support.clone();
        for (j, claim) in hypothesis.contradicting.iter_mut().enumerate() {
            let path = format!("hypotheses[{i}].contradicting[{j}]");
            all.extend(check_claim(claim, &path, proof, &mut unknown, &mut unsupported));
        }
        let mut refuse = |field: &str, text: &Text, why: String| {
            unsupported.push(Unsupported { path: format!("hypotheses[{i}].{field}"), text: text.clone(), why });
        };
        if support.is_empty() {
            refuse("cause", &hypothesis.cause, "no evidence speaks for it".into());
        } else if let Some(why) = proof.refutes(&hypothesis.cause, &support) {
            refuse("cause", &hypothesis.cause, why);
        }
        if let Some(why) = proof.refutes_facts(&hypothesis.mechanism, &all) {
            refuse("mechanism", &hypothesis.mechanism, why);
        }
    }
    for (i, action) in diagnosis.actions.iter().enumerate() {
        if let Some(Err(error)) = action.change.as_ref().map(changes::command) {
            let why = format!("it becomes no command: {error}");
            unsupported.push(Unsupported { path: format!("actions[{i}].change"), text: action.target.clone(), why });
        }
    }
    let everything: Vec<EvidenceId> = proof.items.keys().copied().collect();
    if let Some(why) = proof.refutes(&diagnosis.summary, &everything) {
        unsupported.push(Unsupported { path: "summary".into(), text: diagnosis.summary.clone(), why });
    }
    Report { unsupported, unknown_ids: unknown.into_iter().collect() }
}

/// Checks one claim and returns the ids that remain.
fn check_claim(
    claim: &mut Claim,
    path: &str,
    proof: &Proof,
    unknown: &mut BTreeMap<String, usize>,
    unsupported: &mut Vec<Unsupported>,
) -> Vec<EvidenceId> {
    let cited = claim.evidence.len();
    let mut ids: Vec<EvidenceId> = Vec::new();
    for written in &claim.evidence {
        match written.parse::<EvidenceId>() {
            Ok(id) if proof.holds(id) => {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            _ => *unknown.entry(Text::new(written).truncated(80).to_string()).or_default() += 1,
        }
    }
    claim.evidence = ids.iter().map(ToString::to_string).collect();
    let why = if ids.is_empty() {
        Some(if cited == 0 { "no evidence is cited".to_owned() } else { "none of the cited ids exists".to_owned() })
    } else {
        proof.refutes(&claim.text, &ids)
    };
    if let Some(why) = why {
        unsupported.push(Unsupported { path: path.to_owned(), text: claim.text.clone(), why });
    }
    ids
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "mutations_tests.rs"]
mod mutations_tests;

#[cfg(test)]
#[path = "held_out/mod.rs"]
mod held_out;

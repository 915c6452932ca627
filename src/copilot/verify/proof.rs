//! All that may be cited, and whether a sentence stands in what it cites.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Token, Unit, places};
use super::item::Item;
use super::regex;
use super::sense::{self, Shown};
use super::text::{plain, split_quotations, stands_in};
use super::{binding, calls, names, numbers, ranges, relevance, shares, spelled};
use crate::domain::Timestamp;
use crate::domain::analysis::Analysis;
use crate::domain::evidence::{EvidenceId, EvidenceKind};
use crate::domain::pack::Pack;
use crate::domain::text::hidden_names;

/// Quotations shorter than this, in characters, must stand as words, or they would stand everywhere.
const QUOTATION: usize = 3;
/// One word of up to so many letters is quoted whole.
const WORD: usize = 12;
/// A part of a word of so many letters, with the blanks around it, tells it.
const WORD_PART: usize = 6;
/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Everything that may be cited, ready to be searched.
#[derive(Debug, Clone)]
pub struct Proof {
    pub(super) items: BTreeMap<EvidenceId, Item>,
    /// What belongs to no item: names of the services.
    common: String,
    /// The incident's, which is that of an alert, as [`plain`] makes it.
    title: String,
    /// Names of services as they are written, and as [`plain`] makes them.
    services: Vec<(String, String)>,
    /// Words that may be repeated without proof, as [`plain`] makes them: times that the question named.
    repeated: String,
    /// When the incident began.
    started: Timestamp,
    /// How long the window and the baseline are.
    lengths: Vec<Number>,
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
                    items.entry(packed.id).or_insert_with(|| item(packed.id)).packed(packed.id, &packed.text);
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
                item.tell(&ranked.why);
            }
        }
        for ruled_out in &analysis.ruled_out {
            if let Some(item) = items.get_mut(&ruled_out.evidence) {
                item.tell(&ruled_out.why);
            }
        }
        for suspect in &analysis.suspects {
            for signal in &suspect.signals {
                for id in &signal.evidence {
                    if let Some(item) = items.get_mut(id) {
                        item.quote(&signal.text);
                        if item.nameless {
                            item.say(&suspect.service);
                        }
                        item.moment(signal.onset);
                    }
                }
            }
        }
        let mut names: BTreeSet<&str> = analysis.incident.services.iter().map(String::as_str).collect();
        names.extend(analysis.suspects.iter().map(|suspect| suspect.service.as_str()));
        names.extend(analysis.evidence.iter().filter_map(|item| item.service.as_deref()));
        names.extend(analysis.graph.iter().flat_map(|edge| [edge.client.as_str(), edge.server.as_str()]));
        let title = plain(&analysis.incident.title);
        let mut common = String::new();
        let mut services = Vec::new();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            common.push('\n');
            common.push_str(&plain(name));
            services.push((name.to_owned(), plain(name).trim().to_owned()));
        }
        let lengths = [analysis.incident.window, analysis.incident.baseline]
            .map(|range| Number::exact(range.end.since(range.start).as_secs_f64(), Unit::Seconds(1.0)))
            .to_vec();
        Self { items, common, title, repeated: String::new(), services, started: analysis.incident.started_at, lengths }
    }

    /// With words that may be repeated without proof, such as the times of a question.
    #[must_use]
    pub(in crate::copilot) fn repeating(mut self, words: &str) -> Self {
        self.repeated = plain(words);
        self
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
    pub(super) fn refutes(&self, text: &str, cited: &[EvidenceId]) -> Option<String> {
        self.refutes_facts(text, cited).or_else(|| {
            let shown: Vec<&Shown> = cited.iter().filter_map(|id| self.items.get(id)).map(|item| &item.shown).collect();
            let told = self.with_ids(text, cited);
            sense::contradiction(&told, &shown).or_else(|| self.misplaced(&told, cited))
        })
    }

    /// Why a figure or a time is not of what it is told of, but of another item that is cited.
    fn misplaced(&self, told: &str, cited: &[EvidenceId]) -> Option<String> {
        let items: Vec<(EvidenceId, &Item)> =
            cited.iter().filter_map(|id| self.items.get(id).map(|item| (*id, item))).collect();
        let all: Vec<&Item> = items.iter().map(|(_, item)| *item).collect();
        let found = places(told);
        binding::misplaced(told, &found, &items, &self.services, &spans(&all, None))
            .or_else(|| binding::crossed(told, &found, &items, &self.services))
    }

    /// The cited item that says nothing of a claim; a theory rests on all that its claims cite.
    pub(super) fn stray(&self, text: &str, cited: &[EvidenceId]) -> Option<String> {
        let items: Vec<(EvidenceId, &Item)> =
            cited.iter().filter_map(|id| self.items.get(id).map(|item| (*id, item))).collect();
        relevance::stray(text, &items).map(|id| format!("it cites {id}, which says nothing of it"))
    }

    /// As [`Self::refutes`], for a theory: its names, figures and quotations, not which way it says that things go.
    pub(super) fn refutes_facts(&self, text: &str, cited: &[EvidenceId]) -> Option<String> {
        let items: Vec<&Item> = cited.iter().filter_map(|id| self.items.get(id)).collect();
        // The title is an alert's, and who tells it cites one.
        let alerted = cited.iter().any(|id| id.kind == EvidenceKind::Alert);
        let title = format!("{}\n{}", if alerted { self.title.as_str() } else { "" }, self.repeated);
        let title = title.as_str();
        let says = |needle: &str| title.contains(needle) || items.iter().any(|item| item.text.contains(needle));
        let has = |word: &str| {
            stands_in(&self.common, word)
                || stands_in(title, word)
                || items.iter().any(|item| stands_in(&item.text, word))
        };
        // Said before their codes could be taken for numbers.
        if let Some((name, deed)) = hidden_names(text).find(|(name, _)| !says(plain(name).trim())) {
            return Some(format!("it holds {deed} ({name})"));
        }
        let (quotations, rest) = split_quotations(text);
        for quotation in &quotations {
            for piece in quotation.split('…').map(plain) {
                let word = piece.trim();
                let short = word.chars().count() < QUOTATION
                    || word.len() <= WORD && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !piece.is_empty() && !(if short { has(piece.trim()) } else { says(piece.trim()) }) {
                    return Some(format!("the quotation “{quotation}” is not in what it cites"));
                }
            }
        }
        // A known service that nothing cited speaks of: the right figures of the wrong place.
        let told = plain(&text.replace("'s ", " ").replace("’s ", " "));
        for (name, service) in &self.services {
            if names::means(text, &told, name, service)
                && !items.iter().any(|item| stands_in(&item.words, service))
                && !names::ruled_out(told.trim(), service)
            {
                return Some(format!("nothing it cites speaks of {name}"));
            }
        }
        let cites = |word: &str| items.iter().any(|item| item.words.contains(word) || item.text.contains(word));
        let alerts: Vec<&str> =
            items.iter().filter(|item| item.kind == Some(EvidenceKind::Alert)).map(|item| item.text.as_str()).collect();
        let strange = names::short_name(&rest, &self.services, &cites)
            .filter(|name| !names::ruled_out(told.trim(), &name.to_lowercase()))
            .or_else(|| names::of_its_kind(&rest, &cites))
            .or_else(|| names::value(&rest, &cites))
            .or_else(|| names::severity(told.trim(), &alerts));
        if let Some(name) = strange {
            return Some(format!("nothing it cites speaks of {name}"));
        }
        if let Some(call) = names::call(text, &cites) {
            return Some(format!("`{call}` is not in what it cites"));
        }
        let edges: Vec<(String, String)> = items.iter().filter_map(|item| item.calls.clone()).collect();
        let known = self.items.values().filter_map(|item| item.calls.as_ref());
        if let Some(why) = calls::turned_round(told.trim(), &edges)
            .or_else(|| calls::uncited(told.trim(), &edges, known))
            .or_else(|| calls::undone(told.trim(), &items))
        {
            return Some(why);
        }
        // A long name may be told by its beginning.
        let known = |word: &str| has(word) || word.len() > WORD && items.iter().any(|item| begins_in(&item.text, word));
        if let Some(name) =
            names::stranger(&rest, &self.services, &|word: &str| known(plain(word).trim()), &|word: &str| {
                let word = plain(word);
                // `the search service` may be called `PetSearch`.
                items.iter().any(|item| {
                    stands_in(&item.text, word.trim()) || word.len() > WORD_PART && item.text.contains(word.trim())
                })
            })
        {
            return Some(format!("nothing it cites speaks of {name}"));
        }
        let changed = cited.iter().any(|id| id.kind == EvidenceKind::Change);
        if let Some(name) =
            names::author(&rest, &|word: &str| items.iter().any(|item| stands_in(&item.words, plain(word).trim())))
                .filter(|_| changed)
        {
            return Some(format!("nothing it cites speaks of {name}"));
        }
        // `1. This. 2. That.`
        let rest = STEP.replace_all(&rest, "$before");
        // The half below the median is none that was counted.
        let halved = ["p50", "median"].iter().any(|word| told.contains(word));
        let rest =
            if halved { rest.replace("Half of", "Part of").replace("half of", "part of") } else { rest.into_owned() };
        let rest = match spelled::spelled_out(&rest) {
            Ok(rest) => rest,
            Err(sign) => return Some(format!("the number {sign} cannot be checked")),
        };
        let started =
            ["incident", "outage", "the alert"].iter().any(|word| told.contains(word)).then_some(self.started);
        let mut spans = spans(&items, started);
        if ["window", "baseline"].iter().any(|word| told.contains(word)) {
            spans.extend(&self.lengths);
        }
        let found = places(&rest);
        for (place, token) in &found {
            let Token::Word(word) = token else { continue };
            if let Some(id) = evidence_id(word) {
                let compared = rest[..place.start].trim_end().ends_with("than");
                if !cited.contains(&id) && !compared && !names::ruled_out(told.trim(), &word.to_lowercase()) {
                    return Some(format!("it speaks of {id} and does not cite it"));
                }
            } else if !(is_reference(word)
                || has(plain(word).trim())
                || quantile(word, &has)
                || in_words(word).is_some_and(|word| items.iter().any(|item| item.text.contains(&word)))
                || items.iter().any(|item| item.range.iter().any(|end| end == word)) && !since(&rest, place)
                || is_abbreviated(word) && items.iter().any(|item| begins_in(&item.text, word)))
            {
                return Some(format!("`{word}` is not in what it cites"));
            }
        }
        if let Some(why) = ranges::other_range(&rest, &items) {
            return Some(why);
        }
        if let Some(why) = shares::other_shares(&rest, &items).or_else(|| numbers::undone(&rest, &items)) {
            return Some(why);
        }
        numbers::unfounded(&rest, &found, &items, title, &spans)
    }
}

/// Whether a time is one since which something is so: no end of the range of samples is that by itself.
fn since(text: &str, place: &Range<usize>) -> bool {
    ["since", "began at", "starts at", "started at", "begins at", "beginning at"]
        .iter()
        .any(|word| text[..place.start].trim_end().ends_with(word))
}

/// The number of a step at its beginning.
static STEP: LazyLock<Regex> = LazyLock::new(|| regex(r"(?P<before>^|[.;:!?]\s+|\n)\d{1,2}[.)]\s"));

/// Times between the cited items: "28 s after the rollout" is a figure of both.
fn spans(items: &[&Item], started: Option<Timestamp>) -> Vec<Number> {
    let mut times: Vec<Timestamp> = items.iter().flat_map(|item| item.times.iter().copied()).chain(started).collect();
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

/// A word that begins with a digit, as names in code have it: `threeds` for `3DS`.
fn in_words(word: &str) -> Option<String> {
    const DIGITS: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let digit = word.chars().next()?.to_digit(10)? as usize;
    let rest = word[1..].to_lowercase();
    let letters = rest.len() > 1 && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
    (letters && digit > 0).then(|| format!("{}{rest}", DIGITS[digit - 1]))
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

/// Whether a word is the beginning of a revision, as people write it: seven hexadecimal digits or more.
fn is_abbreviated(word: &str) -> bool {
    word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a word of the text begins so.
fn begins_in(text: &str, word: &str) -> bool {
    let word = word.to_lowercase();
    text.match_indices(&word).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

/// `p99` stands for the quantile 0.99.
fn quantile(word: &str, has: &dyn Fn(&str) -> bool) -> bool {
    // `the 99th percentile`.
    if let Some(digits) = word.strip_suffix("th").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return has(&format!("p{digits}")) || has(&format!("0.{}", digits.trim_end_matches('0')));
    }
    word.strip_prefix(['p', 'P'])
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .is_some_and(|digits| has(&format!("0.{}", digits.replace('.', ""))))
}

//! What may stand on the screen as supported, judged from the text of the evidence alone and otherwise than the program
//! judges it: whatever is refused here has no counterpart at all in what it cites.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use stanch::core::diagnosis_rows::{Kind, Row};
use stanch::domain::Timestamp;
use stanch::domain::analysis::Analysis;
use stanch::domain::evidence::{Detail, Evidence, EvidenceId};
use stanch::domain::pack::Pack;

use super::answers::SERVICES;

/// How far a number may lie from its counterpart, as a share of it; more where it says "about".
const NEAR: f64 = 0.05;
const ABOUT: f64 = 0.11;
/// Units by which the same figure is told.
const SCALES: &[f64] = &[1.0, 100.0, 60.0, 1e3, 3_600.0];
/// Units of sizes, for figures that can only be in bytes.
const SIZES: &[f64] = &[1e6, 1e9, 1_024.0, 1_048_576.0, 1_073_741_824.0];
const SIZE: f64 = 1e5;

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d+\b)?").expect("an expression")
});
static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new("\"[^\"]*\"|`[^`]*`|“[^”]*”").expect("an expression"));
static DATED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z?").expect("an expression"));
static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[AMLECRQ]\d{1,4}\b").expect("an expression"));

/// What one item says.
struct Said {
    text: String,
    numbers: Vec<f64>,
    times: Vec<Timestamp>,
}

fn flat(text: &str) -> String {
    text.replace(['"', '\'', '`', '\\', '“', '”'], "").to_lowercase()
}

fn numbers(text: &str) -> impl Iterator<Item = (f64, usize)> {
    NUMBER.find_iter(text).filter_map(|found| {
        let digits = found.as_str().replace(',', "");
        let places = digits.split_once('.').map_or(0, |(_, after)| after.len());
        Some((digits.parse().ok()?, places))
    })
}

fn said(analysis: &Analysis, pack: &Pack, item: &Evidence) -> Said {
    let mut text = String::new();
    let mut times: Vec<Timestamp> = item.onset.into_iter().collect();
    for packed in pack.evidence.iter().filter(|packed| packed.id == item.id) {
        text.push_str(&packed.text);
    }
    text.push_str(&format!("\n{}", serde_json::to_string(item).expect("evidence is JSON")));
    for suspect in &analysis.suspects {
        for signal in suspect.signals.iter().filter(|signal| signal.evidence.contains(&item.id)) {
            text.push_str(&format!("\n{}\n{}", signal.text, suspect.service));
            times.extend(signal.onset);
        }
    }
    for why in analysis.changes.iter().filter(|change| change.evidence == item.id).map(|change| &change.why) {
        text.push_str(&format!("\n{why}"));
    }
    let pairs: Vec<(f64, f64)> = match &item.detail {
        Detail::Metric(metric) => vec![(metric.baseline.median, metric.peak), (metric.baseline.median, metric.last)],
        Detail::Log(log) => {
            times.extend(log.first);
            vec![(log.baseline_count as f64, log.window_count as f64), (log.baseline_per_minute, log.window_per_minute)]
        }
        Detail::Edge(edge) => [edge.rate, edge.errors, edge.client_seconds, edge.server_seconds, edge.p95]
            .into_iter()
            .filter_map(|figure| figure.before.zip(figure.after))
            .collect(),
        Detail::Change(change) => {
            times.push(change.at);
            text.push_str(&format!("\n{}", change.at.to_clock()));
            Vec::new()
        }
        _ => Vec::new(),
    };
    for at in &times {
        text.push_str(&format!("\n{} {}", at.to_clock(), at.to_rfc3339()));
    }
    let mut found: Vec<f64> = numbers(&DATED.replace_all(&text, " ")).map(|(value, _)| value).collect();
    for (before, after) in pairs {
        found.extend([before, after, after - before, after / before, before / after, (after - before) / before]);
    }
    found.retain(|value| value.is_finite());
    Said { text: flat(&text), numbers: found, times }
}

/// The oracle of one incident as it was packed.
pub(super) struct Oracle {
    said: Vec<(EvidenceId, Said)>,
}

impl Oracle {
    pub(super) fn new(analysis: &Analysis, pack: &Pack) -> Self {
        let packed: BTreeSet<EvidenceId> = pack.evidence.iter().map(|item| item.id).collect();
        let items = analysis.evidence.iter().filter(|item| packed.contains(&item.id));
        Self { said: items.map(|item| (item.id, said(analysis, pack, item))).collect() }
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.said.iter().any(|(known, _)| known.to_string() == id)
    }

    /// What is wrong with the rows of a diagnosis; and how many claims of them stand.
    pub(super) fn wrong(&self, rows: &[Row]) -> (Vec<String>, usize) {
        let mut wrong = Vec::new();
        let mut standing = 0;
        for row in rows {
            for link in row.links.iter().filter(|link| !self.holds(&link.to_string())) {
                wrong.push(format!("an invented id is linked: {link} in {:?}", row.text));
            }
            let own = matches!(row.kind, Kind::For | Kind::Against | Kind::Observation | Kind::Hypothesis { .. });
            let all = matches!(row.kind, Kind::Summary | Kind::Mechanism);
            if row.unsupported.is_some() || !(own || all) {
                continue;
            }
            if own && row.links.is_empty() {
                wrong.push(format!("nothing is cited: {:?}", row.text));
            }
            standing += usize::from(own);
            let cited: Vec<&Said> =
                self.said.iter().filter(|(id, _)| all || row.links.contains(id)).map(|(_, said)| said).collect();
            let why = refused(&row.text, &cited);
            wrong.extend(why.into_iter().map(|why| format!("{why}: {:?} {:?} {:?}", row.kind, row.text, row.links)));
            for id in ID.find_iter(&row.text).map(|id| id.as_str()) {
                if !self.holds(id) || own && !row.links.iter().any(|link| link.to_string() == id) {
                    wrong.push(format!("{id} is spoken of and not linked: {:?}", row.text));
                }
            }
        }
        (wrong, standing)
    }
}

fn refused(text: &str, cited: &[&Said]) -> Vec<String> {
    let mut wrong = Vec::new();
    let says = |words: &str| cited.iter().any(|said| said.text.contains(words.trim()));
    for quoted in QUOTED.find_iter(text) {
        if !says(&flat(quoted.as_str())) {
            wrong.push(format!("the quotation {} stands nowhere", quoted.as_str()));
        }
    }
    let rest = QUOTED.replace_all(text, " ").into_owned();
    let lower = flat(&rest);
    for service in SERVICES {
        let named = lower.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|word| word == *service);
        if named && !says(service) {
            wrong.push(format!("{service} is not what it cites"));
        }
    }
    let mut counterparts: Vec<f64> = cited.iter().flat_map(|said| said.numbers.iter().copied()).collect();
    let times: Vec<Timestamp> = cited.iter().flat_map(|said| said.times.iter().copied()).collect();
    for later in &times {
        counterparts.extend(times.iter().map(|earlier| later.since(*earlier).as_secs_f64()));
    }
    let tolerance = if lower.contains("about") || lower.contains(['~', '≈', '<', '>']) { ABOUT } else { NEAR };
    for word in rest.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        // Words with figures in them, as versions, times and pods, stand literally.
        if word.is_empty() || ID.is_match(word) || word.contains(|c: char| c.is_alphabetic()) && says(&flat(word)) {
            continue;
        }
        if word.contains(':') && says(word) || word.starts_with(['H', 'P']) && word.len() <= 3 {
            continue;
        }
        if let Some(digits) = word.strip_prefix(['p', 'P'])
            && says(&format!("0.{digits}"))
        {
            continue;
        }
        for (value, places) in numbers(word) {
            let rounding = 0.5 * 0.1f64.powi(places as i32);
            let known = counterparts.iter().map(|proof| proof.abs()).any(|proof| {
                let sizes = if proof > SIZE { SIZES } else { &[] };
                let told = SCALES.iter().flat_map(|scale| [proof * scale, proof / scale]);
                told.chain(sizes.iter().map(|scale| proof / scale))
                    .any(|proof| (proof - value).abs() <= rounding.max(tolerance * proof.max(value)) + 1e-9)
            });
            if !known {
                wrong.push(format!("{value} has no counterpart"));
            }
        }
    }
    wrong
}

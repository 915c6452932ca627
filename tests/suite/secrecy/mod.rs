//! What leaves, and what must not: secrets of many kinds in every place where incidents bring them along, through the
//! whole program to a recording end point; and how much of what is no secret is hidden by mistake.

mod benign;
mod forms;
mod program;
mod secrets;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use stanch::context::redact;

pub(crate) use forms::{Noise, fill};

/// A text with its secret.
pub(crate) struct Placed {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) secret: String,
}

/// One of each kind.
pub(crate) fn generated(seed: u64) -> Vec<Placed> {
    let mut noise = Noise(seed);
    secrets::KINDS
        .iter()
        .map(|(kind, template)| {
            let filled = fill(template, &mut noise);
            let (before, rest) = filled.split_once('‹').expect("a secret begins");
            let (secret, after) = rest.split_once('›').expect("a secret ends");
            Placed { kind, text: format!("{before}{secret}{after}"), secret: secret.to_owned() }
        })
        .collect()
}

/// Pieces of a secret by which it would be known: windows of its lines, in every spelling it could leave in.
pub(crate) fn traces(secret: &str) -> Vec<String> {
    const WINDOW: usize = 10;
    let mut spellings = Vec::new();
    for line in secret.split(['\n', '\\']).map(str::trim).filter(|line| line.len() >= 6) {
        spellings.push(line.to_owned());
        spellings.push(STANDARD_NO_PAD.encode(line));
        spellings.push(URL_SAFE_NO_PAD.encode(line));
        spellings.push(line.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat());
        spellings.push(line.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat());
    }
    let mut traces = Vec::new();
    for spelling in spellings {
        let chars: Vec<char> = spelling.chars().collect();
        if chars.len() <= WINDOW {
            traces.push(spelling);
        } else {
            // What stands at the edge may be the fixed beginning of its kind.
            traces
                .extend(chars.windows(WINDOW).skip(chars.len().min(14) - WINDOW).map(|window| window.iter().collect()));
        }
    }
    traces
}

/// The trace that is in the text, if there is one.
pub(crate) fn leak<'t>(text: &str, traces: &'t [String]) -> Option<&'t String> {
    traces.iter().find(|trace| text.contains(trace.as_str()))
}

/// Puts a text into a place.
type Put = fn(&str) -> String;

/// In which a text may stand.
const PLACES: [(&str, Put); 6] = [
    ("log line", |text| format!("2026-11-21T14:02:21Z ERROR [pay-7] c.e.Pay - {text}")),
    ("structured log", |text| json!({"level": "error", "msg": text, "n": 3}).to_string()),
    ("label", |text| format!("CheckoutErrors critical {{service=checkout,detail={text},pod=x}}")),
    ("annotation", |text| format!("annotations:\n  description: see below\n{text}\n")),
    ("diff", |text| format!("@@ -1,3 +1,4 @@\n context\n+{}\n-old", text.replace('\n', "\n+"))),
    ("output", |text| format!("$ describe\nName: x\n{text}\nEvents: <none>\n")),
];

#[test]
fn no_secret_of_any_kind_is_left_in_any_place() {
    let (mut tried, mut left) = (0, Vec::new());
    for seed in 0..4 {
        for placed in generated(seed) {
            let traces = traces(&placed.secret);
            for (place, put) in PLACES {
                let text = put(&placed.text);
                let out = redact(&text).text;
                tried += 1;
                if let Some(trace) = leak(&out, &traces) {
                    left.push(format!("{} in a {place}: {trace}\n   {text}\n → {out}", placed.kind));
                }
            }
        }
    }
    assert!(secrets::KINDS.len() >= 60 && tried >= 300);
    left.sort();
    assert!(left.is_empty(), "{} of {tried} are left:\n{}", left.len(), left.join("\n"));
}

#[test]
fn what_is_no_secret_stays() {
    let mut noise = Noise(7);
    let (mut tokens, mut masked) = (0, Vec::new());
    for _ in 0..12 {
        for template in benign::LINES {
            let line = fill(template, &mut noise);
            let out = redact(&line).text;
            tokens += line.split_whitespace().count();
            if out != line {
                let hidden = out.matches("‹secret:").count();
                masked.extend(std::iter::repeat_n(format!("{line}\n → {out}"), hidden));
            }
        }
    }
    assert!(tokens >= 3_000, "{tokens}");
    let share = masked.len() as f64 / tokens as f64;
    eprintln!("{} of {tokens} benign tokens are masked: {:.2} %", masked.len(), share * 100.0);
    masked.sort();
    masked.dedup();
    assert!(share <= 0.02, "{:.2} % of {tokens} tokens are masked:\n{}", share * 100.0, masked.join("\n"));
    if std::env::var_os("STANCH_SHOW").is_some() {
        eprintln!("{}", masked.join("\n"));
    }
}

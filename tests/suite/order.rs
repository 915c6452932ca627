//! What order a recording was written in, and what it says twice, changes nothing of what is found in it.

use serde_json::Value;

use crate::generated::{self, Size};
use crate::program::Program;

const SIZE: Size = Size { lines: 1_500, series: 120, changes: 12 };

/// The suspects, and a pack that has room for everything. What was odd about the files themselves is said in notes,
/// and may differ.
fn answers(program: &Program, name: &str, shuffle: Option<u64>) -> (Value, Value, String) {
    let folder = program.home().join(name);
    generated::write(&folder, SIZE, shuffle);
    let replay = folder.to_str().expect("a path in UTF-8");
    let mut suspects = program.json(&["suspects", "--replay", replay]);
    suspects.as_object_mut().expect("an object").remove("notes");
    let mut pack = program.json(&["pack", "--budget", "200000", "--replay", replay]);
    let text = pack["text"].as_str().expect("a text");
    let text = text.lines().filter(|line| !line.starts_with("note: ")).collect::<Vec<_>>().join("\n");
    (suspects, pack["evidence"].take(), text)
}

#[test]
fn the_order_of_a_recording_does_not_matter() {
    let program = Program::new();
    let sorted = answers(&program, "sorted", None);
    assert_eq!(sorted.0["suspects"][0]["service"], SIZE.culprit().as_str(), "{}", sorted.0);
    for seed in [1, 2] {
        let other = answers(&program, &format!("shuffled-{seed}"), Some(seed));
        assert_eq!(sorted.0, other.0);
        assert_eq!(sorted.1, other.1);
        assert_eq!(sorted.2, other.2);
    }
}

#[test]
fn a_pack_spends_its_budget_and_never_more() {
    let program = Program::new();
    let folder = program.home().join("sized");
    generated::write(&folder, SIZE, None);
    let replay = folder.to_str().expect("a path in UTF-8");
    let mut heads: Vec<String> = Vec::new();
    for budget in [50, 300, 1_000, 2_000, 4_000, 16_000, 200_000] {
        let pack = program.json(&["pack", "--budget", &budget.to_string(), "--replay", replay]);
        let tokens = pack["tokens"].as_u64().expect("a count");
        assert!(tokens <= budget, "{tokens} of {budget}");
        assert_eq!(pack["evidence"].as_array().expect("items").is_empty(), budget < 1_000, "{budget}");
        let text = pack["text"].as_str().expect("a text");
        if budget >= 1_000 {
            heads.push(text.split("## Alerts").next().expect("a head").to_owned());
            assert!(text.trim_end().ends_with('?'), "the question stands last");
        }
    }
    heads.dedup();
    assert_eq!(heads.len(), 1, "the head is the same for every budget");
}

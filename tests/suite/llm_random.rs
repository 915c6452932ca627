//! Answers of the right shape and of no sense, from a real server with a model of random weights and by the thousand
//! from a generator: nothing invented may look supported, nothing that changes anything may run by itself, and every
//! diagnosis can be drawn.

mod answers;
mod oracle;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;
use stanch::context::pack;
use stanch::copilot::{actions, answer};
use stanch::core::list::List;
use stanch::core::message::{Conclusion, Investigation, Suggestion};
use stanch::core::screen::IncidentScreen;
use stanch::core::{Case, Identity, Model, Pane, Screen, diagnosis_rows};
use stanch::domain::action::{Decision, Effect, Origin};
use stanch::domain::analysis::Analysis;
use stanch::domain::diagnosis::{Diagnosed, PromptRef};
use stanch::domain::pack::Pack;
use stanch::domain::settings::Protocol;
use stanch::gate::{Gate, Inventory, Policy, TelemetryWords};
use stanch::llm::FinishReason;
use stanch::ui::{Theme, render};
use tokio_util::sync::CancellationToken;

use crate::gate::in_prod;
use crate::llm_real::{Notes, client_of, diagnose, short_llama};
use answers::{COMMANDS, Dice};
use oracle::Oracle;

/// Diagnoses by the real server, unless `STANCH_TEST_RANDOM_DIAGNOSES` says how many.
const DIAGNOSES: u64 = 24;
/// Tokens of an answer of the real server at most.
const ANSWER_TOKENS: u32 = 2_000;
/// Requests that the real server works on at a time.
const SLOTS: u64 = 2;
/// Answers by the generator.
const GENERATED: u64 = 2_000;

/// Everything that holds for every diagnosis of one incident.
struct Judge {
    analysis: Analysis,
    pack: Pack,
    oracle: Oracle,
    gate: Gate,
    model: Model,
}

impl Judge {
    fn new(analysis: Analysis) -> Self {
        let pack = pack(&analysis, 1_500);
        let (incident, id) = (analysis.incident.clone(), analysis.incident.id.clone());
        let mut model = Model::new(Identity::default(), incident.window.end, None);
        model.board.begin(1, incident.window.end);
        assert!(model.board.finish(1, Ok(vec![id.clone()])));
        let mut case = Case::new(incident);
        let found = Investigation { analysis: analysis.clone(), logs: Vec::new(), asked: Vec::new() };
        case.investigation.value = Some(found);
        model.cases.insert(id.clone(), case);
        model.screens.push(Screen::Incident(Box::new(IncidentScreen::new(&id))));
        let oracle = Oracle::new(&analysis, &pack);
        Self { analysis, pack, oracle, gate: Gate::new(Policy::builtin()), model }
    }

    fn case(&mut self) -> &mut Case {
        self.model.cases.get_mut(&self.analysis.incident.id).expect("the one case")
    }

    /// How much the oracle would refuse of it, had nothing verified it.
    fn unverified(&mut self, diagnosed: Diagnosed) -> usize {
        let diagnosed = Diagnosed { unsupported: Vec::new(), ..diagnosed };
        self.case().conclusion.value = Some(Conclusion { diagnosed, actions: Vec::new() });
        let rows = diagnosis_rows::rows(self.case(), &List::default());
        self.oracle.wrong(&rows).0.len()
    }

    /// What is wrong with a diagnosis; and how many of its claims look supported.
    fn wrong(&mut self, diagnosed: &Diagnosed) -> (Vec<String>, usize) {
        let mut wrong = Vec::new();
        let suggestions = self.actions(diagnosed, &mut wrong);
        let conclusion = Conclusion { diagnosed: diagnosed.clone(), actions: suggestions };
        self.case().conclusion.value = Some(conclusion);
        let rows = diagnosis_rows::rows(self.case(), &List::default());
        let (refused, standing) = self.oracle.wrong(&rows);
        wrong.extend(refused);
        self.draw(rows.len());
        (wrong, standing)
    }

    /// Its actions as the gate judges them.
    fn actions(&self, diagnosed: &Diagnosed, wrong: &mut Vec<String>) -> Vec<Suggestion> {
        let (telemetry, inventory) = (TelemetryWords::default(), Inventory::default());
        let situation = in_prod(&telemetry, &inventory);
        let offered = actions::actions(&self.analysis.incident.id, diagnosed);
        if !diagnosed.complete && !offered.is_empty() {
            wrong.push(format!("an answer that broke off has actions: {offered:?}"));
        }
        let mut suggestions = Vec::new();
        for action in offered {
            if !matches!(action.origin, Origin::Model(_)) {
                wrong.push(format!("an action of a model says that it is of {:?}", action.origin));
            }
            for argv in std::iter::once(&action.argv).chain(&action.rollback) {
                let judged = self.gate.judge(argv, &situation);
                let words: Vec<&str> = argv.iter().map(String::as_str).collect();
                let reads = COMMANDS.iter().any(|(command, reads)| *reads && *command == words);
                if judged.verdict.decision == Decision::Allow && (judged.effect != Effect::Read || !reads) {
                    wrong.push(format!("{argv:?} may run: {:?}", judged.effect));
                }
            }
            let judged = self.gate.judge(&action.argv, &situation);
            suggestions.push(Suggestion { action, judged });
        }
        suggestions
    }

    /// Draws the diagnosis and the actions at both sizes, with the cursor at one end or the other.
    fn draw(&mut self, rows: usize) {
        for (columns, lines) in [(80, 24), (120, 40)] {
            self.model.size = (columns, lines);
            let area = Rect::new(0, 0, columns, lines);
            let cursor = if columns == 80 { rows.saturating_sub(1) } else { 0 };
            for (pane, cursor) in [(Pane::Diagnosis, cursor), (Pane::Actions, 0)] {
                let screen = self.model.incident_screen_mut().expect("it was pushed");
                screen.pane = pane;
                screen.list_mut().cursor = cursor;
                let mut buffer = Buffer::empty(area);
                render(&self.model, &Theme::new(true, false), area, &mut buffer);
            }
        }
    }
}

/// The ids of every claim as the answer has them.
fn cited(answer: &Value) -> Vec<String> {
    let claims = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = claims(&answer["observations"]);
    for hypothesis in claims(&answer["hypotheses"]) {
        all.extend(claims(&hypothesis["supporting"]));
        all.extend(claims(&hypothesis["contradicting"]));
    }
    all.iter().flat_map(|claim| claims(&claim["evidence"])).filter_map(|id| Some(id.as_str()?.to_owned())).collect()
}

/// Cited ids that do not exist and are not told of.
fn kept_quiet(answer: &Value, diagnosed: &Diagnosed, oracle: &Oracle) -> Vec<String> {
    let known =
        |id: &str| oracle.holds(id.trim().trim_start_matches('[').trim_end_matches(']').to_uppercase().as_str());
    let mut expected = 0;
    for id in cited(answer) {
        expected += usize::from(!known(&id));
    }
    let told: usize = diagnosed.unknown_ids.iter().map(|(_, times)| times).sum();
    let mut wrong: Vec<String> =
        diagnosed.unknown_ids.iter().filter(|(id, _)| oracle.holds(id)).map(|(id, _)| format!("{id} exists")).collect();
    if told != expected {
        wrong.push(format!("{expected} ids do not exist, {told} are told of"));
    }
    wrong
}

#[test]
fn nothing_invented_in_generated_answers_looks_supported() {
    let mut judge = Judge::new(answers::analysis());
    assert_eq!(judge.pack.evidence.len(), judge.analysis.evidence.len(), "all of it is packed");
    let prompt = PromptRef { name: "diagnosis".into(), version: "test".into() };
    let (mut found, mut standing, mut refused, mut incomplete, mut blind) = (BTreeMap::new(), 0, 0, 0, 0);
    for seed in 1..=GENERATED {
        let text = Dice::new(seed).answer();
        let diagnosed = answer::pasted(&judge.analysis, &judge.pack, prompt.clone(), &text);
        let (mut wrong, claims) = judge.wrong(&diagnosed);
        if diagnosed.complete {
            let answer = serde_json::from_str(&text).expect("a complete answer is JSON");
            wrong.extend(kept_quiet(&answer, &diagnosed, &judge.oracle));
        } else {
            incomplete += 1;
        }
        standing += claims;
        refused += diagnosed.unsupported.len();
        if seed % 10 == 0 {
            blind += judge.unverified(diagnosed);
        }
        if !wrong.is_empty() {
            found.insert(seed, wrong);
        }
    }
    println!(
        "{GENERATED} answers: {standing} claims stand, {refused} do not; {incomplete} answers broke off; {blind} unverified"
    );
    assert!(standing > 200, "the generator says too little that is so: {standing}");
    assert!(incomplete > 50 && incomplete < GENERATED / 4, "{incomplete} broke off");
    assert!(blind > 500, "the oracle itself finds too little: {blind}");
    let some: Vec<_> = found.iter().take(20).collect();
    assert!(found.is_empty(), "{} answers, of them {some:#?}", found.len());
}

#[tokio::test]
async fn nothing_of_random_weights_looks_supported() {
    let count = std::env::var("STANCH_TEST_RANDOM_DIAGNOSES")
        .map_or(DIAGNOSES, |count| count.parse().expect("STANCH_TEST_RANDOM_DIAGNOSES is a number"));
    let server = short_llama(16_384).await;
    let client = client_of(&server, Protocol::OpenaiChat, ANSWER_TOKENS);
    let analysis = answers::analysis();
    let (next, began) = (AtomicU64::new(1), Instant::now());
    let worker = || async {
        let mut made = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > count {
                break made;
            }
            let mut notes = Notes::default();
            let cancel = CancellationToken::new();
            let diagnosed = diagnose(&client, &analysis, seed, &mut notes, |_| {}, &cancel).await.expect("an answer");
            made.push((seed, diagnosed, notes));
        }
    };
    let made: Vec<_> =
        futures_util::future::join_all((0..SLOTS).map(|_| worker())).await.into_iter().flatten().collect();
    assert_eq!(made.len() as u64, count);
    let mut judge = Judge::new(analysis.clone());
    judge.pack = pack(&analysis, 1_000);
    judge.oracle = Oracle::new(&analysis, &judge.pack);
    let (mut found, mut standing, mut complete, mut known) = (BTreeMap::new(), 0, 0, 0);
    for (seed, diagnosed, notes) in &made {
        let (mut wrong, claims) = judge.wrong(diagnosed);
        standing += claims;
        if diagnosed.complete {
            complete += 1;
            let last = notes.outcomes.iter().rfind(|outcome| outcome.finish == Some(FinishReason::Stop));
            let text = &last.expect("a complete diagnosis comes of a complete answer").text;
            let answer = serde_json::from_str(text).expect("the server enforces the shape");
            known += cited(&answer).iter().filter(|id| judge.oracle.holds(id)).count();
            wrong.extend(kept_quiet(&answer, diagnosed, &judge.oracle));
        }
        if !wrong.is_empty() {
            found.insert(*seed, wrong);
        }
    }
    println!(
        "{count} diagnoses in {:?}: {complete} complete, {standing} claims stand, {known} known ids",
        began.elapsed()
    );
    assert!(complete > 0, "no answer came to its end");
    assert!(found.is_empty(), "{found:#?}");
}

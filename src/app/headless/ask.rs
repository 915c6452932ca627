//! `ask`: a free question, answered by a model with read-only tools.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::asking;
use crate::app::engine::Engine;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::copilot::questions::Limits;
use crate::domain::evidence::{Detail, Evidence, EvidenceId};
use crate::domain::question::{Asking, Reply, Step, StepOutcome};
use crate::domain::snapshot::Provenance;
use crate::domain::text::neutralise;

use super::consent;
use super::incidents::investigated;
use super::interrupt::interrupted;
use super::views::{self, DiagnoseView, ids};

/// How long leaving waits for a run to be ended and its outcome to be written.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// Answer of `ask`: as of `diagnose`, with the answer, the steps and what they brought.
#[derive(Debug, Serialize)]
struct AskView<'a> {
    question: &'a str,
    answer: &'a str,
    steps: &'a [Step],
    evidence: Vec<EvidenceView<'a>>,
    #[serde(flatten)]
    diagnosed: DiagnoseView<'a>,
    hidden: &'a std::collections::BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
struct EvidenceView<'a> {
    id: EvidenceId,
    kind: &'static str,
    title: &'a str,
    text: &'a str,
    provenance: &'a Provenance,
}

impl<'a> From<&'a Evidence> for EvidenceView<'a> {
    fn from(item: &'a Evidence) -> Self {
        let text = match &item.detail {
            Detail::Query { text } | Detail::Runbook { text } => text.as_str(),
            _ => "",
        };
        Self { id: item.id, kind: item.id.kind.word(), title: &item.title, text, provenance: &item.provenance }
    }
}

/// What is asked, of whom, and how far it may go.
pub(super) struct Question<'a> {
    pub(super) text: &'a str,
    pub(super) incident: Option<&'a str>,
    pub(super) endpoint: Option<&'a str>,
    pub(super) most_steps: Option<usize>,
    /// Whether it is sent without asking first.
    pub(super) yes: bool,
}

pub(super) async fn ask(engine: &Engine, question: &Question<'_>, output: Output) -> Result<(), Failure> {
    asking::needs_a_model(engine, question.endpoint)?;
    let ask_first = consent::is_needed(engine, question.yes, output)?;
    let mut limits = Limits::default();
    if let Some(steps) = question.most_steps {
        limits.steps = steps;
    }
    let about = match question.incident {
        Some(id) => Some(Arc::new(investigated(engine, Some(id), output).await?)),
        None => None,
    };
    let mut thread = asking::thread(engine, about.as_ref()).await;
    let mut looked_at = None;
    if ask_first {
        let preview = asking::preview(engine, &thread, question.text, (question.endpoint, limits)).await?;
        consent::agreed(&preview).await?;
        looked_at = preview.at.map(|at| (preview.digest, at));
    }
    let looked_at = looked_at.as_ref().map(|(digest, at)| (digest.as_str(), *at));
    let mut shown = Shown::default();
    let progress = |asking: Asking| shown.follow(&asking);
    let cases = about.iter().cloned().collect();
    let cancel = CancellationToken::new();
    let asked = asking::Question { text: question.text, endpoint: question.endpoint, cases, limits, shown: looked_at };
    let incident = about.as_ref().map_or("", |about| about.analysis.incident.id.as_str());
    let work = asking::ask(engine, &mut thread, asked, progress, &cancel);
    let answered = tokio::select! {
        biased;
        answered = work => answered,
        () = interrupted() => Err(Failure::failed("the question was given up: somebody ended the program")),
    };
    // What a step began to run is ended, and how that went is written, before this ends.
    if tokio::time::timeout(RUN_GRACE, engine.runs_are_over()).await.is_err() {
        tracing::warn!("a run was not over when the program ended");
    }
    let reply = answered.map_err(|failure| views::failed(engine, ("ask", incident), failure, output))?;
    let diagnosed = &reply.diagnosed;
    let view = AskView {
        question: question.text,
        answer: &diagnosed.diagnosis.summary,
        steps: &reply.steps,
        evidence: reply.evidence.iter().map(EvidenceView::from).collect(),
        diagnosed: DiagnoseView::new(incident, diagnosed, Vec::new()),
        hidden: &reply.hidden,
    };
    output.answer(&view, || text(&reply))?;
    if diagnosed.complete { Ok(()) } else { Err(Failure::failed("there is no whole answer")) }
}

/// The steps as they are taken, on standard error.
#[derive(Default)]
struct Shown {
    begun: usize,
    ended: usize,
}

impl Shown {
    fn follow(&mut self, asking: &Asking) {
        for step in asking.steps.iter().skip(self.begun) {
            self.begun += 1;
            say(&format!("{} {} {}", step.number, step.tool, step.what));
            if !step.thought.is_empty() {
                say(&format!("  {}", step.thought));
            }
        }
        for step in asking.steps.iter().skip(self.ended) {
            if step.outcome == StepOutcome::UnderWay {
                break;
            }
            self.ended += 1;
            say(&format!("  {}", outcome(step)));
        }
    }
}

/// What came of a step, in words.
fn outcome(step: &Step) -> String {
    let id = step.evidence.map_or_else(String::new, |id| format!("{id} "));
    let words = match &step.outcome {
        StepOutcome::UnderWay => "under way".to_owned(),
        StepOutcome::Answered { items: 1 } => format!("{id}1 item"),
        StepOutcome::Answered { items } => format!("{id}{items} items"),
        StepOutcome::Failed { why } => format!("{id}failed: {}", why.one_line()),
        StepOutcome::Refused { why } => format!("refused: {}", why.one_line()),
        StepOutcome::Repeated => format!("{id}asked before"),
    };
    format!("{words} · {} ms", step.elapsed_ms)
}

/// Nobody is harmed when it cannot be written.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", neutralise(line));
}

fn text(reply: &Reply) -> String {
    let diagnosed = &reply.diagnosed;
    let mut out = String::new();
    let mark = |path: &str| views::mark(diagnosed, path);
    if diagnosed.complete {
        let _ = writeln!(out, "{}{}\n", diagnosed.diagnosis.summary, mark("summary"));
    }
    for (i, claim) in diagnosed.diagnosis.observations.iter().enumerate() {
        let _ = writeln!(out, "  · {}{}{}", claim.text, ids(claim), mark(&format!("observations[{i}]")));
    }
    if let Some(plain) = &diagnosed.plain {
        let _ = writeln!(out, "the model's words, not checked:\n{plain}");
    }
    for claim in &diagnosed.unsupported {
        let _ = writeln!(out, "unsupported: {} ({}: {})", claim.text, claim.path, claim.why);
    }
    for missing in &diagnosed.diagnosis.missing {
        let _ = writeln!(out, "missing: {missing}");
    }
    for remark in &diagnosed.remarks {
        let _ = writeln!(out, "note: {remark}");
    }
    let hidden: usize = reply.hidden.values().sum();
    if hidden > 0 {
        let _ = writeln!(out, "note: {hidden} secret values were hidden from the model");
    }
    let by = &diagnosed.analyst;
    let _ = writeln!(
        out,
        "\nby {} · {}@{} · {} steps · {} tokens sent · {:.1} s",
        by.name,
        diagnosed.prompt.name,
        diagnosed.prompt.version,
        reply.steps.len(),
        diagnosed.usage.input_tokens,
        diagnosed.timing.total_ms as f64 / 1_000.0,
    );
    for item in &reply.evidence {
        let _ = writeln!(out, "  [{}] {}", item.id, item.title.one_line());
    }
    out
}

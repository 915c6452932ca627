//! `diagnose`: observations, hypotheses and suggested actions, each with its evidence.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::checking::{self, Checked};
use crate::app::diagnosing::{self, Concluded, Wanted};
use crate::app::engine::Engine;
use crate::app::failure::Failure;
use crate::app::investigate::Investigated;
use crate::app::output::Output;
use crate::app::recheck;
use crate::copilot::partial;
use crate::copilot::recheck::cited;
use crate::core::figures::bill;
use crate::core::message::Draft;
use crate::core::screen::PASTE_MAX;
use crate::domain::Text;
use crate::domain::diagnosis::{Diagnosed, Diagnosis};
use crate::domain::evidence::Evidence;
use crate::domain::recheck::Recheck;

use super::consent;
use super::incidents::investigated;
use super::progress::Meter;
use super::views::{self, ActionView, DiagnoseView, ids};

/// Who shall write the diagnosis.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// The offline analyst.
    Offline,
    /// The named end point, or the first that answers; the offline analyst when none is configured.
    Endpoint(Option<&'a str>),
    /// A model elsewhere, whose answer stands in this file.
    Answer(&'a Path),
}

/// What is asked beside the diagnosis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Further {
    /// The queries of its checks.
    pub(super) checks: bool,
    /// The queries behind what it cites, once more.
    pub(super) recheck: bool,
    /// Whether it is sent without asking first.
    pub(super) yes: bool,
}

/// Answer of `pack --request`.
#[derive(Serialize)]
struct RequestView<'a> {
    request: &'a str,
    tokens: usize,
    digest: &'a str,
    /// The end point that would get it; none where none may.
    endpoint: Option<&'a str>,
    notes: &'a [Text],
}

/// Prints the whole request for a diagnosis.
pub(super) async fn request(engine: &Engine, incident: Option<&str>, output: Output) -> Result<(), Failure> {
    let investigated = investigated(engine, incident, output).await?;
    let preview = diagnosing::preview(engine, &investigated, &[], None).await?;
    let receiver = preview.endpoint.as_ref().map(|receiver| receiver.name.as_str());
    let view = RequestView {
        request: &preview.request,
        tokens: preview.tokens,
        digest: &preview.digest,
        endpoint: receiver,
        notes: &preview.notes,
    };
    let to = receiver.map(|name| format!("this would go to {name}"));
    for note in preview.notes.iter().map(|note| note.one_line().into_owned()).chain(to.filter(|_| !output.json)) {
        let _ = io::Write::write_fmt(&mut io::stderr().lock(), format_args!("stanch: {note}\n"));
    }
    output.answer(&view, || format!("{}\n", preview.request.trim_end()))
}

pub(super) async fn diagnose(
    engine: &Engine,
    incident: Option<&str>,
    by: By<'_>,
    further: Further,
    output: Output,
) -> Result<(), Failure> {
    // What is wrong with the usage is said before anything is asked.
    let by = match by {
        By::Endpoint(name) if engine.endpoints(name)?.is_empty() => {
            for half in &engine.config.llm.half_set {
                let _ = io::Write::write_fmt(
                    &mut io::stderr().lock(),
                    format_args!("stanch: {half}; until then the offline analyst answers\n"),
                );
            }
            By::Offline
        }
        by => by,
    };
    let ask_first = matches!(by, By::Endpoint(_)) && consent::is_needed(engine, further.yes, output)?;
    let answer = match by {
        By::Answer(path) => Some(read_answer(path)?),
        _ => None,
    };
    let investigated = investigated(engine, incident, output).await?;
    let id = &investigated.analysis.incident.id;
    let failed = |failure| views::failed(engine, ("diagnose", id), failure, output);
    let mut concluded =
        once(engine, &investigated, (by, ask_first), answer.as_deref(), &[], output).await.map_err(failed)?;
    let (mut checked, mut answers) = (Vec::new(), Vec::new());
    if further.checks {
        checked = checking::ask_all(engine, &investigated.analysis, &concluded.diagnosed.diagnosis).await;
        answers = checked.iter().filter_map(|one| one.evidence.clone()).collect();
        if matches!(by, By::Endpoint(_)) && !answers.is_empty() {
            concluded = once(engine, &investigated, (by, ask_first), None, &answers, output).await.map_err(failed)?;
        }
    }
    let rechecked = if further.recheck {
        let ids = cited(&concluded.diagnosed.diagnosis);
        Some(recheck::ask(engine, &investigated, &ids, &answers).await)
    } else {
        None
    };
    let Concluded { diagnosed, actions, .. } = &concluded;
    let views = actions.iter().map(|(action, judged)| ActionView::new(action, judged)).collect();
    let view = DiagnoseView::new(id, diagnosed, views).with_checks(&checked).with_recheck(rechecked.as_ref());
    output.answer(&view, || text(&concluded, &checked, rechecked.as_ref()))?;
    if diagnosed.complete {
        Ok(())
    } else {
        Err(Failure::failed("the diagnosis is not complete: its actions are disabled"))
    }
}

async fn once(
    engine: &Engine,
    investigated: &Investigated,
    (by, ask_first): (By<'_>, bool),
    answer: Option<&str>,
    answers: &[Evidence],
    output: Output,
) -> Result<Concluded, Failure> {
    match (by, answer) {
        (By::Endpoint(endpoint), _) => {
            let mut shown = None;
            if ask_first {
                let preview = diagnosing::preview(engine, investigated, answers, endpoint).await?;
                consent::agreed(&preview).await?;
                shown = Some(preview.digest);
            }
            let wanted = Wanted { endpoint, answers, shown: shown.as_deref() };
            let meter = Meter::new(output);
            let draft = |draft: Draft| meter.say(&stage(&draft));
            diagnosing::online(engine, investigated, wanted, &CancellationToken::new(), draft).await
        }
        (By::Answer(_), Some(text)) => {
            let preview = diagnosing::preview(engine, investigated, &[], None).await?;
            diagnosing::pasted(engine, investigated, answers, &preview.pack, text).await
        }
        (By::Offline | By::Answer(_), _) => Ok(diagnosing::offline(engine, investigated).await),
    }
}

/// How far the model is, in one line.
fn stage(draft: &Draft) -> String {
    let tokens = draft.received_tokens;
    let received = if tokens > 0 { format!(" · {tokens} tokens received") } else { String::new() };
    format!("{} · {}{received}", draft.by.one_line(), draft.stage.one_line())
}

/// The answer of a model elsewhere, bounded.
fn read_answer(path: &Path) -> Result<String, Failure> {
    let unread = |error: std::io::Error| Failure::failed(format!("the answer in {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let most = PASTE_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).map_err(unread)?;
    } else {
        std::fs::File::open(path).map_err(unread)?.take(most).read_to_end(&mut bytes).map_err(unread)?;
    }
    if bytes.len() > PASTE_MAX {
        return Err(Failure::failed(format!(
            "the answer in {} is longer than {PASTE_MAX} bytes: is it the answer?",
            path.display()
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What came of asking again.
fn told_again(out: &mut String, rechecked: &Recheck) {
    out.push_str("\nthe evidence, asked again:\n");
    for one in &rechecked.items {
        let mark = if one.is_refuted() { '!' } else { ' ' };
        let _ = writeln!(out, " {mark} {:<4} {}", one.id, one.line());
    }
    if rechecked.items.is_empty() {
        out.push_str("   nothing is cited\n");
    }
    if rechecked.left_out > 0 {
        let _ = writeln!(out, "   {} more cited items were not asked again", rechecked.left_out);
    }
}

/// What an answer that broke off had come to, in one line.
fn begun(partial: &Diagnosis) -> Option<String> {
    let first = partial.hypotheses.iter().map(|it| &it.cause).chain(partial.observations.iter().map(|it| &it.text));
    first.map(|text| text.one_line().into_owned()).find(|text| !text.trim().is_empty())
}

fn text(concluded: &Concluded, checked: &[Checked], rechecked: Option<&Recheck>) -> String {
    let Concluded { diagnosed, actions, .. } = concluded;
    let Diagnosed { diagnosis, analyst, prompt, .. } = diagnosed;
    let mut head = vec![format!("by {}", analyst.name), format!("{}@{}", prompt.name, prompt.version)];
    head.extend(analyst.endpoint.as_ref().map(|name| format!("via {name}")));
    head.extend(diagnosed.bill.iter().flat_map(bill));
    let mut out = format!("{}\n\n", head.join(" · "));
    if let Some(plain) = &diagnosed.plain {
        let _ = writeln!(out, "the model's words, not checked:\n{plain}\n");
    }
    let mark = |path: &str| views::mark(diagnosed, path);
    if !diagnosis.summary.is_empty() {
        let _ = writeln!(out, "{}{}\n", diagnosis.summary, mark("summary"));
    }
    for (i, claim) in diagnosis.observations.iter().enumerate() {
        let _ = writeln!(out, "  · {}{}{}", claim.text, ids(claim), mark(&format!("observations[{i}]")));
    }
    for (i, hypothesis) in diagnosis.hypotheses.iter().enumerate() {
        let path = |field: &str| format!("hypotheses[{i}].{field}");
        let (id, confidence, cause) = (&hypothesis.id, hypothesis.confidence.word(), &hypothesis.cause);
        let _ = writeln!(out, "\n{id} {confidence}  {cause}{}", mark(&path("cause")));
        let _ = writeln!(out, "     {}{}", hypothesis.mechanism, mark(&path("mechanism")));
        for (sign, field, claims) in
            [('+', "supporting", &hypothesis.supporting), ('-', "contradicting", &hypothesis.contradicting)]
        {
            for (j, claim) in claims.iter().enumerate() {
                let mark = mark(&path(&format!("{field}[{j}]")));
                let _ = writeln!(out, "   {sign} {}{}{mark}", claim.text, ids(claim));
            }
        }
        for check in &hypothesis.checks {
            let _ = writeln!(out, "   ? {}  (expected: {})", check.query, check.expect);
            for one in checked.iter().filter(|one| one.query == check.query.as_str()) {
                let id = one.evidence.as_ref().map_or_else(String::new, |item| format!("  [{}]", item.id));
                let _ = writeln!(out, "     = {}{id}", one.summary.one_line());
            }
        }
    }
    if let Some(rechecked) = rechecked {
        told_again(&mut out, rechecked);
    }
    if !actions.is_empty() {
        out.push_str("\nsuggested, nothing has been run:\n");
    }
    for (action, judged) in actions {
        let verdict = &judged.verdict;
        let _ = writeln!(out, "  {}  {}", action.id, judged.input.one_line());
        let _ = writeln!(
            out,
            "      {} · {} by {} · {}",
            judged.effect.word(),
            verdict.decision.word(),
            verdict.rule,
            action.rationale
        );
    }
    for claim in &diagnosed.unsupported {
        let _ = writeln!(out, "unsupported: {} ({}: {})", claim.text, claim.path, claim.why);
    }
    for missing in &diagnosis.missing {
        let _ = writeln!(out, "missing: {missing}");
    }
    for remark in &diagnosed.remarks {
        let _ = writeln!(out, "note: {remark}");
    }
    if !diagnosed.earlier.is_empty() {
        out.push_str("\nanswers that broke off before, not checked (all of each is in the ledger, and with --json):\n");
    }
    for one in &diagnosed.earlier {
        let _ = writeln!(out, "  {}: {}; {} characters came", one.endpoint, one.why, one.text.chars().count());
        if let Some(begun) = partial::read(&one.text).and_then(|partial| begun(&partial.diagnosis)) {
            let _ = writeln!(out, "      it began: {begun}");
        }
    }
    out
}

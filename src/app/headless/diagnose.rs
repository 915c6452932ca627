//! `diagnose`: observations, hypotheses and suggested actions, each with its evidence.

use std::fmt::Write as _;

use tokio_util::sync::CancellationToken;

use crate::app::diagnosing::{self, Concluded};
use crate::app::engine::Engine;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::diagnosis::{Claim, Diagnosed};

use super::incidents::investigated;
use super::views::{ActionView, DiagnoseView};

/// Who shall write the diagnosis.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// The offline analyst.
    Offline,
    /// The named end point, or the first one; the offline analyst when none is configured.
    Endpoint(Option<&'a str>),
}

pub(super) async fn diagnose(
    engine: &Engine,
    incident: Option<&str>,
    wanted: Wanted<'_>,
    output: Output,
) -> Result<(), Failure> {
    let endpoint = match wanted {
        Wanted::Offline => None,
        Wanted::Endpoint(name) => (!engine.endpoints(name)?.is_empty()).then_some(name),
    };
    let investigated = investigated(engine, incident, output).await?;
    let concluded = match endpoint {
        None => diagnosing::offline(engine, &investigated).await,
        Some(endpoint) => {
            let wanted = diagnosing::Wanted { endpoint, ..diagnosing::Wanted::default() };
            diagnosing::online(engine, &investigated, wanted, &CancellationToken::new(), |_| {}).await?
        }
    };
    let Concluded { diagnosed, actions, .. } = &concluded;
    let views = actions.iter().map(|(action, judged)| ActionView::new(action, judged)).collect();
    let view = DiagnoseView::new(&investigated.analysis.incident.id, diagnosed, views);
    output.answer(&view, || text(&concluded))?;
    if diagnosed.complete {
        Ok(())
    } else {
        Err(Failure::failed("the diagnosis is not complete: its actions are disabled"))
    }
}

fn ids(claim: &Claim) -> String {
    if claim.evidence.is_empty() { String::new() } else { format!("  [{}]", claim.evidence.join(" ")) }
}

fn text(concluded: &Concluded) -> String {
    let Concluded { diagnosed, actions, .. } = concluded;
    let Diagnosed { diagnosis, analyst, prompt, .. } = diagnosed;
    let mut out = format!("by {} · {}@{}\n\n{}\n\n", analyst.name, prompt.name, prompt.version, diagnosis.summary);
    for claim in &diagnosis.observations {
        let _ = writeln!(out, "  · {}{}", claim.text, ids(claim));
    }
    for hypothesis in &diagnosis.hypotheses {
        let _ = writeln!(out, "\n{} {}  {}", hypothesis.id, hypothesis.confidence.word(), hypothesis.cause);
        let _ = writeln!(out, "     {}", hypothesis.mechanism);
        for claim in &hypothesis.supporting {
            let _ = writeln!(out, "   + {}{}", claim.text, ids(claim));
        }
        for claim in &hypothesis.contradicting {
            let _ = writeln!(out, "   - {}{}", claim.text, ids(claim));
        }
        for check in &hypothesis.checks {
            let _ = writeln!(out, "   ? {}  (expected: {})", check.query, check.expect);
        }
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
    out
}

//! Carrying out what a model asks for. Whatever comes back, good or bad, is told.

use crate::copilot::answers::{self, Bounds};
use crate::domain::Text;
use crate::domain::alert::Alert;
use crate::domain::evidence::{Evidence, EvidenceId};
use crate::domain::labels::METRIC_NAME;
use crate::domain::query::{Answer, Data, Lang, Note, NoteKind, Planned, Purpose, Query};
use crate::domain::question::StepOutcome;
use crate::domain::{TimeRange, Timestamp};

use super::call::{Call, moment};
use super::thread::{Thread, text_of, told_as};
use super::{NotTold, Toolbox};

/// Rows of one result.
const ROWS: usize = 60;

/// What came of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// For the list of steps.
    pub(super) outcome: StepOutcome,
    /// What it brought.
    pub(super) evidence: Option<Evidence>,
    /// An item of the incident that is to be shown in full.
    pub(super) item: Option<EvidenceId>,
}

impl Found {
    fn refused(why: impl Into<Text>) -> Self {
        Self { outcome: StepOutcome::Refused { why: why.into() }, evidence: None, item: None }
    }
}

/// Carries out one call.
pub(super) async fn carry_out(call: &Call, toolbox: &dyn Toolbox, thread: &Thread, bytes: usize) -> Found {
    let number = thread.next_number();
    let now = toolbox.now();
    match call.query(now) {
        Some(Err(why)) => return Found::refused(why),
        Some(Ok(query)) => return ask(call, query, toolbox, number, bytes).await,
        None => {}
    }
    let told = match call {
        Call::Suspects { incident } => {
            let own = thread.analysis().map(|analysis| analysis.incident.id.as_str());
            toolbox.suspects(incident.as_deref().or(own)).await
        }
        Call::Incidents {} => toolbox.incidents().await,
        Call::Kubectl { argv } => toolbox.kubectl(argv).await,
        Call::Runbook { words } => toolbox.runbook(words).await,
        Call::Evidence { id } => return item(id, thread),
        _ => return Found::refused("this tool is not known"),
    };
    match told {
        Ok(told) => {
            let text = bounded(&told.text, bytes);
            let evidence = told_as(number, &told, &call.what(), text);
            Found { outcome: StepOutcome::Answered { items: told.items }, evidence: Some(evidence), item: None }
        }
        Err(NotTold::Failed(why)) => Found { outcome: StepOutcome::Failed { why }, evidence: None, item: None },
        Err(NotTold::Refused(why)) => Found::refused(why),
    }
}

/// Text within its bound: whole lines from the beginning, and how many more there are.
fn bounded(text: &Text, bytes: usize) -> Text {
    if text.len() <= bytes {
        return text.clone();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(60));
    let end = text[..end].rfind('\n').unwrap_or(end);
    let rest = text[end..].lines().filter(|line| !line.is_empty()).count();
    Text::from(format!("{}\n… {rest} more lines are not shown", &text[..end]))
}

/// An item of the incident, or what an earlier step brought.
fn item(written: &str, thread: &Thread) -> Found {
    let known = written.parse::<EvidenceId>().ok().filter(|id| {
        let of_incident = thread.analysis().is_some_and(|analysis| analysis.evidence(*id).is_some());
        of_incident || thread.evidence().iter().any(|item| item.id == *id)
    });
    match known {
        Some(id) => Found { outcome: StepOutcome::Answered { items: 1 }, evidence: None, item: Some(id) },
        None => Found::refused(format!("there is no item {}", Text::new(written).truncated(40).one_line())),
    }
}

async fn ask(call: &Call, query: Query, toolbox: &dyn Toolbox, number: u32, bytes: usize) -> Found {
    let planned = Planned { query, purpose: Purpose::Question };
    let (mut asked, mut answer) = toolbox.query(&planned).await;
    if let Some(answer) = &mut answer {
        filter(call, answer, toolbox.now());
    }
    // Metadata is not everywhere, and may not know the metric: names are.
    if let (Call::Metrics { matching }, None) = (call, answer.as_ref().filter(|answer| !answer.is_empty())) {
        let range = TimeRange::new(toolbox.now().minus(std::time::Duration::from_hours(1)), toolbox.now());
        let query = Query::LabelValues { lang: Lang::PromQl, label: METRIC_NAME.into(), matchers: Vec::new(), range };
        let named = toolbox.query(&Planned { query, purpose: Purpose::Question }).await;
        if named.1.is_some() {
            (asked, answer) = named;
            if let Some(Answer { data: Data::Names(names), .. }) = &mut answer {
                names.retain(|name| speaks_of(name, matching.as_deref()));
            }
        }
    }
    let outcome = match (&answer, &asked.outcome) {
        (Some(answer), _) => StepOutcome::Answered { items: answer.len() },
        (None, Err(why)) => StepOutcome::Failed { why: why.clone() },
        (None, Ok(_)) => StepOutcome::Failed { why: Text::from("no answer") },
    };
    let bounds = Bounds { rows: ROWS, bytes };
    let mut evidence = answers::evidence(number, &asked, answer.as_ref(), bounds);
    if let Some(suffix) = narrowed(call) {
        evidence.title = Text::from(format!("{}{suffix}", evidence.title));
    }
    if let Call::Alerts { at: Some(at), .. } = call {
        fired_then(at, toolbox, &mut evidence, bounds).await;
    }
    Found { outcome, evidence: Some(evidence), item: None }
}

/// What was left out by our own filter, for the title.
fn narrowed(call: &Call) -> Option<String> {
    match call {
        Call::Alerts { matching, at } => {
            let matching = matching.as_ref().map(|words| format!(" matching {words}"));
            let at = at.as_ref().map(|at| format!(" that fired at {at}"));
            (matching.is_some() || at.is_some())
                .then(|| format!("{}{}", matching.unwrap_or_default(), at.unwrap_or_default()))
        }
        Call::Rules { matching: Some(words) } | Call::Metrics { matching: Some(words) } => {
            Some(format!(" matching {words}"))
        }
        Call::Changes { service: Some(service), .. } => Some(format!(" of {service}")),
        _ => None,
    }
}

/// An Alertmanager forgets what is resolved; Prometheus remembers what fired.
async fn fired_then(at: &str, toolbox: &dyn Toolbox, evidence: &mut Evidence, bounds: Bounds) {
    let Ok(at) = moment(at, toolbox.now()) else { return };
    let query = Query::Instant { lang: Lang::PromQl, expr: "ALERTS{alertstate=\"firing\"}".into(), at };
    let (asked, answer) = toolbox.query(&Planned { query, purpose: Purpose::Question }).await;
    let Some(answer) = answer.filter(|answer| !answer.is_empty()) else { return };
    let then = answers::evidence(evidence.id.number, &asked, Some(&answer), bounds);
    let text = format!("{}\nas {} evaluated its rules at {}:\n{}", text_of(evidence), asked.source, at, text_of(&then));
    evidence.detail = crate::domain::evidence::Detail::Query { text: bounded(&Text::from(text), bounds.bytes) };
}

/// Keeps what was asked for of an answer that has no question of its own for it.
fn filter(call: &Call, answer: &mut Answer, now: Timestamp) {
    let before = answer.len();
    match (call, &mut answer.data) {
        (Call::Alerts { matching, at }, Data::Alerts(alerts)) => {
            let at = at.as_deref().and_then(|at| moment(at, now).ok());
            alerts.retain(|alert| at.is_none_or(|at| fired(alert, at)) && alert_speaks_of(alert, matching.as_deref()));
        }
        (Call::Rules { matching }, Data::Rules(rules)) => {
            rules.retain(|rule| speaks_of(&format!("{} {}", rule.name, rule.expression), matching.as_deref()));
        }
        (Call::Metrics { matching }, Data::Metadata(metrics)) => {
            metrics.retain(|name, meta| speaks_of(&format!("{name} {}", meta.help), matching.as_deref()));
        }
        (Call::Changes { service: Some(service), .. }, Data::Changes(changes)) => {
            changes.retain(|change| speaks_of(&change.service, Some(service)));
        }
        _ => return,
    }
    let left = before - answer.len();
    if left > 0 {
        let text = Text::from(format!("{left} others are left out as not asked for"));
        answer.notes.push(Note { kind: NoteKind::Info, text });
    }
}

fn fired(alert: &Alert, at: Timestamp) -> bool {
    alert.starts_at <= at && alert.ends_at.is_none_or(|end| at < end)
}

fn alert_speaks_of(alert: &Alert, words: Option<&str>) -> bool {
    words.is_none() || speaks_of(&format!("{} {} {}", alert.name(), alert.labels, alert.summary()), words)
}

/// Whether each of the words stands in the text, in any case.
fn speaks_of(text: &str, words: Option<&str>) -> bool {
    let text = text.to_lowercase();
    words.is_none_or(|words| words.to_lowercase().split_whitespace().all(|word| text.contains(word)))
}

//! Log entries, questions, the pack, and the sources as text.

use crate::core::explain::Said;
use crate::core::figures::{bill, count, figure};
use crate::core::message::Receiver;
use crate::core::model::Model;
use crate::core::pace;
use crate::domain::Labels;
use crate::domain::health::{EndpointHealth, Status};
use crate::domain::log::LogEntry;
use crate::domain::query::{Asked, Note, NoteKind};

use super::{Pieces, Role, Writer};

/// Labels, one a line.
pub(super) fn labels(out: &mut Writer, labels: &Labels) {
    for (name, value) in labels.iter() {
        out.push(Role::Plain, &format!("  {name} = {value}"));
    }
}

/// What was said beside an answer.
pub(super) fn notes(out: &mut Writer, notes: &[Note]) {
    for note in notes {
        let (role, word) = match note.kind {
            NoteKind::Info => (Role::Dim, "info"),
            NoteKind::Warning => (Role::Warning, "warning"),
            NoteKind::Cut => (Role::Warning, "cut"),
        };
        out.push(role, &format!("  {word}: {}", note.text));
    }
}

/// A log entry.
pub(super) fn log_entry(out: &mut Writer, entry: &LogEntry) {
    out.push(Role::Heading, &entry.at.to_rfc3339());
    out.push(Role::Plain, &entry.line);
    out.heading("Labels");
    labels(out, &entry.labels);
    if !entry.metadata.is_empty() {
        out.heading("Structured metadata");
        labels(out, &entry.metadata);
    }
}

/// A question as it was asked.
pub(super) fn question(out: &mut Writer, asked: &Asked) {
    out.push(Role::Heading, &asked.planned.query.expression());
    out.field("source", &asked.source);
    out.field("why", &why(asked));
    out.field("asked at", &asked.at.to_rfc3339());
    out.field("took", &format!("{} ms", asked.elapsed_ms));
    match &asked.outcome {
        Ok(items) => out.field("answer", &format!("{} items", count(*items as u64))),
        Err(error) => out.push(Role::Warning, &format!("  failed: {error}")),
    }
    notes(out, &asked.notes);
    if let Some(range) = asked.planned.query.range() {
        out.field("from", &range.start.to_rfc3339());
        out.field("to", &range.end.to_rfc3339());
    }
    out.heading("Exactly as asked");
    if let Ok(text) = serde_json::to_string_pretty(&asked.planned.query) {
        out.push(Role::Plain, &crate::domain::text::neutralise(&text));
    }
}

/// Why a question was asked, in words.
pub fn why(asked: &Asked) -> String {
    use crate::domain::query::Purpose;
    match &asked.planned.purpose {
        Purpose::AlertExpression { alert } => format!("alert {alert}"),
        Purpose::Golden { metric, .. } => format!("signal {metric}"),
        Purpose::Edge { metric } => format!("edges {metric}"),
        Purpose::Logs => "logs".into(),
        Purpose::Restart { metric } => format!("restarts {metric}"),
        Purpose::Changes => "changes".into(),
        Purpose::Discovery => "discovery".into(),
        Purpose::Question => "question".into(),
        Purpose::Verification => "verification".into(),
    }
}

/// What something means.
pub(super) fn explanation(out: &mut Writer, said: &[Said]) {
    for line in said {
        match line {
            Said::Heading(text) => out.heading(text),
            Said::Line(depth, text) => {
                let indent = 2 + 2 * depth;
                let safe = crate::domain::text::neutralise(text);
                let pieces = Pieces::default().with(Role::Plain, &format!("{}{safe}", " ".repeat(indent)));
                out.pieces(&pieces, indent + 2);
            }
            Said::Exact(text) => {
                let safe = crate::domain::text::neutralise(text);
                out.pieces(&Pieces::default().with(Role::Accent, &safe.replace('\n', " ")), 2);
            }
        }
    }
}

/// The pack as it would be sent: to whom, at which cost, what was left out and masked, and the words around it.
pub(super) fn pack(out: &mut Writer, model: &Model) {
    let Some(preview) = model.preview() else { return };
    match (&preview.value, &preview.error) {
        (Some(preview), _) => {
            let pack = &preview.pack;
            match &preview.endpoint {
                Some(receiver) => out.push(Role::Heading, &receiver_line(receiver)),
                None if preview.notes.is_empty() => out.push(
                    Role::Heading,
                    "no end point is configured: Y copies it for a model elsewhere, P takes its answer",
                ),
                None => out.push(
                    Role::Heading,
                    "nothing would be sent: Y copies it for a model elsewhere, P takes its answer",
                ),
            }
            for note in &preview.notes {
                out.push(Role::Warning, note);
            }
            let hidden: usize = pack.redactions.values().sum();
            let kinds: Vec<String> = pack.redactions.iter().map(|(kind, times)| format!("{kind} ×{times}")).collect();
            let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
            if model.looked_at().is_some() {
                out.push(Role::Dim, "the steps after it send what the tools find, masked alike; each is shown");
            }
            out.push(
                Role::Dim,
                &format!(
                    "evidence {} of {} tokens · {} {} · {hidden} values hidden{kinds}",
                    count(pack.tokens as u64),
                    count(pack.budget as u64),
                    pack.evidence.len(),
                    if pack.evidence.len() == 1 { "item" } else { "items" },
                ),
            );
            for omission in &pack.omitted {
                out.push(
                    Role::Warning,
                    &format!("left out: {} × {}: {}", omission.count, omission.kind.word(), omission.why),
                );
            }
            if !pack.text.is_empty() {
                out.blank();
                out.push(Role::Plain, &crate::domain::text::neutralise(&pack.text));
            }
            for (title, words) in &preview.around {
                out.heading(title);
                out.push(Role::Plain, &crate::domain::text::neutralise(words));
            }
        }
        (None, Some(why)) => out.push(Role::Warning, &format!("no pack: {why}")),
        (None, None) => out.push(Role::Dim, "rendering the pack …"),
    }
}

/// Who would get it, what they may see, how much it is and what it costs.
fn receiver_line(receiver: &Receiver) -> String {
    let about = if receiver.learnt { "" } else { "~" };
    let mut text = format!(
        "to {} ({}) at {} · may see {} · {about}{} tokens, {} kB",
        receiver.name,
        receiver.model,
        receiver.host,
        receiver.sees.word(),
        count(receiver.tokens),
        receiver.bytes.div_ceil(1_000),
    );
    for words in bill(&receiver.bill) {
        text = format!("{text} · {words}");
    }
    format!("{text} · d sends exactly this")
}

/// Requests under way that are listed of one end point.
const UNDER_WAY: usize = 5;

/// The state of an end point, with what to do about it.
fn endpoint_state(out: &mut Writer, endpoint: &EndpointHealth) {
    let mut text =
        format!("{} ({})  {}  may see {}", endpoint.name, endpoint.model, endpoint.words, endpoint.sees.word());
    if let Some(first) = endpoint.first_token_ms {
        text = format!("{text}  {} to first", figure(first as f64 / 1e3, "s"));
    }
    if let Some(rate) = endpoint.tokens_per_second {
        text = format!("{text}  {} tok/s", figure(rate.round(), ""));
    }
    if let Some(waiting) = endpoint.requests_waiting {
        text = format!("{text}  {waiting} requests wait there");
    }
    out.push(Role::Plain, &text);
    let ends = [(endpoint.answered, "answered"), (endpoint.failed, "failed"), (endpoint.cancelled, "cancelled")];
    let ends: Vec<String> =
        ends.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}")).collect();
    // Where all were cancelled, the state says so.
    if endpoint.answered + endpoint.failed > 0 {
        out.push(Role::Dim, &format!("requests: {}", ends.join(", ")));
    }
    for one in endpoint.under_way.iter().take(UNDER_WAY) {
        out.push(Role::Plain, &format!("asking…  {} since {} s", one.stage, one.seconds));
    }
    if let Some(more) = endpoint.under_way.len().checked_sub(UNDER_WAY).filter(|more| *more > 0) {
        out.push(Role::Dim, &format!("and {more} more requests under way"));
    }
    if let Some(why) = &endpoint.held_back {
        out.push(Role::Warning, why);
    }
    if let Some(note) = &endpoint.note {
        out.push(Role::Warning, note);
    }
    if matches!(endpoint.status, Status::Degraded | Status::Down) {
        out.push(Role::Warning, &format!("it is the {}: {}", endpoint.blame, endpoint.what));
        if !endpoint.advice.is_empty() {
            out.push(Role::Warning, &endpoint.advice);
        }
    }
    if let Some(resting) = &endpoint.resting {
        out.push(Role::Warning, resting);
    }
}

/// The state of the sources.
pub(super) fn sources(out: &mut Writer, model: &Model) {
    out.push(Role::Heading, "Sources");
    for source in &model.sources {
        out.blank();
        let age = source
            .last_ok
            .map_or_else(|| "never answered".to_owned(), |at| format!("data {}", pace::age(at, model.now)));
        let version = source.version.as_deref().unwrap_or_default();
        out.push(Role::Plain, &format!("{}  {}  {age}  {version}", source.name, source.status.word()));
        if let Some(error) = &source.error {
            out.push(Role::Warning, error);
        }
    }
    if model.sources.is_empty() {
        out.push(Role::Dim, "no source was asked yet");
    }
    if model.identity.models.is_empty() {
        out.heading("Language models");
        out.push(Role::Dim, "none is configured: everything but free questions works without");
        return;
    }
    out.heading("Language models, in this order");
    if model.endpoints.is_empty() {
        for name in &model.identity.models {
            out.push(Role::Plain, name);
        }
    }
    for endpoint in &model.endpoints {
        out.blank();
        endpoint_state(out, endpoint);
    }
}

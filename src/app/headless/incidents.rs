//! `alerts`, `incidents`, `suspects`, `pack`.

use tokio_util::sync::CancellationToken;

use crate::app::engine::{Engine, Situation};
use crate::app::failure::Failure;
use crate::app::investigate::Investigated;
use crate::app::output::Output;
use crate::domain::alert::Severity;
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::evidence::Detail;
use crate::domain::health::SourceHealth;
use crate::domain::query::Note;
use crate::domain::time::human_duration;

use super::progress::Meter;
use super::views::{AlertsView, IncidentView, IncidentsView, SourceView, SuspectsView};

/// Severity as a glyph and a word: never by colour alone.
const fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "▲ CRITICAL",
        Severity::Warning => "△ WARNING ",
        Severity::Info => "· INFO    ",
        Severity::Unknown => "? UNKNOWN ",
    }
}

pub(super) async fn alerts(engine: &Engine, output: Output) -> Result<(), Failure> {
    let situation = engine.situation().await?;
    let view = AlertsView { alerts: &situation.alerts, folded: incidents_view(engine, &situation) };
    output.answer(&view, || {
        let mut text = String::new();
        for alert in &situation.alerts {
            let age = human_duration((engine.clock)().since(alert.starts_at));
            text += &format!("{}  {age:>6}  {}  {}\n", mark(alert.severity()), alert.name(), alert.summary());
        }
        text + &summary(&situation) + &sources_text(&situation.sources)
    })
}

pub(super) async fn incidents(engine: &Engine, output: Output) -> Result<(), Failure> {
    let situation = engine.situation().await?;
    output.answer(&incidents_view(engine, &situation), || {
        let mut text = String::new();
        for incident in &situation.incidents {
            let state = if incident.is_resolved() { "○ RESOLVED" } else { mark(incident.severity) };
            let age = human_duration((engine.clock)().since(incident.started_at));
            let (title, alerts) = (incident.title.one_line(), incident.alerts.len());
            text += &format!("{state}  {}  {age:>6}  {alerts:>5} alerts  {title}", incident.id);
            if !incident.services.is_empty() {
                text += &format!("  [{}]", incident.services.join(", "));
            }
            text.push('\n');
        }
        text + &summary(&situation) + &sources_text(&situation.sources)
    })
}

fn incidents_view(engine: &Engine, situation: &Situation) -> IncidentsView {
    IncidentsView {
        incidents: situation.incidents.iter().map(IncidentView::from).collect(),
        sources: SourceView::all(&situation.sources, (engine.wall_clock)()),
        notes: situation.notes.clone(),
    }
}

fn summary(situation: &Situation) -> String {
    let open = situation.incidents.iter().filter(|incident| !incident.is_resolved()).count();
    let folded = situation.alerts.len();
    let mut text = format!("{open} open of {} incidents, {folded} alerts folded\n", situation.incidents.len());
    for note in &situation.notes {
        text += &format!("note: {}\n", note.text);
    }
    text
}

fn sources_text(sources: &[SourceHealth]) -> String {
    let line = |source: &SourceHealth| match &source.error {
        Some(error) => format!("source {}: {}: {error}\n", source.name, source.status.word()),
        None => format!("source {}: {}\n", source.name, source.status.word()),
    };
    sources.iter().map(line).collect()
}

/// Gathers and analyses the incident that was named, saying on standard error how far it is.
pub(super) async fn investigated(
    engine: &Engine,
    incident: Option<&str>,
    output: Output,
) -> Result<Investigated, Failure> {
    let incident = engine.incident(incident).await?;
    let meter = Meter::new(output);
    engine
        .investigate(incident, None, &CancellationToken::new(), |progress| meter.show(&progress))
        .await?
        .ok_or_else(|| Failure::failed("the analysis was interrupted"))
}

pub(super) async fn suspects(engine: &Engine, incident: Option<&str>, output: Output) -> Result<(), Failure> {
    let investigated = investigated(engine, incident, output).await?;
    let analysis = &investigated.analysis;
    output.answer(&SuspectsView::from(analysis), || suspects_text(analysis))
}

/// Changes shown with why they are not blamed.
const RULED_OUT: usize = 6;

fn suspects_text(analysis: &Analysis) -> String {
    let mut text = format!("{}  {}\n", analysis.incident.id, analysis.incident.title.one_line());
    if analysis.verdict == Finding::NothingFound {
        text += "nothing found: no metric, log, edge or change deviates beyond chance\n";
    }
    for suspect in &analysis.suspects {
        text += &format!("{:>2}  {:<32} {:.2}\n", suspect.rank, suspect.service, suspect.score);
        for signal in &suspect.signals {
            let ids: Vec<String> = signal.evidence.iter().map(ToString::to_string).collect();
            text += &format!("      {} [{}]\n", signal.text.replace('\n', " "), ids.join(" "));
        }
        if !suspect.normal.is_empty() {
            text += &format!("      normal: {}\n", suspect.normal.join(", "));
        }
    }
    if analysis.changes.is_empty() {
        text += analysis.without_change.as_deref().unwrap_or("no change explains this");
        text.push('\n');
    }
    let change_line = |id, why: &str| {
        let item = analysis.evidence(id)?;
        matches!(item.detail, Detail::Change(_)).then(|| format!("{} [{id}]: {why}\n", item.title.one_line()))
    };
    for ranked in &analysis.changes {
        if let Some(line) = change_line(ranked.evidence, &ranked.why) {
            text += &format!("change {} {:.2} {line}", ranked.rank, ranked.score);
        }
    }
    for ruled_out in analysis.ruled_out.iter().take(RULED_OUT) {
        if let Some(line) = change_line(ruled_out.evidence, &ruled_out.why) {
            text += &format!("  not {line}");
        }
    }
    let told = |note: &Note| analysis.without_change.as_deref() == Some(note.text.as_str());
    for note in analysis.notes.iter().filter(|note| !told(note)) {
        text += &format!("note: {}\n", note.text);
    }
    text
}

pub(super) async fn pack(
    engine: &Engine,
    incident: Option<&str>,
    budget: usize,
    output: Output,
) -> Result<(), Failure> {
    let investigated = investigated(engine, incident, output).await?;
    let pack = crate::context::pack(&investigated.analysis, budget);
    output.answer(&pack, || {
        let hidden: usize = pack.redactions.values().sum();
        let mut text = format!("{}\n", pack.text.trim_end());
        text += &format!(
            "--\n{} of {} tokens, {} items, {hidden} secrets hidden\n",
            pack.tokens,
            budget,
            pack.evidence.len()
        );
        for left in &pack.omitted {
            text += &format!("left out: {} x {} ({})\n", left.count, left.kind.word(), left.why);
        }
        text
    })
}

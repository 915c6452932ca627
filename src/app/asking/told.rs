//! What the engine itself knows, in words for a model.

use std::collections::BTreeSet;

use crate::app::engine::{Engine, Situation};
use crate::copilot::questions::Told;
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::evidence::Detail;
use crate::domain::query::{Lang, Query};
use crate::domain::snapshot::Runbook;
use crate::domain::time::human_duration;
use crate::domain::{Text, TimeRange, Timestamp};

/// Incidents told.
const INCIDENTS: usize = 40;
/// Runbooks told.
const RUNBOOKS: usize = 3;
/// Bytes of one runbook.
const RUNBOOK: usize = 4_000;

/// The incidents that alerts fold into now.
pub(super) async fn incidents(engine: &Engine) -> Result<Told, Text> {
    let now = (engine.clock)();
    let situation = engine.situation().await.map_err(|failure| Text::from(failure.to_string()))?;
    let incidents = situation.incidents.len();
    Ok(Told {
        title: Text::from(format!("incidents at {}", now.format("%Y-%m-%d %H:%M:%S"))),
        text: Text::from(situation_text(&situation, now)),
        items: incidents,
        source: "alerts".to_owned(),
        range: TimeRange::new(now, now),
    })
}

/// What is told when not even the incidents are known.
pub(super) fn nothing_known(engine: &Engine, why: &Text) -> Told {
    let now = (engine.clock)();
    Told {
        title: Text::from("incidents"),
        text: Text::from(format!("the incidents are not known: {why}")),
        items: 0,
        source: "alerts".to_owned(),
        range: TimeRange::new(now, now),
    }
}

fn situation_text(situation: &Situation, now: Timestamp) -> String {
    let open = situation.incidents.iter().filter(|incident| !incident.is_resolved()).count();
    let mut text =
        format!("{open} open of {} incidents, {} alerts folded\n", situation.incidents.len(), situation.alerts.len());
    for incident in situation.incidents.iter().take(INCIDENTS) {
        let until = incident.resolved_at.map_or_else(
            || format!("open for {}", human_duration(now.since(incident.started_at))),
            |at| format!("resolved at {}", at.format("%Y-%m-%d %H:%M:%S")),
        );
        let names: BTreeSet<&str> = incident.alerts.iter().map(crate::domain::alert::Alert::name).collect();
        let names: Vec<&str> = names.into_iter().take(6).collect();
        text += &format!(
            "{} {} since {}, {until}: {}; {} alerts ({}); services {}\n",
            incident.id,
            incident.severity.word(),
            incident.started_at.format("%Y-%m-%d %H:%M:%S"),
            incident.title.one_line(),
            incident.alerts.len(),
            names.join(", "),
            if incident.services.is_empty() { "not named".to_owned() } else { incident.services.join(", ") },
        );
    }
    if situation.incidents.len() > INCIDENTS {
        text += &format!("… {} more are not shown\n", situation.incidents.len() - INCIDENTS);
    }
    for note in &situation.notes {
        text += &format!("note: {}\n", note.text.one_line());
    }
    for source in &situation.sources {
        let error = source.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.one_line()));
        text += &format!("source {}: {}{error}\n", source.name, source.status.word());
    }
    text
}

/// Our own ranking. Ids of evidence are only told when they are those of the incident in question.
pub(super) fn suspects(analysis: &Analysis, own: bool) -> Told {
    let incident = &analysis.incident;
    let mut text = String::new();
    if analysis.verdict == Finding::NothingFound {
        text += "nothing deviates beyond chance\n";
    }
    for suspect in &analysis.suspects {
        text += &format!("{} {} score {:.2}\n", suspect.rank, suspect.service, suspect.score);
        for signal in &suspect.signals {
            let ids: Vec<String> = signal.evidence.iter().map(ToString::to_string).collect();
            let ids = if own && !ids.is_empty() { format!(" [{}]", ids.join(" ")) } else { String::new() };
            text += &format!("  {}{ids}\n", signal.text.replace('\n', "⏎"));
        }
        if !suspect.normal.is_empty() {
            text += &format!("  normal: {}\n", suspect.normal.join(", "));
        }
    }
    for ranked in &analysis.changes {
        if let Some(item) = analysis.evidence(ranked.evidence)
            && let Detail::Change(change) = &item.detail
        {
            text += &format!(
                "change {} score {:.2}: {} {} {} {}: {}; {}\n",
                ranked.rank,
                ranked.score,
                change.at.to_clock(),
                change.kind,
                change.service,
                change.reference.one_line(),
                change.summary.one_line(),
                ranked.why
            );
        }
    }
    if analysis.changes.is_empty() {
        text += analysis.without_change.as_deref().unwrap_or("no change explains it");
        text.push('\n');
    }
    Told {
        title: Text::from(format!("ranking of {}: {}", incident.id, incident.title.one_line())),
        text: Text::from(text),
        items: analysis.suspects.len(),
        source: "stanch".to_owned(),
        range: incident.window,
    }
}

/// The runbooks that speak most of the words.
pub(super) fn runbooks(all: &[Runbook], words: &str, range: TimeRange) -> Told {
    let words: BTreeSet<String> = words
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 2)
        .map(str::to_owned)
        .collect();
    // A word of the title says as much as several of the text.
    let score = |runbook: &Runbook| -> usize {
        let (title, text) = (runbook.title.to_lowercase(), runbook.text.to_lowercase());
        let of =
            |word: &String| usize::from(title.contains(word.as_str())) * 3 + usize::from(text.contains(word.as_str()));
        words.iter().map(of).sum()
    };
    let mut ranked: Vec<(usize, &Runbook)> =
        all.iter().map(|runbook| (score(runbook), runbook)).filter(|(score, _)| *score > 0).collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.title.cmp(&b.1.title)));
    let mut text = String::new();
    for (_, runbook) in ranked.iter().take(RUNBOOKS) {
        let end = runbook.text.floor_char_boundary(RUNBOOK);
        let more = if end < runbook.text.len() { "\n… (cut)" } else { "" };
        text += &format!("## {}\n{}{more}\n", runbook.title.one_line(), &runbook.text[..end]);
    }
    let more = ranked.len().saturating_sub(RUNBOOKS);
    if ranked.is_empty() {
        text = format!("none of {} runbooks speaks of this", all.len());
    } else if more > 0 {
        text += &format!("{more} more runbooks speak of it less\n");
    }
    Told {
        title: Text::from(format!("runbooks that speak of: {}", words.iter().cloned().collect::<Vec<_>>().join(" "))),
        items: ranked.len().min(RUNBOOKS),
        text: Text::from(text),
        source: "runbooks".to_owned(),
        range,
    }
}

/// What a model is told of the sources.
pub(super) fn sources(engine: &Engine) -> String {
    if let Some(bundle) = engine.bundle() {
        let window = bundle.window();
        return format!(
            "This is a recording of {} to {}; it stands still at its end, and no command can be run. PromQL and LogQL \
             answer a large part of their languages and say what they do not understand.",
            window.start.format("%Y-%m-%d %H:%M:%S"),
            window.end.format("%Y-%m-%d %H:%M:%S"),
        );
    }
    let now = (engine.clock)();
    let instant = |lang| Query::Instant { lang, expr: String::new(), at: now };
    let range = TimeRange::new(now, now);
    let mut parts = Vec::new();
    for (what, query) in [
        ("promql", instant(Lang::PromQl)),
        ("logql", instant(Lang::LogQl)),
        ("alerts", Query::Alerts),
        ("rules", Query::Rules),
        ("changes", Query::Changes { range }),
    ] {
        let there = if engine.sources.answers(&query) { "is there" } else { "is not configured" };
        parts.push(format!("{what} {there}"));
    }
    let there = |configured: bool| if configured { "is there" } else { "is not configured" };
    parts.push(format!("kubectl {}", there(engine.profile.kubernetes.is_some())));
    parts.push(format!("runbook {}", there(engine.profile.runbooks.is_some())));
    format!("Live sources: {}.", parts.join(", "))
}

//! What copying gives: the text of what is selected, enough to ask again elsewhere.

use std::fmt::Write as _;

use crate::context::Redactor;
use crate::domain::evidence::{Detail as Content, Evidence};
use crate::domain::{Outgoing, Text};

use super::diagnosis_rows;
use super::model::{Case, Model};
use super::reading;
use super::rows;
use super::screen::{Detail, IncidentScreen, Pane, Screen, Subject};

/// What is selected on the topmost screen, as it may leave by the clipboard: its secrets masked.
pub fn for_clipboard(model: &Model) -> Option<Outgoing> {
    selected(model).map(|text| Redactor::new().outgoing(&text))
}

/// The whole request for a diagnosis, to be carried to a model elsewhere.
pub fn request(model: &Model) -> Option<Outgoing> {
    Some(model.preview()?.value.as_ref()?.request.clone())
}

/// The text of what is selected on the topmost screen; `None` when nothing is. Stays on this host.
fn selected(model: &Model) -> Option<Text> {
    let text = match model.top() {
        Screen::Board(list) => {
            let case = *rows::board(model, list).get(list.cursor)?;
            incident(case)
        }
        Screen::Incident(screen) => pane(model.cases.get(&screen.incident)?, screen)?,
        Screen::Chat(screen) => {
            let row = super::chat::rows::rows(model, &screen.chat).into_iter().nth(screen.cursor)?;
            row.text.to_string()
        }
        Screen::Detail(Detail { subject: Subject::Evidence { ids, at }, .. }) => {
            let Screen::Detail(detail) = model.top() else { return None };
            again(super::chat::item(model, detail, *ids.get(*at)?)?)
        }
        Screen::Detail(detail) => {
            let case = model.cases.get(&detail.incident)?;
            let found = case.investigation.value.as_ref();
            match &detail.subject {
                Subject::Evidence { .. } => return None,
                Subject::Log(index) => found?.logs.get(*index)?.line.to_string(),
                Subject::Asked(index) => found?.asked.get(*index)?.planned.query.expression(),
                Subject::Explain(_) => return whole(model),
                Subject::Earlier(at) => super::reading::earlier(case, *at)?.text.to_string(),
                Subject::Entry(seq) => {
                    let entry = case.timeline.value.iter().flatten().find(|entry| entry.seq == *seq)?;
                    serde_json::to_string_pretty(entry).ok()?
                }
            }
        }
        Screen::Pack(_) if model.looked_at().is_some() => request(model)?.to_string(),
        Screen::Pack(_) => model.current()?.pack.value.as_ref()?.pack.text.clone(),
        Screen::Sources(_) => model.sources.iter().fold(String::new(), |mut text, source| {
            let error = source.error.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{}\t{}\t{error}", source.name, source.status.word());
            text
        }),
        Screen::Queue(_)
        | Screen::Sign(_)
        | Screen::Paste(_)
        | Screen::FirstRun(_)
        | Screen::Run(_)
        | Screen::Help(_)
        | Screen::Palette(_) => return None,
    };
    Some(Text::new(&text))
}

/// All of what is shown on the topmost screen; `None` when there is nothing.
pub fn whole(model: &Model) -> Option<Text> {
    if !matches!(model.top(), Screen::Detail(_)) {
        return selected(model);
    }
    let lines: Vec<String> = reading::lines(model)?.into_iter().map(|line| line.text.trim_end().to_owned()).collect();
    Some(Text::new(&lines.join("\n")))
}

/// What is needed to ask for an item again, or to apply it elsewhere: its query, its diff, else how it is cited.
fn again(item: &Evidence) -> String {
    match &item.detail {
        Content::Change(change) => change.diff.as_ref().map_or_else(|| evidence(item), ToString::to_string),
        _ if item.provenance.lang.is_some() => item.provenance.expr.clone(),
        _ => evidence(item),
    }
}

fn incident(case: &Case) -> String {
    let incident = &case.incident;
    let mut text = format!(
        "{} {} {} (since {})",
        incident.id,
        incident.severity.word().to_uppercase(),
        incident.title,
        incident.started_at
    );
    for suspect in case.investigation.value.iter().flat_map(|found| &found.analysis.suspects).take(3) {
        let _ = write!(text, "\n{}. {} {:.2}", suspect.rank, suspect.service, suspect.score);
        for signal in suspect.signals.iter().take(3) {
            let _ = write!(text, "\n   {}", signal.text);
        }
    }
    text
}

fn evidence(item: &Evidence) -> String {
    format!(
        "[{}] {}\n{}: {}\n{}",
        item.id, item.title, item.provenance.source, item.provenance.expr, item.provenance.range
    )
}

fn pane(case: &Case, screen: &IncidentScreen) -> Option<String> {
    let list = screen.list();
    let at = list.cursor;
    match screen.pane {
        Pane::Suspects => {
            let suspect = *rows::suspects(case, list).get(at)?;
            let mut text = format!("{} {:.2}", suspect.service, suspect.score);
            for signal in &suspect.signals {
                let ids: Vec<String> = signal.evidence.iter().map(ToString::to_string).collect();
                let _ = write!(text, "\n[{}] {}", ids.join(" "), signal.text);
            }
            Some(text)
        }
        Pane::Evidence if screen.marked.is_empty() => rows::evidence(case, list).get(at).map(|item| evidence(item)),
        Pane::Evidence => {
            let found = case.investigation.value.as_ref()?;
            let items: Vec<String> =
                screen.marked.iter().filter_map(|id| found.analysis.evidence(*id)).map(evidence).collect();
            Some(items.join("\n\n"))
        }
        Pane::Diagnosis => {
            let rows = diagnosis_rows::rows(case, list);
            let row = rows.get(at)?;
            Some(match &row.kind {
                diagnosis_rows::Kind::Check(check) => check.query.to_string(),
                _ => row.text.to_string(),
            })
        }
        Pane::Actions => rows::actions(case, list).get(at).map(|found| command_line(&found.action.argv)),
        Pane::Timeline => rows::timeline(case, list).get(at).map(|moment| format!("{} {}", moment.at, moment.text)),
        Pane::Logs => rows::logs(case, list).get(at).map(|(_, entry)| format!("{} {}", entry.at, entry.line)),
        Pane::Asked => rows::asked(case, list).get(at).map(|(_, asked)| asked.planned.query.expression()),
    }
}

/// Arguments as one line that a POSIX shell reads back as the same arguments.
pub fn command_line(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let words: Vec<String> = argv
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_split_them() {
        let argv = ["kubectl", "-n", "shop", "annotate", "a b", "it's", "", "$(x)"].map(String::from);
        assert_eq!(command_line(&argv), r"kubectl -n shop annotate 'a b' 'it'\''s' '' '$(x)'");
    }

    /// Looks for a secret in everything that the clipboard is given on a screen.
    #[test]
    fn no_secret_leaves_by_the_clipboard() {
        const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";
        let told = Text::new(&format!("aws_access_key_id={SECRET} was refused"));
        let mut made = crate::core::sample::loaded();
        let case = made.cases.get_mut("I-3f9a2c").unwrap();
        case.incident.title = told.clone();
        let found = case.investigation.value.as_mut().unwrap();
        for entry in &mut found.logs {
            entry.line = told.clone();
        }
        for item in &mut found.analysis.evidence {
            item.title = told.clone();
            item.provenance.expr = told.to_string();
        }
        for suspect in &mut found.analysis.suspects {
            suspect.signals.iter_mut().for_each(|signal| signal.text = told.to_string());
        }
        for asked in &mut found.asked {
            asked.planned.query = crate::domain::query::Query::Instant {
                lang: crate::domain::query::Lang::PromQl,
                expr: told.to_string(),
                at: crate::domain::Timestamp::default(),
            };
        }
        let conclusion = case.conclusion.value.as_mut().unwrap();
        conclusion.diagnosed.diagnosis.summary = told.clone();
        conclusion.diagnosed.diagnosis.observations[0].text = told.clone();
        for suggestion in &mut conclusion.actions {
            suggestion.action.argv.push(told.to_string());
        }
        let mut masked = 0;
        for keys in ["", "⏎", "⏎2", "⏎2 ", "⏎3", "⏎3G", "⏎4", "⏎5", "⏎6", "⏎7", "⏎⏎", "⏎2⏎", "⏎6⏎", "⏎7⏎", "⏎2x"]
        {
            let mut model = made.clone();
            crate::core::sample::press(&mut model, keys);
            let Some(copied) = for_clipboard(&model) else { continue };
            assert!(!copied.contains(SECRET), "after {keys:?}: {}", &*copied);
            masked += usize::from(copied.hidden().values().sum::<usize>() > 0);
        }
        assert!(masked >= 8, "the secret was on {masked} screens");
    }
}

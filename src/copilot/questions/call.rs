//! The tools as a model calls them. All of them only read.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::when;
use crate::domain::query::{Direction, Lang, Query};
use crate::domain::text::neutralise;
use crate::domain::{Text, TimeRange, Timestamp};
use crate::gate::lexer;
use crate::llm::schema::Schema;

/// Samples of one series that a range is evaluated at, about.
const POINTS: u64 = 120;
/// Most instants of a range, whatever step is wanted.
const MOST_POINTS: u64 = 2_000;
/// Shortest step that is chosen unasked, in seconds.
const LEAST_STEP: u64 = 15;
/// How far back log entries are asked for when no time is given.
const LOGS: Duration = Duration::from_mins(15);
/// The same for changes.
const CHANGES: Duration = Duration::from_hours(24);
/// Log entries when no number is given, and at most.
const ENTRIES: [u32; 2] = [1_000, 5_000];
/// Characters of one argument.
const ARGUMENT: usize = 4_000;
/// Words of a command.
const WORDS: usize = 64;

/// A tool with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "lowercase", deny_unknown_fields)]
pub enum Call {
    /// An expression, at one instant or over time.
    Promql {
        /// The expression.
        expr: String,
        /// When the range begins; none for one instant.
        start: Option<String>,
        /// When it ends, or the instant; none for now.
        end: Option<String>,
        /// Distance of the instants.
        step: Option<String>,
    },
    /// Log entries, or an expression over them.
    Logql {
        /// The expression.
        expr: String,
        /// When the range begins.
        start: Option<String>,
        /// When it ends; none for now.
        end: Option<String>,
        /// At most so many entries.
        limit: Option<u32>,
    },
    /// Alerts.
    Alerts {
        /// Words that must stand in name, labels or summary.
        matching: Option<String>,
        /// Only those that fired then; none for all that are known.
        at: Option<String>,
    },
    /// Rules.
    Rules {
        /// Words that must stand in name or expression.
        matching: Option<String>,
    },
    /// Names of metrics with type and help.
    Metrics {
        /// Words that must stand in the name or the help.
        matching: Option<String>,
    },
    /// Names of labels, or the values of one.
    Labels {
        /// Which store.
        lang: Lang,
        /// The label; none for the names.
        label: Option<String>,
        /// A series selector.
        selector: Option<String>,
    },
    /// Label sets of what matches a selector.
    Series {
        /// Which store.
        lang: Lang,
        /// The selector.
        selector: String,
    },
    /// Our own ranking of an incident.
    Suspects {
        /// The incident's id; none for the one in question.
        incident: Option<String>,
    },
    /// Deploys and other changes.
    Changes {
        /// When the time begins.
        start: Option<String>,
        /// When it ends; none for now.
        end: Option<String>,
        /// Only of this service.
        service: Option<String>,
    },
    /// The incidents that alerts fold into.
    Incidents {},
    /// A kubectl command that only reads.
    Kubectl {
        /// The command, with or without `kubectl` in front.
        argv: Vec<String>,
    },
    /// Runbooks.
    Runbook {
        /// What they should speak of.
        words: String,
    },
    /// An item of the open incident in full.
    Evidence {
        /// Its id.
        id: String,
    },
}

/// The shape of all calls.
pub(super) fn schema() -> Schema {
    let text = || Schema::String;
    let maybe = || Schema::Nullable(Box::new(Schema::String));
    let lang = || Schema::Word(&["promql", "logql"]);
    let tool = |name: &'static [&'static str], arguments: Vec<(&'static str, Schema)>| {
        let mut all = vec![("tool", Schema::Word(name))];
        all.extend(arguments);
        Schema::Object(all)
    };
    Schema::AnyOf(vec![
        tool(&["promql"], vec![("expr", text()), ("start", maybe()), ("end", maybe()), ("step", maybe())]),
        tool(
            &["logql"],
            vec![
                ("expr", text()),
                ("start", maybe()),
                ("end", maybe()),
                ("limit", Schema::Nullable(Box::new(Schema::Integer))),
            ],
        ),
        tool(&["alerts"], vec![("matching", maybe()), ("at", maybe())]),
        tool(&["rules"], vec![("matching", maybe())]),
        tool(&["metrics"], vec![("matching", maybe())]),
        tool(&["labels"], vec![("lang", lang()), ("label", maybe()), ("selector", maybe())]),
        tool(&["series"], vec![("lang", lang()), ("selector", text())]),
        tool(&["suspects"], vec![("incident", maybe())]),
        tool(&["changes"], vec![("start", maybe()), ("end", maybe()), ("service", maybe())]),
        tool(&["incidents"], Vec::new()),
        tool(&["kubectl"], vec![("argv", Schema::Array(Box::new(Schema::String)))]),
        tool(&["runbook"], vec![("words", text())]),
        tool(&["evidence"], vec![("id", text())]),
    ])
}

impl Call {
    /// The tool's name.
    pub const fn tool(&self) -> &'static str {
        match self {
            Self::Promql { .. } => "promql",
            Self::Logql { .. } => "logql",
            Self::Alerts { .. } => "alerts",
            Self::Rules { .. } => "rules",
            Self::Metrics { .. } => "metrics",
            Self::Labels { .. } => "labels",
            Self::Series { .. } => "series",
            Self::Suspects { .. } => "suspects",
            Self::Changes { .. } => "changes",
            Self::Incidents {} => "incidents",
            Self::Kubectl { .. } => "kubectl",
            Self::Runbook { .. } => "runbook",
            Self::Evidence { .. } => "evidence",
        }
    }

    /// The arguments without characters that hide or act, cut where they are too long, empty ones as none.
    #[must_use]
    pub(super) fn cleaned(self) -> Self {
        let text = |text: String| {
            let end = text.char_indices().nth(ARGUMENT).map_or(text.len(), |(at, _)| at);
            neutralise(text[..end].trim()).into_owned()
        };
        let maybe = |given: Option<String>| given.map(text).filter(|given| !given.is_empty() && given != "null");
        match self {
            Self::Promql { expr, start, end, step } => {
                Self::Promql { expr: text(expr), start: maybe(start), end: maybe(end), step: maybe(step) }
            }
            Self::Logql { expr, start, end, limit } => {
                Self::Logql { expr: text(expr), start: maybe(start), end: maybe(end), limit }
            }
            Self::Alerts { matching, at } => Self::Alerts { matching: maybe(matching), at: maybe(at) },
            Self::Rules { matching } => Self::Rules { matching: maybe(matching) },
            Self::Metrics { matching } => Self::Metrics { matching: maybe(matching) },
            Self::Labels { lang, label, selector } => {
                Self::Labels { lang, label: maybe(label), selector: maybe(selector) }
            }
            Self::Series { lang, selector } => Self::Series { lang, selector: text(selector) },
            Self::Suspects { incident } => Self::Suspects { incident: maybe(incident) },
            Self::Changes { start, end, service } => {
                Self::Changes { start: maybe(start), end: maybe(end), service: maybe(service) }
            }
            Self::Incidents {} => Self::Incidents {},
            Self::Kubectl { argv } => {
                let mut argv: Vec<String> = argv.into_iter().take(WORDS).map(text).collect();
                if argv.first().is_none_or(|first| first != "kubectl") {
                    argv.insert(0, "kubectl".to_owned());
                }
                Self::Kubectl { argv }
            }
            Self::Runbook { words } => Self::Runbook { words: text(words) },
            Self::Evidence { id } => Self::Evidence { id: text(id) },
        }
    }

    /// The arguments in one line, for people.
    pub fn what(&self) -> Text {
        let mut out = String::new();
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let space = if out.is_empty() { "" } else { " " };
                let _ =
                    if name.is_empty() { write!(out, "{space}{value}") } else { write!(out, "{space}{name} {value}") };
            }
        };
        match self {
            Self::Promql { expr, start, end, step } => {
                add("", Some(expr));
                let at = if start.is_some() { "to" } else { "at" };
                add("from", start.as_deref());
                add(at, end.as_deref());
                add("every", step.as_deref());
            }
            Self::Logql { expr, start, end, .. } => {
                add("", Some(expr));
                add("from", start.as_deref());
                add("to", end.as_deref());
            }
            Self::Alerts { matching, at } => {
                add("", matching.as_deref());
                add("at", at.as_deref());
            }
            Self::Rules { matching } | Self::Metrics { matching } => add("", matching.as_deref()),
            Self::Labels { label, selector, .. } => {
                add("", label.as_deref());
                add("of", selector.as_deref());
            }
            Self::Series { selector, .. } => add("", Some(selector)),
            Self::Suspects { incident } => add("", incident.as_deref()),
            Self::Changes { start, end, service } => {
                add("of", service.as_deref());
                add("from", start.as_deref());
                add("to", end.as_deref());
            }
            Self::Incidents {} => {}
            Self::Kubectl { argv } => add("", Some(&lexer::join(argv))),
            Self::Runbook { words } => add("", Some(words)),
            Self::Evidence { id } => add("", Some(id)),
        }
        let text = Text::from(out);
        Text::from(text.one_line().into_owned())
    }

    /// The question to a source, for the tools that are one.
    ///
    /// # Errors
    ///
    /// In words for the model, when a time cannot be read or there is no expression.
    pub(super) fn query(&self, now: Timestamp) -> Option<Result<Query, String>> {
        Some(match self {
            Self::Promql { expr, start, end, step } => {
                metric(Lang::PromQl, expr, start.as_deref(), end.as_deref(), step.as_deref(), now)
            }
            Self::Logql { expr, start, end, limit } if expr.starts_with('{') => {
                let times = range(start.as_deref(), end.as_deref(), LOGS, now);
                times.map(|range| Query::Logs {
                    expr: expr.clone(),
                    range,
                    limit: limit.unwrap_or(ENTRIES[0]).clamp(1, ENTRIES[1]) as usize,
                    direction: Direction::Backward,
                })
            }
            Self::Logql { expr, start, end, .. } => {
                metric(Lang::LogQl, expr, start.as_deref(), end.as_deref(), None, now)
            }
            Self::Alerts { at, .. } => match at.as_deref().map(|at| moment(at, now)) {
                Some(Err(why)) => Err(why),
                _ => Ok(Query::Alerts),
            },
            Self::Rules { .. } => Ok(Query::Rules),
            Self::Metrics { .. } => Ok(Query::Metadata),
            Self::Labels { lang, label, selector } => {
                let range = TimeRange::new(now.minus(Duration::from_hours(1)), now);
                let matchers: Vec<String> = selector.iter().cloned().collect();
                Ok(match label {
                    None => Query::LabelNames { lang: *lang, matchers, range },
                    Some(label) => Query::LabelValues { lang: *lang, label: label.clone(), matchers, range },
                })
            }
            Self::Series { selector, .. } if selector.is_empty() => Err("selector is empty".into()),
            Self::Series { lang, selector } => Ok(Query::Series {
                lang: *lang,
                matchers: vec![selector.clone()],
                range: TimeRange::new(now.minus(Duration::from_hours(1)), now),
            }),
            Self::Changes { start, end, .. } => {
                range(start.as_deref(), end.as_deref(), CHANGES, now).map(|range| Query::Changes { range })
            }
            Self::Suspects { .. }
            | Self::Incidents {}
            | Self::Kubectl { .. }
            | Self::Runbook { .. }
            | Self::Evidence { .. } => return None,
        })
    }
}

/// The moment that a text names.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    when::parse(text, now)
        .ok_or_else(|| format!("`{}` is no time: write -10m, 14:05, or 2026-01-31T14:05:00Z", neutralise(text)))
}

fn range(start: Option<&str>, end: Option<&str>, back: Duration, now: Timestamp) -> Result<TimeRange, String> {
    let end = end.map_or(Ok(now), |end| moment(end, now))?;
    let start = start.map_or_else(|| Ok(end.minus(back)), |start| moment(start, now))?;
    if start >= end {
        return Err(format!("the time begins at {start}, which is not before its end {end}"));
    }
    Ok(TimeRange::new(start, end))
}

fn metric(
    lang: Lang,
    expr: &str,
    start: Option<&str>,
    end: Option<&str>,
    step: Option<&str>,
    now: Timestamp,
) -> Result<Query, String> {
    if expr.is_empty() {
        return Err("expr is empty".into());
    }
    let expr = expr.to_owned();
    let Some(start) = start else {
        let at = end.map_or(Ok(now), |end| moment(end, now))?;
        return Ok(Query::Instant { lang, expr, at });
    };
    let range = range(Some(start), end, LOGS, now)?;
    let seconds = range.duration().as_secs();
    let wanted = match step {
        Some(step) => when::span(step).ok_or_else(|| format!("`{}` is no step: write 30s or 5m", neutralise(step)))?,
        None => Duration::from_secs((seconds / POINTS).max(LEAST_STEP)),
    };
    let step = wanted.max(Duration::from_secs((seconds / MOST_POINTS).max(1)));
    Ok(Query::Range { lang, expr, range, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-01-31T14:15:00Z").unwrap()
    }

    fn promql(start: Option<&str>, end: Option<&str>, step: Option<&str>) -> Call {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Call::Promql { expr: "up".into(), start: own(start), end: own(end), step: own(step) }
    }

    #[test]
    fn a_call_becomes_a_question_with_absolute_times() {
        let query = promql(None, None, None).query(now()).unwrap().unwrap();
        assert_eq!(query, Query::Instant { lang: Lang::PromQl, expr: "up".into(), at: now() });
        let Query::Range { range, step, .. } = promql(Some("-1h"), None, None).query(now()).unwrap().unwrap() else {
            panic!("not a range")
        };
        assert_eq!((range.start.to_clock(), step.as_secs()), ("13:15:00".into(), 30));
        let Query::Range { step, .. } = promql(Some("-30d"), None, Some("1s")).query(now()).unwrap().unwrap() else {
            panic!("not a range")
        };
        assert!(30 * 86_400 / step.as_secs() <= MOST_POINTS + 1, "a step is never too fine for the range");
        let logs = Call::Logql { expr: "{app=\"a\"} |= \"x\"".into(), start: None, end: None, limit: Some(u32::MAX) };
        let Query::Logs { limit, range, .. } = logs.query(now()).unwrap().unwrap() else { panic!("not logs") };
        assert_eq!((limit, range.start.to_clock()), (5_000, "14:00:00".into()));
        let rate = Call::Logql { expr: "sum(rate({a=\"b\"}[1m]))".into(), start: None, end: None, limit: None };
        assert!(matches!(rate.query(now()), Some(Ok(Query::Instant { lang: Lang::LogQl, .. }))));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let wrong = |call: Call| call.query(now()).unwrap().unwrap_err();
        assert!(wrong(promql(Some("soon"), None, None)).contains("`soon` is no time"));
        assert!(wrong(promql(Some("now"), Some("-1h"), None)).contains("not before its end"));
        assert!(wrong(promql(Some("-1h"), None, Some("often"))).contains("no step"));
    }

    #[test]
    fn arguments_are_made_visible_and_bounded() {
        let call = Call::Promql {
            expr: format!(" up\u{202e} {}", "x".repeat(9_000)),
            start: Some("null".into()),
            end: None,
            step: None,
        };
        let Call::Promql { expr, start, .. } = call.cleaned() else { panic!() };
        assert!(expr.starts_with("up‹U+202E›") && expr.len() < 2 * ARGUMENT && start.is_none());
        let Call::Kubectl { argv } = (Call::Kubectl { argv: vec!["get".into(), "pods".into()] }).cleaned() else {
            panic!()
        };
        assert_eq!(argv, ["kubectl", "get", "pods"]);
    }

    #[test]
    fn every_shape_is_read() {
        let text = serde_json::to_string(&schema()).unwrap();
        for tool in [
            "promql",
            "logql",
            "alerts",
            "rules",
            "metrics",
            "labels",
            "series",
            "suspects",
            "changes",
            "incidents",
            "kubectl",
            "runbook",
            "evidence",
        ] {
            assert!(text.contains(&format!("[\"{tool}\"]")), "{tool}");
        }
        let incidents: Call = serde_json::from_str(r#"{"tool":"incidents"}"#).unwrap();
        assert_eq!((incidents.tool(), incidents.what().as_str()), ("incidents", ""));
        let changes: Call =
            serde_json::from_str(r#"{"tool":"changes","start":null,"end":"14:05","service":null}"#).unwrap();
        assert_eq!(changes.what(), "to 14:05");
    }
}
